//===- ExpandMatchings.cpp - From matchings to pairs of dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Locations.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetOperations.h"
#include "llvm/ADT/SetVector.h"

namespace weir::flow {
#define GEN_PASS_DEF_FLOWEXPANDMATCHINGSPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

/// The ends of a match: the symbols of two dictionaries.
using Ends = std::pair<StringAttr, StringAttr>;

/// A collection and a site that it covers.
using Place = std::pair<StringAttr, SiteAttr>;

struct ExpandMatchings
    : flow::impl::FlowExpandMatchingsPassBase<ExpandMatchings> {
  using Base::Base;
  ExpandMatchings() = default;
  ExpandMatchings(FlowExpandMatchingsPassOptions options,
                  std::shared_ptr<Resources> resources)
      : Base(std::move(options)), resources(std::move(resources)) {}

  void runOnOperation() override {
    ModuleOp module = getOperation();
    DictionaryStore store(module, *resources);
    if (failed(store.checkModel()))
      return signalPassFailure();
    bool failedAny = false;
    // What was expanded before, by another run of this pass.
    made.clear();
    for (auto op : module.getOps<PairOpInterface>())
      if (auto matching = op.getMatchingRef())
        made[matching.getAttr()][Ends{op.getSourceRef().getAttr(),
                                      op.getTargetRef().getAttr()}] = op;

    if (all)
      for (auto matching :
           llvm::make_early_inc_range(module.getOps<MatchingOp>()))
        failedAny |= failed(expandAll(matching, store));
    else if (!unused)
      eraseUnusedGraphs(module);
    // Operands come before their users.
    places.clear();
    for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
      if (auto select = dyn_cast<SelectOp>(op))
        for (auto selector :
             select.getSelectors().getAsRange<SelectorAttrInterface>())
          places[select.getFeatures()].insert(
              {selector.getCollectionRef().getAttr(),
               SiteAttr::get(&getContext(), selector.getSiteKind(),
                             selector.getSiteLayer())});
      else if (auto combine = dyn_cast<CombineOpInterface>(op))
        addPlacesOfOperands(&op);
      else if (auto follow = dyn_cast<FollowOp>(op))
        failedAny |= failed(expandFor(follow, store));
      else if (auto graph = dyn_cast<GraphOp>(op))
        failedAny |= failed(expandFor(graph, store));
      else if (auto path = dyn_cast<PathOp>(op))
        failedAny |= failed(expandFor(path, store));
      else if (isa<PartOp, OpposedOp>(op) ||
               llvm::any_of(op.getResultTypes(), llvm::IsaPred<flow::GraphType>))
        addPlacesOfOperands(&op);
      else if (auto bridge = dyn_cast<BridgeOp>(op))
        failedAny |= failed(expandFor(bridge, store));
    }
    if (failedAny)
      signalPassFailure();
  }

private:
  void addPlacesOfOperands(Operation *op) {
    llvm::SetVector<Place> all;
    for (Value operand : op->getOperands())
      all.insert_range(places.lookup(operand));
    for (Value result : op->getResults())
      places[result] = all;
  }

  /// The pairs that lead from or to the features that an op follows.
  LogicalResult expandFor(FollowOp follow, DictionaryStore &store) {
    Location loc = follow.getLoc();
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(follow.getMatchingAttr());
    llvm::SetVector<Place> ends;
    llvm::SetVector<Value> maps;
    for (auto [collection, site] : places.lookup(follow.getOf())) {
      if (failed(checkCollection(
              matching, FlatSymbolRefAttr::get(collection), loc)))
        return failure();
      auto links = linksFrom(matching, site, follow.getSide());
      if (links.empty())
        return noLink(matching, site, follow.getSide(), loc);
      for (const FollowedLink &followed : links) {
        auto map = expand(matching, followed.link, store);
        if (failed(map))
          return failure();
        maps.insert(*map);
        ends.insert({collection, followed.end(&getContext())});
      }
    }
    follow.getMapsMutable().assign(maps.getArrayRef());
    places[follow.getFeatures()] = ends;
    return success();
  }

  /// The permutation from one end of a bridge to the other, composed of those of
  /// the layers between them.
  LogicalResult expandFor(BridgeOp bridge, DictionaryStore &store) {
    if (!bridge.getMatchingAttr() || bridge.getMap())
      return success();
    Location loc = bridge.getLoc();
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(bridge.getMatchingAttr());
    if (failed(checkCollection(matching, bridge.getCollectionAttr(), loc)))
      return failure();
    if (!isa<PermutationAttr>(matching.getMethod())) {
      InFlightDiagnostic diag = emitError(loc)
                                << bridge.getMatchingAttr()
                                << " gives a feature no single one of the next "
                                   "layer: a permutation does";
      diag.attachNote(matching.getLoc()) << "the match";
      return diag;
    }
    SmallVector<Value> maps;
    SmallVector<Link> links = matching.getLinks();
    fx::SiteKind kind = bridge.getFrom().getKind();
    for (int64_t layer = bridge.getFrom().getLayer();
         layer < bridge.getTo().getLayer(); ++layer) {
      const Link *link = llvm::find_if(links, [&](const Link &each) {
        return each.sourceKind == kind && each.targetKind == kind &&
               each.sourceLayer == layer && each.targetLayer == layer + 1;
      });
      if (link == links.end())
        return noLink(matching, SiteAttr::get(&getContext(), kind, layer),
                      Side::Successors, loc);
      auto map = expand(matching, *link, store);
      if (failed(map))
        return failure();
      maps.push_back(*map);
    }
    Value map = maps.front();
    if (maps.size() > 1) {
      OpBuilder builder(bridge);
      Operation *composed =
          matching.getMethod().createCompose(builder, matching.getLoc(), maps);
      map = cast<ComputedOpInterface>(composed).getMapValue();
      ++numComposed;
    }
    bridge.getMapMutable().assign(map);
    return success();
  }

  LogicalResult noLink(MatchingOp matching, SiteAttr site, Side side,
                       Location loc) {
    return noLink(matching, site,
                  side == Side::Predecessors ? "before" : "after",
                  matching.getFirstLayer(), matching.getLastLayer(), loc);
  }

  /// `first` and `last` are the layers that are looked at.
  LogicalResult noLink(MatchingOp matching, SiteAttr site, StringRef side,
                       int64_t first, int64_t last, Location loc) {
    bool isPart = first != static_cast<int64_t>(matching.getFirstLayer()) ||
                  last != static_cast<int64_t>(matching.getLastLayer());
    InFlightDiagnostic diag = emitError(loc)
                              << FlatSymbolRefAttr::get(matching)
                              << " leads to no site " << side << " " << site.str();
    // No other layer would help where the kind of site has nothing on this side.
    bool fromSource = matching.getMethod().leadsBackward() == (side == "before");
    bool leadsOnElsewhere = llvm::any_of(matching.getLinks(), [&](const Link &link) {
      return (fromSource ? link.sourceKind : link.targetKind) == site.getKind();
    });
    if ((side == "before" || side == "after") && !leadsOnElsewhere)
      diag << ": nothing comes " << side << " features of '"
           << fx::stringifySiteKind(site.getKind()) << "' in it, in any layer";
    else
      diag << (isPart ? ": the graph covers layers " : ": it matches layers ")
           << first << " to " << last;
    diag.attachNote(matching.getLoc()) << "the match";
    return diag;
  }

  /// What no policy and no other graph uses needs no match.
  static void eraseUnusedGraphs(ModuleOp module) {
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(*module.getBody())))
      if (isOpTriviallyDead(&op) &&
          (isa<PartOp>(op) ||
           llvm::any_of(op.getResultTypes(), llvm::IsaPred<flow::GraphType>)))
        op.erase();
  }

  //===--------------------------------------------------------------------===//
  // Graphs
  //===--------------------------------------------------------------------===//

  /// Places that links lead to from some, these included, within some layers.
  llvm::SetVector<SiteAttr> reach(MatchingOp matching, ArrayRef<SiteAttr> from,
                                  Side side, int64_t first, int64_t last) {
    llvm::SetVector<SiteAttr> sites;
    sites.insert_range(from);
    for (size_t i = 0; i < sites.size(); ++i)
      for (const FollowedLink &followed : linksFrom(matching, sites[i], side)) {
        SiteAttr end = followed.end(&getContext());
        if (end.getLayer() >= first && end.getLayer() <= last)
          sites.insert(end);
      }
    return sites;
  }

  /// Makes the maps of all links from some places to others on a side of them.
  LogicalResult expandBetween(MatchingOp matching,
                              const llvm::SetVector<SiteAttr> &from, Side side,
                              const llvm::SetVector<SiteAttr> &to,
                              DictionaryStore &store,
                              llvm::SetVector<Value> &maps) {
    for (SiteAttr site : from)
      for (const FollowedLink &followed : linksFrom(matching, site, side)) {
        if (!to.contains(followed.end(&getContext())))
          continue;
        auto map = expand(matching, followed.link, store);
        if (failed(map))
          return failure();
        maps.insert(*map);
      }
    return success();
  }

  LogicalResult expandFor(GraphOp graph, DictionaryStore &store) {
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(graph.getMatchingAttr());
    Location from = locationOf(graph, "from");
    int64_t first = graph.getFirstLayer().value_or(matching.getFirstLayer());
    int64_t last = graph.getLastLayer().value_or(matching.getLastLayer());
    SmallVector<Side, 2> sides;
    if (graph.getDirection() != Direction::Forward)
      sides.push_back(Side::Predecessors);
    if (graph.getDirection() != Direction::Backward)
      sides.push_back(Side::Successors);

    SmallVector<SiteAttr> targets;
    llvm::SetVector<Place> &reached = places[graph.getGraph()];
    for (auto [collection, site] : places.lookup(graph.getFrom())) {
      if (failed(checkCollection(matching, FlatSymbolRefAttr::get(collection),
                                 from)))
        return failure();
      if (site.getLayer() < first || site.getLayer() > last)
        return emitError(from)
               << "a feature of " << site.str()
               << " is no part of a graph of layers " << first << " to " << last;
      targets.push_back(site);
      reached.insert({collection, site});
    }
    llvm::SetVector<Value> maps;
    llvm::DenseSet<SiteAttr> linked;
    for (Side side : sides) {
      auto sites = reach(matching, targets, side, first, last);
      if (failed(expandBetween(matching, sites, side, sites, store, maps)))
        return failure();
      for (SiteAttr site : sites)
        reached.insert({matching.getCollectionAttr().getAttr(), site});
      for (SiteAttr target : targets)
        if (llvm::any_of(linksFrom(matching, target, side),
                         [&](const FollowedLink &followed) {
                           return sites.contains(followed.end(&getContext()));
                         }))
          linked.insert(target);
    }
    for (SiteAttr target : targets)
      if (!linked.contains(target))
        return noLink(matching, target,
                      sides.size() == 2               ? "before or after"
                      : sides[0] == Side::Predecessors ? "before"
                                                       : "after",
                      first, last, from);
    graph.getMapsMutable().assign(maps.getArrayRef());
    return success();
  }

  /// The maps on ways between the two ends, and no other.
  LogicalResult expandFor(PathOp path, DictionaryStore &store) {
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(path.getMatchingAttr());
    FeatureAttr first = path.getFirst(), last = path.getLast();
    if (failed(checkCollection(matching, first.getCollection(),
                               locationOf(path, "path"))))
      return failure();
    auto before = reach(matching, last.getSite(), Side::Predecessors,
                        first.getLayer(), last.getLayer());
    auto behind = reach(matching, first.getSite(), Side::Successors,
                        first.getLayer(), last.getLayer());
    llvm::SetVector<SiteAttr> between = llvm::set_intersection(before, behind);
    if (!between.contains(first.getSite())) {
      InFlightDiagnostic diag =
          emitError(locationOf(path, "path"))
          << "no path of " << FlatSymbolRefAttr::get(matching) << " leads from "
          << first.getSite().str() << " to " << last.getSite().str()
          << ": it matches layers " << matching.getFirstLayer() << " to "
          << matching.getLastLayer();
      diag.attachNote(matching.getLoc()) << "the match";
      return diag;
    }
    llvm::SetVector<Value> maps;
    if (failed(expandBetween(matching, between, Side::Predecessors, between,
                             store, maps)))
      return failure();
    for (SiteAttr site : between)
      places[path.getGraph()].insert(
          {matching.getCollectionAttr().getAttr(), site});
    path.getMapsMutable().assign(maps.getArrayRef());
    return success();
  }

  LogicalResult expandAll(MatchingOp matching, DictionaryStore &store) {
    SmallVector<Link> links = matching.getLinks();
    if (links.empty())
      return matching.emitError()
             << "has nothing to match: "
             << matching.getMethod().getNeeds();
    warnOfSitesLeftOut(matching, links);
    for (const Link &link : links)
      if (failed(expand(matching, link, store)))
        return failure();
    if (compose)
      composeChains(matching, links);
    return success();
  }

  /// Sites that the method has no place for.
  static void warnOfSitesLeftOut(MatchingOp matching, ArrayRef<Link> links) {
    for (auto site : matching.getSites().getAsRange<fx::SiteKindAttr>())
      if (llvm::none_of(links, [&](const Link &link) {
            return link.sourceKind == site.getValue() ||
                   link.targetKind == site.getValue();
          }))
        matching.emitWarning()
            << "leaves out the site " << fx::stringifySiteKind(site.getValue())
            << ": beside the residual stream, only mlp and att are matched";
  }

  static std::string dictionaryOf(MatchingOp matching, fx::SiteKind kind,
                                  int64_t layer) {
    auto collection =
        matching->getParentOfType<ModuleOp>().lookupSymbol<CollectionOp>(
            matching.getCollectionAttr());
    return collection.dictionaryName(
        SiteAttr::get(matching.getContext(), kind, layer));
  }

  /// The map of one pair.
  FailureOr<Value> expand(MatchingOp matching, const Link &link,
                          DictionaryStore &store) {
    Location loc = matching.getLoc();
    auto source = store.declare(
        loc, matching.getCollectionAttr(),
        SiteAttr::get(&getContext(), link.sourceKind, link.sourceLayer));
    auto target = store.declare(
        loc, matching.getCollectionAttr(),
        SiteAttr::get(&getContext(), link.targetKind, link.targetLayer));
    if (failed(source) || failed(target))
      return failure();
    auto &pairs = made[matching.getSymNameAttr()];
    Operation *&op =
        pairs[{source->first.getSymNameAttr(), target->first.getSymNameAttr()}];
    if (op)
      return cast<ComputedOpInterface>(op).getMapValue();
    auto k = matching.getMethod().getNumBest();
    if (k && *k > static_cast<int64_t>(target->first.getFeatures())) {
      matching.emitError() << "asks for the " << *k
                           << " most similar features of "
                           << target->first.getSymName() << ", which has "
                           << target->first.getFeatures();
      return failure();
    }
    OpBuilder builder(&getContext());
    // Uses come after definitions: at the end of what was made so far.
    Operation *after = matching;
    while (isa_and_nonnull<PairOpInterface>(after->getNextNode()))
      after = after->getNextNode();
    builder.setInsertionPointAfter(after);
    op = matching.getMethod().createMatch(builder, loc, matching, source->first,
                                          target->first);
    ++numPairs;
    return cast<ComputedOpInterface>(op).getMapValue();
  }

  /// One composition for every two sites of a kind that are two or more layers
  /// apart.
  void composeChains(MatchingOp matching, ArrayRef<Link> links) {
    // Maps of one kind, by the layer they start from.
    llvm::MapVector<fx::SiteKind, SmallVector<std::pair<int64_t, Value>>> chains;
    Operation *last = matching;
    for (const Link &link : links) {
      std::string source =
          dictionaryOf(matching, link.sourceKind, link.sourceLayer);
      std::string target =
          dictionaryOf(matching, link.targetKind, link.targetLayer);
      Operation *op = made[matching.getSymNameAttr()][Ends{
          StringAttr::get(&getContext(), source),
          StringAttr::get(&getContext(), target)}];
      last = last->isBeforeInBlock(op) ? op : last;
      if (link.sourceKind == link.targetKind)
        chains[link.sourceKind].push_back(
            {link.sourceLayer, cast<ComputedOpInterface>(op).getMapValue()});
    }
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfter(last);
    for (auto &[kind, chain] : chains) {
      // In the direction in which the maps lead.
      if (matching.getMethod().leadsBackward())
        std::reverse(chain.begin(), chain.end());
      for (size_t first = 0; first < chain.size(); ++first) {
        SmallVector<Value> maps = {chain[first].second};
        for (size_t next = first + 1; next < chain.size(); ++next) {
          maps.push_back(chain[next].second);
          if (matching.getMethod().createCompose(builder, matching.getLoc(),
                                                 maps))
            ++numComposed;
        }
      }
    }
  }

  llvm::DenseMap<StringAttr, llvm::DenseMap<Ends, Operation *>> made;
  std::shared_ptr<Resources> resources = Resources::create({});
  /// Where the features of a value are.
  llvm::DenseMap<Value, llvm::SetVector<Place>> places;
};

} // namespace

std::unique_ptr<Pass> flow::createFlowExpandMatchingsPass(
    FlowExpandMatchingsPassOptions options,
    std::shared_ptr<Resources> resources) {
  return std::make_unique<ExpandMatchings>(std::move(options),
                                           std::move(resources));
}
