//===- FlowGraphTest.cpp - Walks, paths, algebra and weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/FlowGraph.h"

#include "weir/Matching/RandomDirections.h"
#include "weir/Support/Hashing.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>

using namespace weir;
using namespace weir::matching;
using testing::HasSubstr;

namespace {

constexpr int32_t res = 0, mlp = 1;

std::string nameOf(const GraphNode &node) {
  return std::to_string(node.layer) + "/" + (node.kind == res ? "res" : "mlp") +
         "/" + std::to_string(node.feature);
}

/// Matches in memory: of each layer's residual stream with the one before and with
/// the MLP.
struct Matches {
  struct Table {
    GraphPlace source, target;
    int64_t rows, columns, k;
    std::vector<int64_t> indices;
    std::vector<double> values;
  };
  std::vector<Table> tables;

  std::vector<GraphLink> links() const {
    std::vector<GraphLink> result;
    for (const Table &table : tables) {
      GraphLink &link = result.emplace_back();
      link.source = table.source;
      link.target = table.target;
      link.match.rows = table.rows;
      link.match.columns = table.columns;
      link.match.k = table.k;
      link.match.indices = table.indices;
      link.match.values = table.values;
    }
    return result;
  }
  /// (earlier, later) -> similarity.
  std::map<std::pair<GraphNode, GraphNode>, double> edges() const {
    std::map<std::pair<GraphNode, GraphNode>, double> result;
    for (const Table &table : tables)
      for (int64_t i = 0; i < table.rows * table.k; ++i)
        if (table.indices[i] >= 0 && table.values[i] > 0)
          result[{{table.target.layer, table.target.kind, 0, table.indices[i]},
                  {table.source.layer, table.source.kind, 0, i / table.k}}] =
              table.values[i];
    return result;
  }

  static Matches draw() {
    Matches matches;
    int64_t layers = *rc::gen::inRange(2, 5), k = *rc::gen::inRange(1, 4);
    auto add = [&](GraphPlace source, GraphPlace target) {
      Table table{source, target, 4, 4, k, {}, {}};
      for (int64_t row = 0; row < table.rows; ++row) {
        // Some are not positive, and equal ones are frequent.
        auto order = *rc::gen::container<std::vector<int>>(
            table.columns, rc::gen::inRange(-3, 7));
        std::vector<int64_t> best(table.columns);
        for (int64_t i = 0; i < table.columns; ++i)
          best[i] = i;
        llvm::sort(best, [&](int64_t a, int64_t b) {
          return order[a] > order[b] || (order[a] == order[b] && a < b);
        });
        for (int64_t i = 0; i < k; ++i) {
          table.indices.push_back(best[i]);
          table.values.push_back(order[best[i]] / 7.0);
        }
      }
      matches.tables.push_back(std::move(table));
    };
    for (int64_t layer = 0; layer < layers; ++layer) {
      if (layer > 0)
        add({layer, res}, {layer - 1, res});
      add({layer, res}, {layer, mlp});
    }
    return matches;
  }
};

WalkOptions bothWays(int64_t width) {
  WalkOptions options;
  options.backward = options.forward = true;
  options.width = width;
  options.nameOf = nameOf;
  return options;
}

/// What one node leads to: all edges on a side, the best `width` of each place.
std::vector<std::pair<GraphNode, GraphNode>>
steps(const std::map<std::pair<GraphNode, GraphNode>, double> &edges,
      const GraphNode &node, bool backward, int64_t width) {
  std::map<std::pair<int64_t, int32_t>,
           std::vector<std::tuple<double, int64_t, std::pair<GraphNode, GraphNode>>>>
      byPlace;
  for (const auto &[ends, similarity] : edges)
    if ((backward ? ends.second : ends.first) == node) {
      const GraphNode &other = backward ? ends.first : ends.second;
      byPlace[{other.layer, other.kind}].push_back(
          {-similarity, other.feature, ends});
    }
  std::vector<std::pair<GraphNode, GraphNode>> result;
  for (auto &[place, found] : byPlace) {
    std::sort(found.begin(), found.end());
    for (size_t i = 0; i < found.size() && int64_t(i) < width; ++i)
      result.push_back(std::get<2>(found[i]));
  }
  return result;
}

RC_GTEST_PROP(FlowGraph, AWalkIsWhatOneReaches, ()) {
  Matches matches = Matches::draw();
  auto edges = matches.edges();
  int64_t width = *rc::gen::inRange<int64_t>(1, matches.tables[0].k + 1);
  double least = *rc::gen::inRange(0, 8) / 8.0;
  std::vector<GraphNode> targets;
  for (int count = *rc::gen::inRange(1, 4); count > 0; --count)
    targets.push_back({*rc::gen::inRange<int64_t>(0, 2),
                       *rc::gen::element(res, mlp), 0,
                       *rc::gen::inRange<int64_t>(0, 4)});
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());

  std::set<GraphNode> nodes(targets.begin(), targets.end());
  std::set<std::pair<GraphNode, GraphNode>> found;
  for (bool backward : {true, false}) {
    std::set<GraphNode> seen(targets.begin(), targets.end());
    std::vector<GraphNode> todo = targets;
    while (!todo.empty()) {
      GraphNode node = todo.back();
      todo.pop_back();
      for (const auto &ends : steps(edges, node, backward, width))
        if (edges.at(ends) >= least) {
          found.insert(ends);
          const GraphNode &other = backward ? ends.first : ends.second;
          if (seen.insert(other).second)
            todo.push_back(other);
        }
    }
    nodes.insert(seen.begin(), seen.end());
  }

  std::vector<GraphLink> links = matches.links();
  for (GraphLink &link : links)
    link.least = least;
  FlowGraph graph = llvm::cantFail(walk(targets, links, bothWays(width)));
  RC_ASSERT(graph.nodes == std::vector<GraphNode>(nodes.begin(), nodes.end()));
  RC_ASSERT(graph.edges.size() == found.size());
  for (const GraphEdge &edge : graph.edges) {
    auto ends = std::pair(graph.nodes[edge.from], graph.nodes[edge.to]);
    RC_ASSERT(found.count(ends) == 1u);
    RC_ASSERT(edge.similarity == edges.at(ends));
    RC_ASSERT(edge.cases == -1 && std::isnan(edge.effect));
  }
  RC_ASSERT(graph.targets.size() == targets.size());

  // The order of targets and links says nothing.
  std::reverse(targets.begin(), targets.end());
  std::reverse(links.begin(), links.end());
  FlowGraph again = llvm::cantFail(walk(targets, links, bothWays(width)));
  RC_ASSERT(again.nodes == graph.nodes && again.targets == graph.targets);
}

RC_GTEST_PROP(FlowGraph, APathIsTheStrongest, ()) {
  Matches matches = Matches::draw();
  auto edges = matches.edges();
  int64_t last = matches.tables.back().source.layer;
  GraphNode from{0, *rc::gen::element(res, mlp), 0,
                 *rc::gen::inRange<int64_t>(0, 4)};
  GraphNode to{last, res, 0, *rc::gen::inRange<int64_t>(0, 4)};
  std::optional<double> best;
  std::function<void(GraphNode, double)> visit = [&](GraphNode node,
                                                     double product) {
    if (node == from && !(best && *best >= product))
      best = product;
    for (const auto &[ends, similarity] : edges)
      if (ends.second == node)
        visit(ends.first, product * similarity);
  };
  visit(to, 1);
  auto path = llvm::cantFail(
      strongestPath(from, to, matches.links(), bothWays(1)));
  RC_ASSERT(path.has_value() == best.has_value());
  if (!path)
    return;
  double product = 1;
  std::set<int64_t> begins, ends;
  for (const GraphEdge &edge : path->edges) {
    product *= edge.similarity;
    RC_ASSERT(begins.insert(edge.from).second && ends.insert(edge.to).second);
    RC_ASSERT(edge.similarity ==
              edges.at({path->nodes[edge.from], path->nodes[edge.to]}));
  }
  RC_ASSERT(std::fabs(product - *best) <= 1e-12 * *best);
  RC_ASSERT(path->edges.size() + 1 == path->nodes.size());
  RC_ASSERT(path->targets == std::vector<int64_t>{path->find(to)});
  RC_ASSERT(path->find(from) >= 0 && !ends.count(path->find(from)));
}

RC_GTEST_PROP(FlowGraph, AWeightIsTheBestProductToATarget, ()) {
  Matches matches = Matches::draw();
  GraphNode target{1, res, 0, *rc::gen::inRange<int64_t>(0, 4)};
  FlowGraph graph = llvm::cantFail(
      walk({target}, matches.links(), bothWays(matches.tables[0].k)));
  std::vector<double> weights =
      llvm::cantFail(weightsOf(graph, /*byEffect=*/false, nameOf));
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    double best = -1;
    for (bool along : {true, false}) {
      std::function<void(int64_t, double)> visit = [&](int64_t node,
                                                       double product) {
        if (node == graph.targets.front())
          best = std::max(best, product);
        for (const GraphEdge &edge : graph.edges)
          if ((along ? edge.from : edge.to) == node)
            visit(along ? edge.to : edge.from, product * edge.similarity);
      };
      visit(i, 1);
    }
    RC_ASSERT(std::fabs(weights[i] - best) <= 1e-12);
  }
}

RC_GTEST_PROP(FlowGraph, AlgebraIsThatOfSets, ()) {
  Matches matches = Matches::draw();
  std::vector<FlowGraph> graphs;
  for (int i = 0; i < 3; ++i)
    graphs.push_back(llvm::cantFail(
        walk({{1, res, 0, *rc::gen::inRange<int64_t>(0, 4)}}, matches.links(),
             bothWays(1))));
  auto edgesOf = [](const FlowGraph &graph) {
    std::set<std::pair<GraphNode, GraphNode>> edges;
    for (const GraphEdge &edge : graph.edges)
      edges.insert({graph.nodes[edge.from], graph.nodes[edge.to]});
    return edges;
  };
  auto has = [](const FlowGraph &graph, const GraphNode &node) {
    return graph.find(node) >= 0;
  };
  const FlowGraph &a = graphs[0], &b = graphs[1], &c = graphs[2];
  FlowGraph all = unite({&a, &b, &c});
  FlowGraph common = intersect({&a, &b});
  FlowGraph rest = subtract(a, b);
  for (const GraphNode &node : all.nodes) {
    RC_ASSERT(has(a, node) || has(b, node) || has(c, node));
    RC_ASSERT(has(common, node) == (has(a, node) && has(b, node)));
    RC_ASSERT(has(rest, node) == (has(a, node) && !has(b, node)));
  }
  for (const auto &[from, to] : edgesOf(all)) {
    std::pair ends(from, to);
    bool inA = edgesOf(a).count(ends), inB = edgesOf(b).count(ends);
    RC_ASSERT(inA || inB || edgesOf(c).count(ends));
    RC_ASSERT(edgesOf(common).count(ends) == size_t(inA && inB));
    RC_ASSERT(edgesOf(rest).count(ends) ==
              size_t(inA && !has(b, from) && !has(b, to)));
  }
  // In whatever order.
  FlowGraph again = unite({&c, &b, &a, &b});
  RC_ASSERT(again.nodes == all.nodes && again.targets == all.targets);
  RC_ASSERT(edgesOf(again) == edgesOf(all));
  RC_ASSERT(edgesOf(unite({&a, &a})) == edgesOf(a));
  RC_ASSERT(subtract(a, a).empty());
  RC_ASSERT(subtract(a, FlowGraph()).nodes == a.nodes);
}

/// 0/res/0 -> 1/res/0 -> 2/res/0 and 2/mlp/0 -> 2/res/0.
Matches chain() {
  Matches matches;
  matches.tables = {{{1, res}, {0, res}, 1, 1, 1, {0}, {0.5}},
                    {{2, res}, {1, res}, 1, 1, 1, {0}, {0.25}},
                    {{2, res}, {2, mlp}, 1, 1, 1, {0}, {0.75}}};
  return matches;
}

const GraphNode target{2, res, 0, 0};

TEST(FlowGraph, PartsHoldTogether) {
  Matches matches = chain();
  FlowGraph graph =
      llvm::cantFail(walk({target}, matches.links(), bothWays(1)));
  auto names = [&](const GraphPart &part) {
    std::vector<std::string> result;
    for (int64_t position : select(graph, part))
      result.push_back(nameOf(graph.nodes[position]));
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({}), (Names{"0/res/0", "1/res/0", "2/res/0", "2/mlp/0"}));
  EXPECT_EQ(names({{mlp}, {}, GraphPart::Ends::Any, {}}), (Names{"2/mlp/0"}));
  EXPECT_EQ(names({{}, {{1, 2}}, GraphPart::Ends::Roots, {}}),
            (Names{"2/mlp/0"}));
  EXPECT_EQ(names({{}, {}, GraphPart::Ends::Leaves, {}}), (Names{"2/res/0"}));
  EXPECT_EQ(names({{res}, {}, GraphPart::Ends::Any, 1}),
            (Names{"1/res/0", "2/res/0"}));
}

TEST(FlowGraph, EffectsCutAndWeigh) {
  Matches matches = chain();
  std::vector<GraphLink> links = matches.links();
  std::string folder =
      (std::filesystem::temp_directory_path() / "weir-graph-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ResultCache cache = llvm::cantFail(ResultCache::open(folder));
  std::vector<EffectScores> scores(3);
  double changes[] = {0.5, 0.25, -0.125};
  for (int i = 0; i < 3; ++i) {
    EffectKey key{{"a", std::to_string(i)}, {"b", ""}, "m", "t"};
    llvm::cantFail(recordEffects(cache, key, {{0, 0, changes[i], 4}}, "test"));
    scores[i] = llvm::cantFail(EffectScores::load(cache, key));
    links[i].effects = &scores[i];
  }

  FlowGraph graph = llvm::cantFail(walk({target}, links, bothWays(1)));
  ASSERT_EQ(graph.edges.size(), 3u);
  EXPECT_EQ(graph.edges[0].effect, 0.5);
  EXPECT_EQ(graph.edges[0].cases, 4);
  std::vector<double> weights =
      llvm::cantFail(weightsOf(graph, /*byEffect=*/true, nameOf));
  // 0/res/0, 1/res/0, 2/res/0, 2/mlp/0: an effect below zero counts as none.
  EXPECT_EQ(weights, (std::vector<double>{0.125, 0.25, 1, 0}));
  EXPECT_EQ(llvm::cantFail(weightsOf(graph, /*byEffect=*/false, nameOf)),
            (std::vector<double>{0.125, 0.25, 1, 0.75}));

  for (GraphLink &link : links)
    link.leastEffect = 0.25;
  std::optional<NearMiss> missed;
  graph = llvm::cantFail(walk({target}, links, bothWays(1), &missed));
  EXPECT_EQ(graph.nodes.size(), 3u);
  ASSERT_TRUE(missed.has_value());
  EXPECT_EQ(missed->similarity, 0.75);

  EXPECT_EQ(graph.withoutCase, 0);

  // Somebody looked, and there was no case: it reaches no threshold, and is counted
  // once, although both ways come along it.
  EffectKey empty{{"a", ""}, {"c", ""}, "m", "t"};
  llvm::cantFail(recordEffects(cache, empty, {{0, 0, std::nan(""), 0}}, "test"));
  EffectScores unseen = llvm::cantFail(EffectScores::load(cache, empty));
  std::filesystem::remove_all(folder);
  const EffectScores *seen = links[0].effects;
  links[0].effects = &unseen;
  for (GraphLink &link : links)
    link.leastEffect = -100;
  GraphNode both[] = {target, {0, res, 0, 0}};
  graph = llvm::cantFail(walk(both, links, bothWays(1)));
  EXPECT_EQ(graph.edges.size(), 2u);
  EXPECT_EQ(graph.withoutCase, 1);
  // Where nothing is asked, it is an edge, and its weight is none.
  for (GraphLink &link : links)
    link.leastEffect.reset();
  graph = llvm::cantFail(walk({target}, links, bothWays(1)));
  EXPECT_EQ(graph.edges[0].cases, 0);
  EXPECT_EQ(graph.withoutCase, 0);
  weights = llvm::cantFail(weightsOf(graph, /*byEffect=*/true, nameOf));
  EXPECT_EQ(weights, (std::vector<double>{0, 0.25, 1, 0}));
  links[0].effects = seen;

  // Nobody measured: nothing can be said.
  for (GraphLink &link : links)
    link.leastEffect = 0.25;
  links[0].effects = nullptr;
  auto unmeasured = walk({target}, links, bothWays(1));
  ASSERT_FALSE(static_cast<bool>(unmeasured));
  llvm::Error error = unmeasured.takeError();
  EXPECT_TRUE(error.isA<EffectNotMeasured>());
  EXPECT_EQ(llvm::toString(std::move(error)),
            "the effect of 0/res/0 on 1/res/0 was not measured");
  for (GraphLink &link : links)
    link.leastEffect.reset();
  graph = llvm::cantFail(walk({target}, links, bothWays(1)));
  auto weighed = weightsOf(graph, /*byEffect=*/true, nameOf);
  ASSERT_FALSE(static_cast<bool>(weighed));
  EXPECT_THAT(llvm::toString(weighed.takeError()), HasSubstr("not measured"));
}

TEST(FlowGraph, IsReadAsItWasWritten) {
  Matches matches = chain();
  FlowGraph graph =
      llvm::cantFail(walk({target}, matches.links(), bothWays(1)));
  std::string folder =
      (std::filesystem::temp_directory_path() / "weir-graph-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ResultCache cache = llvm::cantFail(ResultCache::open(folder));
  std::string key = sha256(llvm::StringRef("graph"));
  graph.withoutCase = 7;
  llvm::cantFail(graph.store(cache, key, "test"));
  auto entry = llvm::cantFail(cache.find(key));
  FlowGraph read = llvm::cantFail(FlowGraph::load(*entry));
  EXPECT_EQ(read.nodes, graph.nodes);
  EXPECT_EQ(read.targets, graph.targets);
  EXPECT_EQ(read.withoutCase, 7);
  ASSERT_EQ(read.edges.size(), graph.edges.size());
  for (size_t i = 0; i < read.edges.size(); ++i) {
    EXPECT_EQ(read.edges[i].from, graph.edges[i].from);
    EXPECT_EQ(read.edges[i].to, graph.edges[i].to);
    EXPECT_EQ(read.edges[i].similarity, graph.edges[i].similarity);
    EXPECT_TRUE(std::isnan(read.edges[i].effect));
    EXPECT_EQ(read.edges[i].cases, -1);
  }
  // Tensors that are no graph.
  FlowGraph broken = graph;
  std::swap(broken.nodes[0], broken.nodes[1]);
  llvm::cantFail(broken.store(cache, key, "test"));
  auto refused = FlowGraph::load(*llvm::cantFail(cache.find(key)));
  ASSERT_FALSE(static_cast<bool>(refused));
  EXPECT_THAT(llvm::toString(refused.takeError()), HasSubstr("out of order"));
  broken = graph;
  broken.edges[0].to = 9;
  llvm::cantFail(broken.store(cache, key, "test"));
  refused = FlowGraph::load(*llvm::cantFail(cache.find(key)));
  ASSERT_FALSE(static_cast<bool>(refused));
  EXPECT_THAT(llvm::toString(refused.takeError()), HasSubstr("no node"));
  std::filesystem::remove_all(folder);
}

TEST(FlowGraph, HasItsLimits) {
  // One feature of layer 1 leads back to each of too many.
  int64_t count = maxGraphNodes + 1;
  Matches matches;
  matches.tables = {{{0, res}, {1, res}, count, 1, 1, {}, {}}};
  matches.tables[0].indices.assign(count, 0);
  matches.tables[0].values.assign(count, 1);
  std::vector<GraphLink> links = matches.links();
  links[0].leadsBackward = false;
  auto large = walk({{1, res, 0, 0}}, links, bothWays(count));
  ASSERT_FALSE(static_cast<bool>(large));
  EXPECT_THAT(llvm::toString(large.takeError()),
              HasSubstr("the graph has more than 100000 nodes"));
  auto outside = walk({{1, res, 0, 1}}, links, bothWays(1));
  ASSERT_FALSE(static_cast<bool>(outside));
  EXPECT_THAT(llvm::toString(outside.takeError()),
              HasSubstr("feature 1/res/1 is out of range: the dictionary has "
                        "features 0 to 0"));
  for (auto [first, last] : {std::pair(count, int64_t(0)), std::pair(int64_t(0), int64_t(1))}) {
    auto path = strongestPath({0, res, 0, first}, {1, res, 0, last}, links, bothWays(1));
    ASSERT_FALSE(static_cast<bool>(path));
    EXPECT_THAT(llvm::toString(path.takeError()), HasSubstr("is out of range"));
  }
}

TEST(RandomDirections, QuantilesAreThoseOfAnyDirections) {
  EXPECT_EQ(quantileOf({1, 2, 4}, 0), 1);
  EXPECT_EQ(quantileOf({1, 2, 4}, 0.5), 2);
  EXPECT_EQ(quantileOf({1, 2, 4}, 0.75), 3);
  EXPECT_EQ(quantileOf({1, 2, 4}, 1), 4);

  // With one row in two dimensions the cosine is that of an angle, evenly spread.
  const float row[] = {3, 0};
  Matrix one = llvm::cantFail(Matrix::make("one", {MatrixPart::dense(row, 1, 2)}));
  std::vector<double> cosines = llvm::cantFail(bestOfRandomDirections(one));
  ASSERT_EQ(static_cast<int64_t>(cosines.size()), randomDirections);
  EXPECT_TRUE(std::is_sorted(cosines.begin(), cosines.end()));
  for (double q : {0.1, 0.25, 0.5, 0.9})
    // Three standard deviations of the median of so many.
    EXPECT_NEAR(quantileOf(cosines, q), std::cos(std::acos(-1.0) * (1 - q)), 0.11)
        << q;
  EXPECT_EQ(cosines, llvm::cantFail(bestOfRandomDirections(one)));
}

} // namespace
