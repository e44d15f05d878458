//===- FlowGraph.cpp - How features flow across layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/FlowGraph.h"

#include "StoredMatch.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <tuple>

using namespace llvm;

namespace weir::matching {

char EffectNotMeasured::ID = 0;

EffectNotMeasured::EffectNotMeasured(
    const GraphNode &from, const GraphNode &to,
    function_ref<std::string(const GraphNode &)> nameOf)
    : ErrorInfo("the effect of " + nameOf(from) + " on " + nameOf(to) +
                    " was not measured",
                inconvertibleErrorCode()) {}

int64_t FlowGraph::find(const GraphNode &node) const {
  auto found = llvm::lower_bound(nodes, node);
  return found != nodes.end() && *found == node ? found - nodes.begin() : -1;
}

//===----------------------------------------------------------------------===//
// Matches in the cache
//===----------------------------------------------------------------------===//

namespace {
/// Numbers of an entry, copied only where they are not aligned.
template <typename T> struct Numbers {
  TensorView view;
  std::vector<T> copy;
  ArrayRef<T> all;

  explicit Numbers(TensorView given) : view(std::move(given)) {
    size_t count = view.numElements();
    if (reinterpret_cast<uintptr_t>(view.data) % alignof(T) == 0) {
      all = ArrayRef<T>(reinterpret_cast<const T *>(view.data), count);
      return;
    }
    copy.resize(count);
    std::memcpy(copy.data(), view.data, count * sizeof(T));
    all = copy;
  }
  Numbers(const Numbers &) = delete;
};

struct MappedMatch {
  MappedMatch(CachedResult entry, TensorView indices, TensorView values)
      : entry(std::move(entry)), indices(std::move(indices)),
        values(std::move(values)) {}
  CachedResult entry;
  Numbers<int64_t> indices;
  Numbers<double> values;
};
} // namespace

Expected<MatchView> MatchView::of(CachedResult entry) {
  auto stored = StoredMatch::of(entry);
  if (!stored)
    return stored.takeError();
  MatchView view;
  view.rows = stored->indices.shape[0];
  view.k = stored->indices.shape[1];
  view.columns = stored->columns;
  auto mapped = std::make_shared<MappedMatch>(
      std::move(entry), std::move(stored->indices), std::move(stored->values));
  view.indices = mapped->indices.all;
  view.values = mapped->values.all;
  if (Error error = checkIndices(mapped->entry, view.indices, view.columns))
    return std::move(error);
  view.owner = std::move(mapped);
  return view;
}

//===----------------------------------------------------------------------===//
// Graphs in the cache
//===----------------------------------------------------------------------===//

Error FlowGraph::store(const ResultCache &cache, StringRef key,
                       StringRef about) const {
  std::vector<int64_t> places, ends, cases;
  std::vector<double> similarities, effects;
  for (const GraphNode &node : nodes)
    llvm::append_values(places, node.layer, int64_t(node.kind), node.feature);
  for (const GraphEdge &edge : edges) {
    llvm::append_values(ends, edge.from, edge.to);
    similarities.push_back(edge.similarity);
    effects.push_back(edge.effect);
    cases.push_back(edge.cases);
  }
  int64_t n = nodes.size(), m = edges.size(), t = targets.size();
  return cache.store(
      key,
      {NamedTensor::of("nodes", DType::Int64, {n, 3}, places.data()),
       NamedTensor::of("edges", DType::Int64, {m, 2}, ends.data()),
       NamedTensor::of("similarities", DType::Float64, {m}, similarities.data()),
       NamedTensor::of("effects", DType::Float64, {m}, effects.data()),
       NamedTensor::of("cases", DType::Int64, {m}, cases.data()),
       NamedTensor::of("targets", DType::Int64, {t}, targets.data()),
       NamedTensor::of("without_case", DType::Int64, {1}, &withoutCase)},
      {{"about", about.str()}});
}

Expected<FlowGraph> FlowGraph::load(const CachedResult &entry) {
  auto broken = [&](const Twine &what) {
    return createStringError(entry.file().path() + ": " + what);
  };
  auto get = [&](StringRef name, DType dtype, ArrayRef<int64_t> shape) {
    return entry.tensor(name, dtype, shape);
  };
  auto nodeView = get("nodes", DType::Int64, {-1, 3});
  if (!nodeView)
    return nodeView.takeError();
  auto edgeView = get("edges", DType::Int64, {-1, 2});
  if (!edgeView)
    return edgeView.takeError();
  int64_t m = edgeView->shape[0];
  auto similarityView = get("similarities", DType::Float64, {m});
  if (!similarityView)
    return similarityView.takeError();
  auto effectView = get("effects", DType::Float64, {m});
  if (!effectView)
    return effectView.takeError();
  auto caseView = get("cases", DType::Int64, {m});
  if (!caseView)
    return caseView.takeError();
  auto targetView = get("targets", DType::Int64, {-1});
  if (!targetView)
    return targetView.takeError();
  auto leftOutView = get("without_case", DType::Int64, {1});
  if (!leftOutView)
    return leftOutView.takeError();
  Numbers<int64_t> places(*nodeView), ends(*edgeView), cases(*caseView),
      marked(*targetView), leftOut(*leftOutView);
  Numbers<double> similarities(*similarityView), effects(*effectView);

  FlowGraph graph;
  int64_t n = nodeView->shape[0];
  graph.nodes.reserve(n);
  for (int64_t i = 0; i < n; ++i)
    graph.nodes.push_back({places.all[3 * i], int32_t(places.all[3 * i + 1]), 0,
                           places.all[3 * i + 2]});
  graph.edges.reserve(m);
  for (int64_t i = 0; i < m; ++i)
    graph.edges.push_back({ends.all[2 * i], ends.all[2 * i + 1],
                           similarities.all[i], effects.all[i], cases.all[i]});
  graph.targets.assign(marked.all.begin(), marked.all.end());
  graph.withoutCase = leftOut.all.front();

  for (int64_t i = 1; i < n; ++i)
    if (graph.nodes[i] <= graph.nodes[i - 1])
      return broken("nodes are out of order");
  auto isNode = [&](int64_t position) { return position >= 0 && position < n; };
  for (int64_t i = 0; i < m; ++i) {
    const GraphEdge &edge = graph.edges[i];
    if (!isNode(edge.from) || !isNode(edge.to))
      return broken("an edge leads to no node");
    if (i > 0 && std::pair(edge.from, edge.to) <=
                     std::pair(graph.edges[i - 1].from, graph.edges[i - 1].to))
      return broken("edges are out of order");
  }
  for (size_t i = 0; i < graph.targets.size(); ++i)
    if (!isNode(graph.targets[i]) ||
        (i > 0 && graph.targets[i] <= graph.targets[i - 1]))
      return broken("a target is no node");
  return graph;
}

//===----------------------------------------------------------------------===//
// Following one link
//===----------------------------------------------------------------------===//

namespace {

/// A feature that a link leads to from the one at a position of a list.
struct Step {
  size_t origin;
  int64_t feature;
  double similarity;
};

} // namespace

static Error outOfRange(const GraphNode &node, int64_t features,
                        const WalkOptions &options) {
  return createStringError("feature " + options.nameOf(node) +
                           " is out of range: the dictionary has features 0 to " +
                           std::to_string(features - 1));
}

/// Where a link leads to from some features (ascending) at one of its ends: for each
/// of them the `width` most similar, or all. Steps are grouped by their origin, the
/// most similar first, then by index.
static Expected<std::vector<Step>> follow(const GraphLink &link, bool backward,
                                          ArrayRef<GraphNode> from,
                                          std::optional<int64_t> width,
                                          const WalkOptions &options) {
  const MatchView &match = link.match;
  auto counts = [&](int64_t t) {
    return options.anySimilarity || match.values[t] > 0;
  };
  bool alongRows = backward == link.leadsBackward;
  int64_t features = alongRows ? match.rows : match.columns;
  for (const GraphNode &node : from)
    if (node.feature >= features)
      return outOfRange(node, features, options);

  std::vector<Step> steps;
  if (alongRows) {
    for (auto [origin, node] : llvm::enumerate(from)) {
      int64_t taken = 0;
      for (int64_t t = node.feature * match.k, e = t + match.k; t < e; ++t)
        if (match.indices[t] >= 0 && counts(t) && (!width || taken < *width)) {
          steps.push_back({origin, match.indices[t], match.values[t]});
          ++taken;
        }
    }
    return steps;
  }
  DenseMap<int64_t, size_t> originOf;
  for (auto [origin, node] : llvm::enumerate(from))
    originOf[node.feature] = origin;
  for (int64_t t = 0, e = match.indices.size(); t < e; ++t)
    if (auto origin = originOf.find(match.indices[t]);
        origin != originOf.end() && counts(t))
      steps.push_back({origin->second, t / match.k, match.values[t]});
  llvm::sort(steps, [](const Step &a, const Step &b) {
    return std::tuple(a.origin, -a.similarity, a.feature) <
           std::tuple(b.origin, -b.similarity, b.feature);
  });
  if (!width)
    return steps;
  int64_t taken = 0;
  std::optional<size_t> origin;
  llvm::erase_if(steps, [&](const Step &step) {
    taken = origin == step.origin ? taken + 1 : 1;
    origin = step.origin;
    return taken > *width;
  });
  return steps;
}

//===----------------------------------------------------------------------===//
// Walking
//===----------------------------------------------------------------------===//

namespace {

/// Places in the order in which a walk gets to them: of one layer the residual
/// stream comes last in a model, so first backward and last forward.
struct PlaceOrder {
  bool backward;
  bool operator()(const GraphPlace &a, const GraphPlace &b) const {
    auto key = [&](const GraphPlace &place) {
      return backward ? std::pair(-place.layer, int64_t(place.kind))
                      : std::pair(place.layer, -int64_t(place.kind));
    };
    return key(a) < key(b);
  }
};

struct Found {
  GraphNode from, to;
  double similarity;
  const EffectScore *effect;
};

class Walker {
public:
  Walker(ArrayRef<GraphLink> links, const WalkOptions &options,
         std::optional<NearMiss> *missed)
      : links(links), options(options), missed(missed) {}

  Error go(ArrayRef<GraphNode> targets, bool backward);
  Expected<FlowGraph> finish(ArrayRef<GraphNode> targets);

private:
  Error take(const GraphLink &link, const GraphNode &from, const GraphNode &to,
             double similarity, bool &kept);
  Error tooLarge(StringRef what, size_t most) {
    return createStringError(
        "the graph has more than " + Twine(most) + " " + what +
        "; give it fewer targets or layers, a smaller width, or a higher 'keep'");
  }

  ArrayRef<GraphLink> links;
  const WalkOptions &options;
  std::optional<NearMiss> *missed;
  std::vector<Found> edges;
  std::set<std::pair<GraphNode, GraphNode>> withoutCase; ///< left out
  size_t numNodes = 0; ///< of the walk that is going on
};

} // namespace

Error Walker::take(const GraphLink &link, const GraphNode &from,
                   const GraphNode &to, double similarity, bool &kept) {
  const EffectScore *effect =
      link.effects ? link.effects->find(to.feature, from.feature) : nullptr;
  kept = similarity >= link.least;
  if (kept && link.leastEffect) {
    if (!effect)
      return make_error<EffectNotMeasured>(from, to, options.nameOf);
    kept = effect->isMeasured() && effect->change >= *link.leastEffect;
    if (!effect->isMeasured())
      withoutCase.emplace(from, to);
  }
  if (!kept) {
    if (missed && (!*missed || similarity > (*missed)->similarity))
      *missed = NearMiss{from, to, similarity};
    return Error::success();
  }
  edges.push_back({from, to, similarity, effect});
  if (edges.size() > 2 * options.maxEdges)
    return tooLarge("edges", options.maxEdges);
  return Error::success();
}

Error Walker::go(ArrayRef<GraphNode> targets, bool backward) {
  // Features that were reached and not followed yet, by place. Links lead on in the
  // order of the map, so that a place is complete when its turn comes.
  std::map<GraphPlace, DenseSet<int64_t>, PlaceOrder> waiting(
      PlaceOrder{backward});
  for (const GraphNode &node : targets)
    waiting[{node.layer, node.kind}].insert(node.feature);
  numNodes = 0;
  while (!waiting.empty()) {
    auto next = waiting.extract(waiting.begin());
    GraphPlace place = next.key();
    numNodes += next.mapped().size();
    std::vector<GraphNode> from;
    for (int64_t feature : next.mapped())
      from.push_back({place.layer, place.kind, 0, feature});
    llvm::sort(from);
    for (const GraphLink &link : links) {
      if ((backward ? link.later() : link.earlier()) != place)
        continue;
      GraphPlace end = backward ? link.earlier() : link.later();
      auto steps = follow(link, backward, from, options.width, options);
      if (!steps)
        return steps.takeError();
      DenseSet<int64_t> *reached = nullptr;
      for (const Step &step : *steps) {
        GraphNode other{end.layer, end.kind, 0, step.feature};
        const GraphNode &origin = from[step.origin];
        bool kept = false;
        if (Error error = backward
                              ? take(link, other, origin, step.similarity, kept)
                              : take(link, origin, other, step.similarity, kept))
          return error;
        if (!kept)
          continue;
        if (!reached)
          reached = &waiting[end];
        reached->insert(step.feature);
        if (numNodes + reached->size() > options.maxNodes)
          return tooLarge("nodes", options.maxNodes);
      }
    }
  }
  return Error::success();
}

Expected<FlowGraph> Walker::finish(ArrayRef<GraphNode> targets) {
  FlowGraph graph;
  graph.nodes.assign(targets.begin(), targets.end());
  for (const Found &edge : edges)
    llvm::append_values(graph.nodes, edge.from, edge.to);
  llvm::sort(graph.nodes);
  graph.nodes.erase(llvm::unique(graph.nodes), graph.nodes.end());
  if (graph.nodes.size() > options.maxNodes)
    return tooLarge("nodes", options.maxNodes);
  for (const Found &edge : edges) {
    GraphEdge &made = graph.edges.emplace_back();
    made.from = graph.find(edge.from);
    made.to = graph.find(edge.to);
    made.similarity = edge.similarity;
    if (edge.effect) {
      made.effect = edge.effect->change;
      made.cases = edge.effect->cases;
    }
  }
  // Both walks may find one edge, of one match.
  auto ends = [](const GraphEdge &edge) { return std::pair(edge.from, edge.to); };
  llvm::sort(graph.edges, [&](auto &a, auto &b) { return ends(a) < ends(b); });
  graph.edges.erase(
      llvm::unique(graph.edges,
                   [&](auto &a, auto &b) { return ends(a) == ends(b); }),
      graph.edges.end());
  if (graph.edges.size() > options.maxEdges)
    return tooLarge("edges", options.maxEdges);
  for (const GraphNode &node : targets)
    graph.targets.push_back(graph.find(node));
  llvm::sort(graph.targets);
  graph.targets.erase(llvm::unique(graph.targets), graph.targets.end());
  graph.withoutCase = static_cast<int64_t>(withoutCase.size());
  return graph;
}

Expected<FlowGraph> walk(ArrayRef<GraphNode> targets, ArrayRef<GraphLink> links,
                         const WalkOptions &options,
                         std::optional<NearMiss> *missed) {
  Walker walker(links, options, missed);
  if (options.backward)
    if (Error error = walker.go(targets, /*backward=*/true))
      return std::move(error);
  if (options.forward)
    if (Error error = walker.go(targets, /*backward=*/false))
      return std::move(error);
  return walker.finish(targets);
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

namespace {
/// The best way from a node on: the product of what follows, and the next node.
struct Onward {
  double product = 0;
  GraphNode next;
  double similarity = 0;
  const EffectScore *effect = nullptr;
};
} // namespace

Expected<std::optional<FlowGraph>> strongestPath(const GraphNode &from,
                                                 const GraphNode &to,
                                                 ArrayRef<GraphLink> links,
                                                 const WalkOptions &options) {
  // The walk is held against the later end only, and not where nothing leads there.
  for (const GraphLink &link : links)
    for (const GraphNode &node : {from, to})
      for (auto [place, features] : {std::pair(link.source, link.match.rows),
                                     std::pair(link.target, link.match.columns)})
        if (place == GraphPlace{node.layer, node.kind} &&
            node.feature >= features)
          return outOfRange(node, features, options);
  PlaceOrder order{/*backward=*/true};
  GraphPlace end{from.layer, from.kind};
  std::map<GraphPlace, DenseMap<int64_t, Onward>, PlaceOrder> known(order);
  known[{to.layer, to.kind}].try_emplace(to.feature, Onward{1, to, 0, nullptr});
  // From the later end back, a place at a time.
  for (auto at = known.begin(); at != known.end(); ++at) {
    GraphPlace place = at->first;
    if (place == end || order(end, place))
      break;
    std::vector<GraphNode> nodes;
    for (auto &[feature, onward] : at->second)
      nodes.push_back({place.layer, place.kind, 0, feature});
    llvm::sort(nodes);
    for (const GraphLink &link : links) {
      GraphPlace next = link.earlier();
      if (link.later() != place || order(end, next))
        continue;
      auto steps = follow(link, /*backward=*/true, nodes, std::nullopt, options);
      if (!steps)
        return steps.takeError();
      DenseMap<int64_t, Onward> &reached = known[next];
      for (const Step &step : *steps) {
        const GraphNode &origin = nodes[step.origin];
        Onward way{at->second.find(origin.feature)->second.product * step.similarity,
                   origin, step.similarity,
                   link.effects
                       ? link.effects->find(origin.feature, step.feature)
                       : nullptr};
        auto [best, isNew] = reached.try_emplace(step.feature, way);
        if (!isNew && std::tuple(-way.product, way.next) <
                          std::tuple(-best->second.product, best->second.next))
          best->second = way;
      }
    }
  }
  auto reached = known.find(end);
  if (reached == known.end() || !reached->second.count(from.feature) ||
      from == to)
    return std::nullopt;

  FlowGraph graph;
  std::vector<Onward> ways;
  for (GraphNode node = from; node != to;) {
    graph.nodes.push_back(node);
    const Onward way = known[{node.layer, node.kind}].find(node.feature)->second;
    ways.push_back(way);
    node = way.next;
  }
  graph.nodes.push_back(to);
  std::vector<GraphNode> path = graph.nodes;
  llvm::sort(graph.nodes);
  for (auto [i, way] : llvm::enumerate(ways)) {
    GraphEdge &edge = graph.edges.emplace_back();
    edge.from = graph.find(path[i]);
    edge.to = graph.find(path[i + 1]);
    edge.similarity = way.similarity;
    if (way.effect) {
      edge.effect = way.effect->change;
      edge.cases = way.effect->cases;
    }
  }
  llvm::sort(graph.edges, [](const GraphEdge &a, const GraphEdge &b) {
    return std::pair(a.from, a.to) < std::pair(b.from, b.to);
  });
  graph.targets = {graph.find(to)};
  return graph;
}

} // namespace weir::matching
