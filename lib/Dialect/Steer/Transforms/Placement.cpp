//===- Placement.cpp - Where the policies of a module are written ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Placement.h"

#include "weir/Dialect/Steer/IR/Conflicts.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// Rows that all policies may write over all layers, and edits (a policy at a
/// site, and every comparison of its condition there) that a program may get.
/// A short spec can ask for many times more.
constexpr size_t maxRows = 4'000'000, maxEdits = 200'000;

/// Places one policy after another.
class Placer {
public:
  Placer(const SymbolTable &symbols, ArrayRef<flow::SiteAttr> stream)
      : symbols(symbols), stream(stream) {}

  LogicalResult place(PolicyOp policy);
  /// True once a bound is passed: there is no use in going on.
  bool isFull() const { return rows > maxRows || edits > maxEdits; }
  Placements placements;

private:
  FailureOr<flow::FeatureList> featuresOf(PolicyOp policy, Value list);
  LogicalResult placeTransfer(PolicyOp policy,
                              ArrayRef<flow::FeatureAttr> features);
  SmallVector<int64_t> targetLayers(PolicyOp policy,
                                    flow::FeatureAttr feature);
  /// Where a feature of a dictionary is written.
  FailureOr<SmallVector<flow::SiteAttr>>
  targetSites(PolicyOp policy, flow::FeatureAttr feature,
              flow::DictionaryOp dictionary);

  /// The decoders of a dictionary at layers beyond its own.
  SmallVector<flow::DictionaryOp> furtherOf(flow::DictionaryOp dictionary);
  /// Adds a placement at the site of its dictionary, and the same at every layer
  /// that the dictionary's features write at as well.
  LogicalResult addEverywhere(Placement placement);

  /// Counts what has to be kept for a policy; fails above the bounds.
  LogicalResult count(PolicyOp policy, size_t rows, size_t edits);

  const SymbolTable &symbols;
  ArrayRef<flow::SiteAttr> stream;
  size_t rows = 0, edits = 0;
};

/// The edit of a policy at a site, and the comparisons that decide on it.
static size_t editsAtSite(PolicyOp policy) {
  SmallVector<flow::FeatureAttr> compared;
  if (policy.getWhenAttr())
    policy.getWhenAttr().collectFeatures(compared);
  return 1 + compared.size();
}

LogicalResult Placer::count(PolicyOp policy, size_t newRows, size_t newEdits) {
  rows += newRows;
  edits += newEdits;
  if (rows > maxRows)
    return policy.emitError()
           << "the policies up to '" << policy.getSymName()
           << "' write more than " << maxRows
           << " features over all layers; give them fewer features or layers";
  if (edits > maxEdits)
    return policy.emitError()
           << "the policies up to '" << policy.getSymName()
           << "' make more than " << maxEdits
           << " edits and comparisons over all sites; give them fewer layers, "
              "sites or conditions";
  return success();
}

FailureOr<flow::FeatureList> Placer::featuresOf(PolicyOp policy, Value list) {
  auto features = list.getDefiningOp<flow::SelectOp>();
  if (!features || !features.isResolved())
    return policy.emitError() << "the features of policy '"
                              << policy.getSymName()
                              << "' are not resolved yet";
  if (features.getSelectors().empty())
    return policy.emitError() << "policy '" << policy.getSymName()
                              << "' has no feature to act on";
  // With repeats, as they stand there.
  flow::FeatureList result;
  result.features = llvm::to_vector(
      features.getSelectors().getAsRange<flow::FeatureAttr>());
  if (std::optional<ArrayRef<double>> weights = features.getWeights())
    result.weights.assign(weights->begin(), weights->end());
  return result;
}

SmallVector<int64_t> Placer::targetLayers(PolicyOp policy,
                                          flow::FeatureAttr feature) {
  LayersAttr layers = policy.getLayersAttr();
  if (!layers || layers.getKind() == LayersKind::Own)
    return {feature.getLayer()};
  int64_t first = layers.getFirst(), last = layers.getLast();
  if (layers.getKind() == LayersKind::Cumulative) {
    auto collection =
        symbols.lookup<flow::CollectionOp>(feature.getCollection().getAttr());
    first = collection.getFirstLayer();
    last = feature.getLayer();
  }
  return llvm::to_vector(llvm::seq_inclusive(first, last));
}

FailureOr<SmallVector<flow::SiteAttr>>
Placer::targetSites(PolicyOp policy, flow::FeatureAttr feature,
                    flow::DictionaryOp dictionary) {
  SmallVector<flow::SiteAttr> sites;
  fx::SiteKind kind = dictionary.getSite().getKind();
  if (LayersAttr layers = policy.getLayersAttr();
      layers && layers.getKind() == LayersKind::All) {
    if (kind == fx::SiteKind::Head)
      return policy.emitError()
             << "feature " << flow::describe(feature, policy)
             << " is a direction of attention's heads and none of the residual "
                "stream, which 'layers: all' is about";
    if (stream.empty())
      return policy.emitError()
             << "the model's residual stream was not found";
    llvm::append_range(sites, stream);
    return sites;
  }
  for (int64_t layer : targetLayers(policy, feature))
    sites.push_back(flow::SiteAttr::get(policy.getContext(), kind, layer));
  return sites;
}

SmallVector<flow::DictionaryOp>
Placer::furtherOf(flow::DictionaryOp dictionary) {
  SmallVector<flow::DictionaryOp> result;
  if (ArrayAttr names = dictionary.getFurtherAttr())
    for (auto name : names.getAsRange<FlatSymbolRefAttr>())
      if (auto further = symbols.lookup<flow::DictionaryOp>(name.getAttr()))
        result.push_back(further);
  return result;
}

LogicalResult Placer::addEverywhere(Placement placement) {
  placements[placement.site].push_back(placement);
  // What is recorded is the activation, which there is once.
  if (placement.policy.getAction().leavesValue())
    return success();
  flow::DictionaryOp own = placement.dictionary;
  SmallVector<flow::DictionaryOp> further = furtherOf(own);
  if (failed(count(placement.policy,
                   further.size() * placement.features.size(),
                   further.size() * editsAtSite(placement.policy))))
    return failure();
  placement.furtherOf = own;
  for (flow::DictionaryOp dictionary : further) {
    placement.site = dictionary.getSite();
    placement.dictionary = dictionary;
    placements[placement.site].push_back(placement);
  }
  return success();
}

LogicalResult Placer::place(PolicyOp policy) {
  auto features = featuresOf(policy, policy.getOn());
  if (failed(features))
    return failure();
  if (policy.getTo())
    return placeTransfer(policy, features->features);

  // Written site and dictionary -> features, in order.
  llvm::MapVector<std::pair<flow::SiteAttr, flow::DictionaryOp>,
                  std::pair<SmallVector<int64_t>, SmallVector<double>>>
      groups;
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  for (auto [i, feature] : llvm::enumerate(features->features)) {
    flow::DictionaryOp dictionary = flow::lookupDictionary(symbols, feature);
    if (!dictionary)
      return policy.emitError() << "feature " << flow::describe(feature, policy)
                                << " has no dictionary that was opened";
    LayersAttr given = policy.getLayersAttr();
    if (dictionary.getFurtherAttr() && given &&
        given.getKind() != LayersKind::Own)
      return policy.emitError()
             << "the features of " << dictionary.getCollectionAttr()
             << " are a cross-layer transcoder's, which says itself at which "
                "layers they are written: leave out 'layers'";
    auto sites = targetSites(policy, feature, dictionary);
    if (failed(sites) || failed(count(policy, sites->size(), 0)))
      return failure();
    for (flow::SiteAttr site : *sites) {
      auto &[indices, weights] = groups[{site, dictionary}];
      indices.push_back(feature.getIndex());
      weights.push_back(features->weightOf(i));
      first = std::min(first, site.getLayer());
      last = std::max(last, site.getLayer());
    }
  }
  if (failed(count(policy, 0, groups.size() * editsAtSite(policy))))
    return failure();
  for (auto &[key, members] : groups)
    if (failed(addEverywhere({policy, key.first, key.second, members.first,
                              members.second, first, last, {}, {}, {}})))
      return failure();
  return success();
}

LogicalResult Placer::placeTransfer(PolicyOp policy,
                                    ArrayRef<flow::FeatureAttr> from) {
  auto to = featuresOf(policy, policy.getTo());
  if (failed(to))
    return failure();
  if (from.size() != to->features.size())
    return policy.emitError()
           << "a transfer pairs its features in order, but there are "
           << from.size() << " to take from and " << to->features.size()
           << " to give to";
  for (Value list : {policy.getOn(), policy.getTo()})
    if (auto features = list.getDefiningOp<flow::SelectOp>();
        features.getHadRepeats()) {
      InFlightDiagnostic diag =
          policy.emitError() << "a transfer pairs its features in order, but "
                                "one of its sets names a feature twice";
      diag.attachNote(features.getLoc()) << "this one";
      return diag;
    }

  // Grouped by where the pair's two ends are.
  llvm::MapVector<std::pair<flow::DictionaryOp, flow::DictionaryOp>,
                  std::pair<SmallVector<int64_t>, SmallVector<int64_t>>>
      pairs;
  llvm::MapVector<flow::DictionaryOp, SmallVector<int64_t>> taken;
  for (auto [source, target] : llvm::zip_equal(from, to->features)) {
    if (source == target)
      return policy.emitError() << "feature "
                                << flow::describe(source, policy)
                                << " is transferred to itself";
    flow::DictionaryOp a = flow::lookupDictionary(symbols, source),
                       b = flow::lookupDictionary(symbols, target);
    if (!a || !b)
      return policy.emitError()
             << "feature " << flow::describe(a ? target : source, policy)
             << " has no dictionary that was opened";
    auto &[ends, starts] = pairs[{b, a}];
    ends.push_back(target.getIndex());
    starts.push_back(source.getIndex());
    taken[a].push_back(source.getIndex());
  }
  if (failed(count(policy, from.size() + to->features.size(),
                   (taken.size() + pairs.size()) * editsAtSite(policy))))
    return failure();
  for (auto &[dictionary, indices] : taken)
    if (failed(addEverywhere({policy, dictionary.getSite(), dictionary, indices,
                              {}, dictionary.getSite().getLayer(),
                              dictionary.getSite().getLayer(), {}, {}, {}})))
      return failure();
  for (auto &[ends, indices] : pairs) {
    flow::SiteAttr site = ends.first.getSite();
    if (failed(addEverywhere({policy, site, ends.first, indices.first, {},
                              site.getLayer(), site.getLayer(), ends.second,
                              indices.second, {}})))
      return failure();
  }
  return success();
}

} // namespace

FailureOr<Placements>
weir::steer::placePolicies(const SymbolTable &symbols,
                           ArrayRef<PolicyOp> policies,
                           ArrayRef<flow::SiteAttr> stream) {
  Placer placer(symbols, stream);
  bool failedAny = false;
  for (PolicyOp policy : policies) {
    failedAny |= failed(placer.place(policy));
    if (placer.isFull())
      return failure();
  }
  if (failedAny)
    return failure();
  return std::move(placer.placements);
}

/// A feature of a placement, as messages call it.
static std::string featureOf(const Placement &placement, int64_t feature) {
  flow::DictionaryOp dictionary = placement.dictionary;
  return flow::describe(
      flow::FeatureAttr::get(dictionary.getContext(),
                             dictionary.getCollectionAttr(),
                             placement.site.getKind(), placement.site.getLayer(),
                             feature),
      dictionary);
}

LogicalResult weir::steer::checkConflicts(ModuleOp module,
                                          const Placements &placements) {
  SmallVector<PlanOp> plans = llvm::to_vector(module.getOps<PlanOp>());
  llvm::DenseMap<Attribute, SmallVector<int64_t>> plansOfPolicy;
  for (auto [i, plan] : llvm::enumerate(plans))
    for (Attribute policy : plan.getPolicies())
      plansOfPolicy[policy].push_back(i);

  bool failedAny = false;
  for (const auto &[site, atSite] : placements) {
    std::vector<AbsoluteEdit> edits;
    SmallVector<PolicyOp> policies;
    SmallVector<size_t> places;
    for (auto [place, placement] : llvm::enumerate(atSite)) {
      PolicyOp policy = placement.policy;
      // Two that are written further meet at the layer they are of.
      if (!policy.getAction().isAbsolute() || placement.furtherOf)
        continue;
      Operation *dictionary = flow::DictionaryOp(placement.dictionary);
      auto own = plansOfPolicy.find(
          FlatSymbolRefAttr::get(policy.getSymNameAttr()));
      if (own == plansOfPolicy.end())
        continue;
      edits.push_back(
          {dictionary, placement.features, ArrayRef<int64_t>(own->second)});
      policies.push_back(policy);
      places.push_back(place);
    }
    for (const Conflict &conflict : findConflicts(edits)) {
      failedAny = true;
      PolicyOp policy = policies[conflict.second],
               first = policies[conflict.first];
      if (first == policy) {
        policy.emitError() << "'" << policy.getSymName()
                           << "' says twice what feature "
                           << featureOf(atSite[places[conflict.second]],
                                        conflict.feature)
                           << " becomes";
        continue;
      }
      PlanOp plan = plans[*conflict.plan];
      InFlightDiagnostic diag =
          policy.emitError()
          << "'" << policy.getSymName() << "' and '" << first.getSymName()
          << "' both say what feature "
          << featureOf(atSite[places[conflict.second]], conflict.feature)
          << " becomes in plan '" << plan.getSymName()
          << "'; a plan edits a feature absolutely (set, scale, clamp, "
             "ablate, transfer) at most once";
      diag.attachNote(first.getLoc()) << "the other one is here";
      diag.attachNote(plan.getLoc()) << "the plan is here";
    }
  }
  return success(!failedAny);
}
