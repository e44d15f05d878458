//===- BuildGraphs.cpp - From walks to graphs, and to features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphLinks.h"
#include "Selections.h"

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Locations.h"
#include "weir/Support/Words.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"

#include <cmath>

namespace weir::flow {
#define GEN_PASS_DEF_FLOWBUILDGRAPHSPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

using matching::FlowGraph;
using matching::GraphNode;

GraphNumbering::GraphNumbering(ModuleOp module) : context(module.getContext()) {
  for (auto collection : module.getOps<CollectionOp>())
    collections.push_back(FlatSymbolRefAttr::get(collection.getSymNameAttr()));
  llvm::sort(collections, [](FlatSymbolRefAttr a, FlatSymbolRefAttr b) {
    return a.getValue() < b.getValue();
  });
  for (auto [i, collection] : llvm::enumerate(collections))
    numbers[collection] = i;
}

GraphNode GraphNumbering::nodeOf(FeatureAttr feature) const {
  return {feature.getLayer(), static_cast<int32_t>(feature.getKind()),
          setOf(feature.getCollection()), feature.getIndex()};
}

FeatureAttr GraphNumbering::featureOf(const GraphNode &node) const {
  return FeatureAttr::get(context, collections[node.set],
                          static_cast<fx::SiteKind>(node.kind), node.layer,
                          node.feature);
}

namespace {

/// How many times the edges of one graph all graphs of a module may have together:
/// they are held at once.
constexpr uint64_t maxGraphsTogether = 5;

/// Part of every key. Counts up when the meaning of a walk changes.
constexpr StringLiteral keyVersion = "weir graph 2";

struct FlowBuildGraphs : flow::impl::FlowBuildGraphsPassBase<FlowBuildGraphs> {
  using Base::Base;
  FlowBuildGraphs() = default;
  FlowBuildGraphs(FlowBuildGraphsPassOptions options,
                  std::shared_ptr<Resources> resources, GraphObserver observer)
      : Base(std::move(options)), resources(std::move(resources)),
        observer(std::move(observer)) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    Base::getDependentDialects(registry);
    registerEvaluation(registry);
  }

  void runOnOperation() override;

private:
  struct Run;

  LogicalResult add(Run &run, Operation &op);
  FailureOr<FlowGraph> build(Run &run, GraphOp op);
  FailureOr<FlowGraph> build(Run &run, PathOp op);
  FailureOr<FlowGraph> combine(Run &run, Operation *op);
  LogicalResult replace(Run &run, PartOp op);
  FailureOr<FeatureList> featuresOf(Run &run, Value features, Location loc);
  /// The commands that measure what the walks behind a graph have not measured,
  /// each once.
  SmallVector<std::string> measuringCommands(Run &run, Value graph);

  using Made = llvm::function_ref<llvm::Expected<FlowGraph>()>;
  FailureOr<FlowGraph> findOrMake(Run &run, WalkOpInterface walk,
                                  const std::string &text, Location loc,
                                  Made make);

  std::shared_ptr<Resources> resources = Resources::create({});
  GraphObserver observer;
};

/// What is known while a module is gone through.
struct FlowBuildGraphs::Run {
  Run(ModuleOp module, Resources &resources, bool candidates)
      : module(module), store(module, resources),
        links(module, resources, store, candidates), numbering(module) {}

  std::string nameOf(const GraphNode &node) const {
    return describe(numbering.featureOf(node), module);
  }
  matching::WalkOptions options(MatchingOp matching, int32_t set) const {
    matching::WalkOptions options;
    options.anySimilarity = matching.getMethod().getSimilarityKind() ==
                            Similarity::MeanSquaredError;
    // Nodes of a walk are of one collection, which they do not name.
    options.nameOf = [this, set](GraphNode node) {
      node.set = set;
      return nameOf(node);
    };
    return options;
  }

  ModuleOp module;
  DictionaryStore store;
  LinkReader links;
  GraphNumbering numbering;
  llvm::DenseMap<Value, std::unique_ptr<const FlowGraph>> graphs;
  llvm::DenseMap<Value, FeatureList> features;
  size_t edges = 0;
};

} // namespace

/// What a spec calls a value, "faith"; empty for what it gives no name.
static StringRef specNameOf(Operation *op) {
  Location location = op->getLoc();
  if (auto fused = dyn_cast<FusedLoc>(location))
    if (!fused.getLocations().empty())
      location = fused.getLocations().front();
  auto named = dyn_cast<NameLoc>(location);
  return named ? named.getName().getValue() : StringRef();
}

/// "the graph 'faith'".
static std::string nameOf(Operation *op) {
  StringRef name = specNameOf(op);
  return name.empty() ? "the graph" : ("the graph '" + name + "'").str();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

void FlowBuildGraphs::runOnOperation() {
  ModuleOp module = getOperation();
  auto isOne = [](Type type) { return isa<flow::GraphType>(type); };
  // Without a graph there is no need for a cache either.
  if (llvm::none_of(module.getOps(), [&](Operation &op) {
        return llvm::any_of(op.getResultTypes(), isOne);
      }))
    return;
  Run run(module, *resources, candidates);
  bool failedAny = false;
  // Operands come before their users.
  for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
    bool isMissing = llvm::any_of(op.getOperands(), [&](Value operand) {
      return isOne(operand.getType()) && !run.graphs.contains(operand);
    });
    // What is made of a graph with an error has none of its own.
    failedAny |= isMissing || failed(add(run, op));
  }
  if (failedAny)
    signalPassFailure();
}

LogicalResult FlowBuildGraphs::add(Run &run, Operation &op) {
  if (auto part = dyn_cast<PartOp>(op))
    return replace(run, part);
  if (op.getNumResults() != 1 ||
      !isa<flow::GraphType>(op.getResult(0).getType()))
    return success();
  auto graph = llvm::TypeSwitch<Operation *, FailureOr<FlowGraph>>(&op)
                   .Case<GraphOp, PathOp>(
                       [&](auto walk) { return build(run, walk); })
                   .Default([&](Operation *) { return combine(run, &op); });
  if (failed(graph))
    return failure();
  // Walks stop before; what is made of them, or was kept, may be larger.
  if (graph->nodes.size() > maxNodes)
    return op.emitError() << ::nameOf(&op) << " has more than "
                          << maxNodes.getValue() << " nodes";
  if (graph->edges.size() > maxEdges)
    return op.emitError() << ::nameOf(&op) << " has more than "
                          << maxEdges.getValue() << " edges";
  run.edges += graph->edges.size();
  if (run.edges > maxGraphsTogether * maxEdges)
    return op.emitError() << "the graphs up to this one have more than "
                          << maxGraphsTogether * maxEdges << " edges together";
  numNodes += graph->nodes.size();
  numEdges += graph->edges.size();
  remark::passed(op.getLoc(),
                 remark::RemarkOpts::name("BuiltGraph").category(getArgument()))
      << (::nameOf(&op) + " has " + Twine(graph->nodes.size()) + " nodes and " +
          Twine(graph->edges.size()) + " edges, in layers " +
          Twine(graph->nodes.front().layer) + " to " +
          Twine(graph->nodes.back().layer))
             .str();
  if (observer)
    observer(op.getResult(0), *graph);
  run.graphs[op.getResult(0)] =
      std::make_unique<const FlowGraph>(std::move(*graph));
  return success();
}

/// The features of a list that a walk begins at.
FailureOr<FeatureList> FlowBuildGraphs::featuresOf(Run &run, Value value,
                                                   Location loc) {
  if (auto known = run.features.find(value); known != run.features.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  FailureOr<FeatureList> list = failure();
  if (auto select = dyn_cast_or_null<SelectOp>(op)) {
    // Single features are held against the match.
    list = select.isResolved() ? FailureOr<FeatureList>(select.getList())
                               : flow::featuresOf(select, run.store);
  } else if (auto combine = dyn_cast_or_null<CombineOpInterface>(op)) {
    SmallVector<FeatureList> operands;
    for (Value operand : op->getOperands()) {
      auto features = featuresOf(run, operand, loc);
      if (failed(features))
        return failure();
      operands.push_back(std::move(*features));
    }
    list = combine.combine(operands);
  } else if (auto opposed = dyn_cast_or_null<OpposedOp>(op)) {
    auto of = featuresOf(run, opposed.getOf(), loc);
    if (failed(of))
      return failure();
    list = flow::featuresOf(opposed, *of, run.store);
  } else if (isa_and_nonnull<PartOp>(op)) {
    return failure(); // it had an error
  } else {
    return emitError(loc) << "begins at features that are not known yet: run "
                             "flow-follow before";
  }
  if (succeeded(list))
    run.features[value] = *list;
  return list;
}

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

FailureOr<FlowGraph>
FlowBuildGraphs::findOrMake(Run &run, WalkOpInterface walk,
                            const std::string &text, Location loc, Made make) {
  auto cache = resources->cache();
  if (!cache)
    return walk->emitError() << llvm::toString(cache.takeError());
  std::string key = sha256(StringRef(text));
  auto damaged = [&](llvm::Error problem) -> LogicalResult {
    emitWarning(walk->getLoc())
        << "an entry of the cache is damaged and is made anew: "
        << llvm::toString(std::move(problem));
    if (llvm::Error error = cache->remove(key))
      return walk->emitError() << llvm::toString(std::move(error));
    return success();
  };
  std::optional<FlowGraph> graph;
  auto entry = cache->find(key);
  if (!entry) {
    if (failed(damaged(entry.takeError())))
      return failure();
  } else if (*entry) {
    auto loaded = FlowGraph::load(**entry);
    if (loaded)
      graph = std::move(*loaded);
    else if (failed(damaged(loaded.takeError())))
      return failure();
  }
  numFound += graph.has_value();
  bool isNew = !graph;
  if (isNew) {
    auto made = make();
    if (!made) {
      llvm::Error error = made.takeError();
      bool unmeasured = error.isA<matching::EffectNotMeasured>();
      InFlightDiagnostic diag =
          emitError(unmeasured ? locationOf(walk, "keep") : loc)
          << llvm::toString(std::move(error));
      if (unmeasured)
        diag << " on '" << walk.getTextRef().getValue()
             << "'; measure it with: " << run.links.measuringCommand(walk, specNameOf(walk));
      return diag;
    }
    graph = std::move(*made);
  }
  if (graph->withoutCase > 0)
    emitWarning(locationOf(walk, "keep"))
        << countOf(graph->withoutCase, "edge") << " of " << ::nameOf(walk)
        << (graph->withoutCase == 1 ? " is" : " are")
        << " left out: no case of " << (graph->withoutCase == 1 ? "it" : "them")
        << " was found on '" << walk.getTextRef().getValue()
        << "', no token at which both features are active";
  if (graph->edges.empty())
    return std::move(*graph);
  if (isNew) {
    ++numBuilt;
    std::string about = ::nameOf(walk) + ": " +
                        std::to_string(graph->nodes.size()) + " nodes";
    if (llvm::Error error = graph->store(*cache, key, about))
      return walk->emitError() << llvm::toString(std::move(error));
  }
  walk.setBuilt(ResultAttr::forKey(&getContext(), key));
  int32_t set = run.numbering.setOf(
      run.module.lookupSymbol<MatchingOp>(walk.getMatchingRef())
          .getCollectionAttr());
  for (GraphNode &node : graph->nodes)
    node.set = set;
  return std::move(*graph);
}

SmallVector<std::string> FlowBuildGraphs::measuringCommands(Run &run,
                                                            Value graph) {
  SmallVector<std::string> commands;
  llvm::SetVector<Value> graphs;
  graphs.insert(graph);
  for (size_t i = 0; i < graphs.size(); ++i) {
    Operation *op = graphs[i].getDefiningOp();
    if (auto walk = dyn_cast<WalkOpInterface>(op)) {
      if (llvm::any_of(run.graphs.at(graphs[i])->edges,
                       [](auto &edge) { return edge.cases < 0; }))
        if (std::string command = run.links.measuringCommand(walk, specNameOf(walk));
            !llvm::is_contained(commands, command))
          commands.push_back(std::move(command));
      continue;
    }
    for (Value operand : op->getOperands())
      graphs.insert(operand);
  }
  return commands;
}

/// A node in the text that a key is made of.
static std::string textOf(const GraphNode &node) {
  return std::to_string(node.layer) + "/" + std::to_string(node.kind) + "/" +
         std::to_string(node.feature);
}

FailureOr<FlowGraph> FlowBuildGraphs::build(Run &run, GraphOp op) {
  auto matching = run.module.lookupSymbol<MatchingOp>(op.getMatchingAttr());
  Location from = locationOf(op, "from");
  auto features = featuresOf(run, op.getFrom(), from);
  if (failed(features))
    return failure();
  if (features->features.empty())
    return emitError(from) << ::nameOf(op) << " begins at no feature";
  std::vector<GraphNode> targets;
  for (FeatureAttr feature : features->features) {
    if (failed(checkCollection(matching, feature.getCollection(), from)))
      return failure();
    GraphNode node = run.numbering.nodeOf(feature);
    node.set = 0;
    targets.push_back(node);
  }
  llvm::sort(targets);
  auto links = run.links.read(op);
  if (failed(links))
    return failure();

  matching::WalkOptions options =
      run.options(matching, run.numbering.setOf(matching.getCollectionAttr()));
  options.maxNodes = maxNodes;
  options.maxEdges = maxEdges;
  options.backward = op.getDirection() != Direction::Forward;
  options.forward = op.getDirection() != Direction::Backward;
  options.width = op.getWidth();
  std::string text = (keyVersion + "\n" + stringifyDirection(op.getDirection()) +
                      " width " + Twine(op.getWidth()) + " any " +
                      Twine(options.anySimilarity))
                         .str();
  for (const GraphNode &target : targets)
    text += "\n" + textOf(target);
  std::optional<matching::NearMiss> missed;
  auto graph = findOrMake(run, op, text + "\n" + links->key, from, [&] {
    return matching::walk(targets, links->links, options, &missed);
  });
  if (failed(graph) || !graph->edges.empty())
    return graph;
  InFlightDiagnostic diag = emitError(locationOf(op, "keep"))
                            << ::nameOf(op) << " is empty: nothing leads "
                            << (options.backward && options.forward ? "to or from"
                                : options.backward                  ? "to"
                                                                    : "on from")
                            << " its target"
                            << (targets.size() == 1 ? " " : "s ")
                            << options.nameOf(targets.front())
                            << (targets.size() == 1 ? "" : ", …");
  if (missed) {
    std::string similarity;
    llvm::raw_string_ostream(similarity)
        << llvm::format("%.4g", missed->similarity);
    diag << "; the most similar edge that 'keep' leaves out is "
         << options.nameOf(missed->from) << " to " << options.nameOf(missed->to)
         << " with " << similarity;
  }
  return diag;
}

FailureOr<FlowGraph> FlowBuildGraphs::build(Run &run, PathOp op) {
  auto matching = run.module.lookupSymbol<MatchingOp>(op.getMatchingAttr());
  Location loc = locationOf(op, "path");
  auto links = run.links.read(op);
  if (failed(links))
    return failure();
  GraphNode first = run.numbering.nodeOf(op.getFirst());
  GraphNode last = run.numbering.nodeOf(op.getLast());
  matching::WalkOptions options = run.options(matching, first.set);
  first.set = last.set = 0;
  std::string text = (keyVersion + "\npath\n" + textOf(first) + "\n" +
                      textOf(last) + "\n" + links->key)
                         .str();
  auto graph = findOrMake(
      run, op, text, loc, [&]() -> llvm::Expected<FlowGraph> {
        auto path =
            matching::strongestPath(first, last, links->links, options);
        if (!path)
          return path.takeError();
        return *path ? std::move(**path) : FlowGraph();
      });
  if (succeeded(graph) && graph->edges.empty())
    return emitError(loc) << "no path leads from " << options.nameOf(first)
                          << " to " << options.nameOf(last) << " by "
                          << op.getMatchingAttr();
  return graph;
}

//===----------------------------------------------------------------------===//
// Algebra and parts
//===----------------------------------------------------------------------===//

FailureOr<FlowGraph> FlowBuildGraphs::combine(Run &run, Operation *op) {
  SmallVector<const FlowGraph *> operands;
  for (Value operand : op->getOperands())
    operands.push_back(run.graphs[operand].get());
  FlowGraph graph =
      llvm::TypeSwitch<Operation *, FlowGraph>(op)
          .Case([&](GraphUnionOp) { return matching::unite(operands); })
          .Case(
              [&](GraphIntersectionOp) { return matching::intersect(operands); })
          .Case([&](GraphDifferenceOp) {
            return matching::subtract(*operands[0], *operands[1]);
          })
          .Default([](Operation *) { return FlowGraph(); });
  if (graph.empty())
    return op->emitError() << ::nameOf(op) << " is empty: "
                           << (isa<GraphIntersectionOp>(op)
                                   ? "there is no node that all of its graphs have"
                                   : "nothing is left when what it takes away is "
                                     "taken away");
  return graph;
}

LogicalResult FlowBuildGraphs::replace(Run &run, PartOp op) {
  const FlowGraph &graph = *run.graphs[op.getGraph()];
  matching::GraphPart part;
  if (op.getSites())
    for (auto kind : op.getSites()->getAsRange<fx::SiteKindAttr>())
      part.kinds.push_back(static_cast<int32_t>(kind.getValue()));
  if (op.getFirstLayer())
    part.layers = std::pair<int64_t, int64_t>(*op.getFirstLayer(),
                                              *op.getLastLayer());
  if (op.getEnds())
    part.ends = *op.getEnds() == Ends::Roots ? matching::GraphPart::Ends::Roots
                                             : matching::GraphPart::Ends::Leaves;
  if (op.getSteps())
    part.steps = *op.getSteps();
  std::vector<int64_t> positions = matching::select(graph, part);
  std::string name = ::nameOf(op.getGraph().getDefiningOp());
  if (positions.empty())
    return op.emitError() << "selects no node of " << name << ", which has "
                          << graph.nodes.size() << " in layers "
                          << graph.nodes.front().layer << " to "
                          << graph.nodes.back().layer;

  auto nameOf = [&](const GraphNode &node) { return run.nameOf(node); };
  std::vector<double> weights;
  std::optional<Weight> weight = op.getWeight();
  // What is still to be measured weighs nothing yet.
  if (weight && !(candidates && *weight == Weight::Effect)) {
    auto found =
        matching::weightsOf(graph, *weight == Weight::Effect, nameOf);
    if (!found)
      return op.emitError()
             << llvm::toString(found.takeError()) << "; measure it with: "
             << llvm::join(measuringCommands(run, op.getGraph()), "; ");
    weights = std::move(*found);
    int64_t withoutCase = llvm::count_if(
        graph.edges, [](auto &edge) { return edge.cases == 0; });
    if (*weight == Weight::Effect && withoutCase > 0)
      op.emitWarning() << countOf(withoutCase, "edge") << " of " << name
                       << (withoutCase == 1 ? " counts" : " count")
                       << " as no effect: no case of "
                       << (withoutCase == 1 ? "it" : "them")
                       << " was found on the text, no token at which both "
                          "features are active";
  }
  FeatureList list;
  constexpr size_t shown = 5;
  SmallVector<std::string, shown> weightless;
  size_t numWeightless = 0;
  for (int64_t position : positions) {
    const GraphNode &node = graph.nodes[position];
    if (!weights.empty()) {
      double weight = weights[position];
      if (std::isnan(weight))
        return op.emitError()
               << "feature " << nameOf(node) << " of " << name
               << " has no weight: no path joins it with a target";
      if (weight == 0) {
        if (++numWeightless <= shown)
          weightless.push_back(nameOf(node));
        continue;
      }
      list.weights.push_back(weight);
    }
    list.features.push_back(run.numbering.featureOf(node));
  }
  if (numWeightless > 0) {
    InFlightDiagnostic diag = op.emitWarning();
    diag << numWeightless << " of " << positions.size() << " nodes of " << name
         << " have the weight 0 and are left out: "
         << llvm::join(weightless, ", ");
    if (numWeightless > shown)
      diag << " and " << numWeightless - shown << " more";
  }
  if (list.features.empty())
    return op.emitError() << "selects no node of " << name
                          << " with a weight above 0";
  OpBuilder builder(op);
  auto select = SelectOp::create(builder, op.getLoc(), list);
  run.features[select.getFeatures()] = std::move(list);
  op.getFeatures().replaceAllUsesWith(select.getFeatures());
  op.erase();
  return success();
}

std::unique_ptr<Pass>
flow::createFlowBuildGraphsPass(FlowBuildGraphsPassOptions options,
                                std::shared_ptr<Resources> resources,
                                GraphObserver observer) {
  return std::make_unique<FlowBuildGraphs>(
      std::move(options), std::move(resources), std::move(observer));
}
