//===- ValidationTargets.cpp - Which features are validated, by what ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ValidationJob.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Driver/MatchChains.h"
#include "weir/Spec/Source.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/Builders.h"

#include <numeric>
#include <set>

using namespace mlir;
using namespace weir;

//===----------------------------------------------------------------------===//
// What the spec says
//===----------------------------------------------------------------------===//

static bool isTopK(flow::MatchingOp matching) {
  return isa<flow::TopKAttr>(matching.getMethod());
}

LogicalResult Validation::chooseMatches() {
  ModuleOp module = spec.module();
  bool severalTopK = false, severalPermutations = false;
  SmallVector<flow::MatchingOp> given;
  for (const std::string &name : options.matches) {
    auto all = module.getOps<flow::MatchingOp>();
    auto found = llvm::find_if(all, [&](flow::MatchingOp matching) {
      return specName(matching.getSymName()) == name;
    });
    if (found == all.end())
      return error() << "--match: the spec has no match '" << name << "'";
    given.push_back(*found);
  }
  for (auto matching : module.getOps<flow::MatchingOp>()) {
    if (!options.matches.empty() && !llvm::is_contained(given, matching))
      continue;
    flow::MatchingOp &place = isTopK(matching) ? topK : permutation;
    // Graphs say which matches they follow; only some methods ask for others.
    if (place && followsGraphs() && options.matches.empty()) {
      (isTopK(matching) ? severalTopK : severalPermutations) = true;
      continue;
    }
    if (place)
      return matching.emitError()
             << "'" << specName(place.getSymName()) << "' and '"
             << specName(matching.getSymName()) << "' are both matches by "
             << (isTopK(matching) ? "top_k" : "permutation")
             << "; say which one is meant with --match";
    place = matching;
  }
  if (severalTopK)
    topK = {};
  if (severalPermutations)
    permutation = {};
  if (followsGraphs())
    return success();
  if (!topK && !permutation)
    return error() << "the spec has no match to validate; give it a section "
                      "'matches'";
  if (topK && permutation && topK.getCollection() != permutation.getCollection())
    return permutation.emitError()
           << "the matches are of different dictionaries; choose some with "
              "--match";
  return success();
}

LogicalResult Validation::chooseMethods() {
  result.methods = options.methods;
  if (result.methods.empty()) {
    if (topK)
      result.methods = {ValidationMethod::Top1, ValidationMethod::RandomOf5,
                        ValidationMethod::Top5};
    if (topK || followsGraphs())
      result.methods.push_back(ValidationMethod::Joint);
    if (followsGraphs())
      result.methods.push_back(ValidationMethod::Edges);
    if (permutation)
      result.methods.push_back(ValidationMethod::Permutation);
  }
  llvm::sort(result.methods);
  result.methods.erase(llvm::unique(result.methods), result.methods.end());
  bool needsTopK = !followsGraphs();
  for (ValidationMethod method : result.methods) {
    const bool ofGraphs =
        method == ValidationMethod::Edges ||
        (method == ValidationMethod::Joint && followsGraphs());
    if (ofGraphs && !followsGraphs())
      return error() << "the method 'edges' is of the features of graphs; leave "
                        "--sample out";
    if (ofGraphs)
      continue;
    const bool isPermutation = method == ValidationMethod::Permutation;
    needsTopK |= !isPermutation;
    if (isPermutation ? permutation : topK)
      continue;
    return error() << "the method '" << nameOf(method) << "' needs a match by "
                   << (isPermutation ? "permutation" : "top_k")
                   << ", and there is none"
                   << (followsGraphs() ? " or several: say which with --match"
                                       : "");
  }
  if (!wants(ValidationMethod::Permutation))
    permutation = {};
  // Without graphs, groups are those of the most similar features, whatever the
  // method.
  if (!needsTopK)
    topK = {};
  plan.followsGraphs = followsGraphs();
  plan.removed = wants(ValidationMethod::Top5) ? 5 : 1;
  return success();
}

/// Where sites of a layer stand in most models. What a model has is asked later.
static int usualPlace(fx::SiteKind kind) {
  switch (kind) {
  case fx::SiteKind::Emb:
    return -1;
  case fx::SiteKind::Head:
    return 0;
  case fx::SiteKind::Att:
    return 1;
  case fx::SiteKind::Mid:
    return 2;
  case fx::SiteKind::MlpIn:
    return 3;
  case fx::SiteKind::Neuron:
    return 4;
  case fx::SiteKind::Mlp:
    return 5;
  case fx::SiteKind::Res:
    return 6;
  }
  llvm_unreachable("unknown site");
}

/// Where a node of a graph is, which its name says as a spec would.
Validation::Place Validation::placeOf(const NamedGraph::Node &node) const {
  const auto parsed = llvm::cantFail(FollowedFeature::parse(node.feature));
  Place place;
  place.index = static_cast<int32_t>(parsed.index);
  place.site.kind = *fx::symbolizeSiteKind(parsed.site);
  place.site.layer = parsed.layer;
  for (auto collection : spec.module().getOps<flow::CollectionOp>())
    if (parsed.dictionary.empty() ||
        specName(collection.getSymName()) == parsed.dictionary)
      place.site.collection = collection.getSymName().str();
  return place;
}

/// Builds the graphs of the spec. Edges that were not measured yet, or do not reach
/// the effect that `keep` asks for, are there: they are those to be measured.
LogicalResult Validation::readGraphs() {
  if (!followsGraphs())
    return success();
  if (llvm::none_of(spec.module().getOps(), [](Operation &op) {
        return llvm::any_of(op.getResultTypes(), llvm::IsaPred<flow::GraphType>);
      }))
    return error() << "which features are to be validated? The spec has no section "
                      "'graphs'. Give --sample N for N features of each layer";
  grapher.emplace(context, spec.settings(), spec.opened());
  if (failed(grapher->load(OwningOpRef<ModuleOp>(spec.module().clone()),
                           /*withModel=*/false)) ||
      (grapher->graphsNeedModel() && failed(grapher->loadModel())) ||
      failed(grapher->graphs(graphs, /*candidates=*/true)))
    return failure();
  for (const NamedGraph &graph : graphs.graphs())
    if (options.graphs.empty() || llvm::is_contained(options.graphs, graph.name)) {
      chosenGraphs.push_back(&graph);
      result.graphs.push_back(graph.name);
    }
  std::vector<StringRef> names;
  for (const NamedGraph &graph : graphs.graphs())
    names.push_back(graph.name);
  for (const std::string &name : options.graphs)
    if (!llvm::is_contained(names, name))
      return error() << "--graph: there is no graph " << spec::inQuotes(name)
                     << spec::suggest(name, names, "the spec has");
  return success();
}

/// Computes the matches, with as many of the best as the methods need.
LogicalResult Validation::match() {
  if (!topK && !permutation)
    return success();
  OwningOpRef<ModuleOp> module = ModuleOp::create(spec.module().getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (Operation &op : spec.module().getOps()) {
    auto matching = dyn_cast<flow::MatchingOp>(op);
    if (!isa<flow::CollectionOp, steer::ModelOp>(op) &&
        (!matching || (matching != topK && matching != permutation)))
      continue;
    Operation *copy = builder.clone(op);
    if (!matching || !isTopK(matching))
      continue;
    auto method = cast<flow::TopKAttr>(matching.getMethod());
    bool needsFive = wants(ValidationMethod::Top5) ||
                     wants(ValidationMethod::RandomOf5);
    cast<flow::MatchingOp>(copy).setMethodAttr(flow::TopKAttr::get(
        &context, std::max<int64_t>(method.getK(), needsFive ? 5 : 1),
        method.getSimilarity()));
  }
  matcher.emplace(context, spec.settings(),
                  grapher ? grapher->opened() : spec.opened());
  if (failed(matcher->load(std::move(module), /*withModel=*/false)))
    return failure();
  if (matcher->matchingNeedsModel() && failed(matcher->loadModel()))
    return failure();
  auto keep = [&](flow::PairOpInterface pair,
                  const matching::Matcher::Outcome &outcome) {
    const bool isTopK = pair.getNumBest().has_value();
    auto siteOf = [&](FlatSymbolRefAttr name) {
      flow::SiteAttr site = matcher->module()
                                .lookupSymbol<flow::DictionaryOp>(name.getAttr())
                                .getSite();
      return ActivationSite{(isTopK ? topK : permutation).getCollection().str(),
                            site.getKind(), site.getLayer()};
    };
    found.push_back({siteOf(pair.getSourceRef()), siteOf(pair.getTargetRef()),
                     isTopK, outcome.match});
    matchKeys.push_back(outcome.key);
  };
  return matcher->matchPairs(keep);
}

/// The sites that take part, and what leads from one to another.
void Validation::placeSites() {
  auto add = [&](const ActivationSite &site) {
    if (!llvm::is_contained(plan.sites, site))
      plan.sites.push_back(site);
  };
  if (followsGraphs()) {
    // What leads to no feature of a graph is not looked at.
    std::vector<ActivationSite> nodes;
    for (const NamedGraph *graph : chosenGraphs) {
      for (const NamedGraph::Node &node : graph->nodes)
        nodes.push_back(placeOf(node).site);
      for (const NamedGraph::Edge &edge : graph->edges)
        for (size_t end : {edge.from, edge.to})
          add(placeOf(graph->nodes[end]).site);
    }
    llvm::erase_if(found, [&](const Found &each) {
      return !llvm::is_contained(nodes, each.isTopK ? each.source : each.target);
    });
  }
  for (const Found &each : found)
    for (const ActivationSite &site : {each.source, each.target})
      add(site);
  llvm::sort(plan.sites, [](const ActivationSite &a, const ActivationSite &b) {
    return std::tuple(a.layer, usualPlace(a.kind), StringRef(a.collection)) <
           std::tuple(b.layer, usualPlace(b.kind), StringRef(b.collection));
  });
  for (Found &each : found) {
    ValidationLink link;
    matching::Match &match = each.match;
    if (each.isTopK) {
      link.target = siteOf(each.source);
      link.predecessor = siteOf(each.target);
      link.k = match.k;
      link.indices = std::move(match.indices);
      link.values = std::move(match.values);
    } else {
      // From each feature to one behind it: the other way round.
      link.isPermutation = true;
      link.target = siteOf(each.target);
      link.predecessor = siteOf(each.source);
      link.indices.assign(match.columns, -1);
      link.values.assign(match.columns, 0);
      for (int64_t i = 0; i < match.rows; ++i)
        if (int64_t j = match.indices[i]; j >= 0) {
          link.indices[j] = i;
          link.values[j] = match.values[i];
        }
    }
    plan.links.push_back(std::move(link));
  }
}

LogicalResult Validation::chooseTargets() {
  placeSites();
  if (!followsGraphs())
    return chooseSample();
  chooseNodes();
  return success();
}

/// Features of graphs that have predecessors: there, or by a match.
void Validation::chooseNodes() {
  std::set<size_t> linked;
  for (const ValidationLink &link : plan.links)
    linked.insert(link.target);
  std::set<ValidationFeature> targets;
  for (const NamedGraph *graph : chosenGraphs) {
    auto featureOf = [&](size_t node) {
      const Place place = placeOf(graph->nodes[node]);
      return ValidationFeature{static_cast<uint32_t>(siteOf(place.site)),
                               place.index};
    };
    for (const NamedGraph::Edge &edge : graph->edges) {
      ValidationFeature target = featureOf(edge.to);
      targets.insert(target);
      std::vector<ValidationPredecessor> &known = plan.edges[target];
      ValidationPredecessor next{featureOf(edge.from), edge.similarity};
      auto same = llvm::find_if(known, [&](const ValidationPredecessor &each) {
        return each.feature == next.feature;
      });
      if (same == known.end())
        known.push_back(next);
      else // by another match
        same->similarity = std::max(same->similarity, next.similarity);
    }
    for (size_t node = 0; node < graph->nodes.size(); ++node)
      if (linked.contains(featureOf(node).site))
        targets.insert(featureOf(node));
  }
  plan.targets.assign(targets.begin(), targets.end());
  for (auto &[target, known] : plan.edges) {
    llvm::sort(known, [](const ValidationPredecessor &a,
                         const ValidationPredecessor &b) {
      return std::tuple(-a.similarity, a.feature) <
             std::tuple(-b.similarity, b.feature);
    });
    std::map<uint32_t, int64_t> together; // by site
    for (const ValidationPredecessor &each : known)
      plan.removed = std::max(plan.removed, ++together[each.feature.site]);
  }
}

/// Features of each site that has predecessors, `sample` of them at most.
LogicalResult Validation::chooseSample() {
  std::map<size_t, int64_t> sizes; // by site
  for (const ValidationLink &link : plan.links)
    sizes[link.target] =
        static_cast<int64_t>(link.indices.size()) / link.k;
  for (auto [site, size] : sizes) {
    // The first of a shuffled list, however many are asked for.
    std::vector<int32_t> all(size);
    std::iota(all.begin(), all.end(), 0);
    const ActivationSite &place = plan.sites[site];
    uint64_t state = options.seed + 0x632be59bd9b4e019 *
                                        (uint64_t(place.layer) * 16 +
                                         uint64_t(place.kind) + 1);
    auto next = [&] {
      state += 0x9e3779b97f4a7c15;
      uint64_t mixed = state;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      return mixed ^ (mixed >> 31);
    };
    int64_t count = std::min<int64_t>(*options.sample, size);
    for (int64_t i = 0; i < count; ++i) {
      std::swap(all[i], all[i + static_cast<int64_t>(next() % uint64_t(size - i))]);
      plan.targets.push_back({static_cast<uint32_t>(site), all[i]});
    }
  }
  return success();
}
