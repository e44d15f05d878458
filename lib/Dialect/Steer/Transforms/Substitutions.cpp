//===- Substitutions.cpp - Policies that replace layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Substitutions.h"

#include "GateEmitter.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// Each adds a dozen operations, and is held against all others.
static constexpr size_t maxSubstitutions = 256;

static std::string layersOf(int64_t first, int64_t last) {
  return first == last
             ? "layer " + std::to_string(first)
             : "layers " + std::to_string(first) + " to " + std::to_string(last);
}

//===----------------------------------------------------------------------===//
// What has no meaning
//===----------------------------------------------------------------------===//

namespace {

/// Holds the policies of plans against the layers that others replace there.
class SubstitutionChecker {
public:
  SubstitutionChecker(ModuleOp module, const PlansOfPolicy &plans,
                      ArrayRef<PolicyOp> substitutes)
      : symbols(module), planOps(llvm::to_vector(module.getOps<PlanOp>())),
        plans(plans), substitutes(substitutes) {}

  LogicalResult checkOverlaps();
  /// A place that a policy reads or writes.
  void check(PolicyOp policy, flow::SiteAttr site, StringRef does);
  void checkConditions(PolicyOp policy);
  bool failedAny = false;

private:
  /// A plan that has both, or -1.
  int64_t sharedPlan(PolicyOp a, PolicyOp b) const {
    auto ofA = plans.find(a), ofB = plans.find(b);
    if (ofA == plans.end() || ofB == plans.end())
      return -1;
    for (int64_t plan : ofA->second)
      if (llvm::is_contained(ofB->second, plan))
        return plan;
    return -1;
  }
  void addNotes(InFlightDiagnostic &diag, PolicyOp other, int64_t plan) {
    diag.attachNote(other.getLoc()) << "it is replaced here";
    diag.attachNote(planOps[plan].getLoc()) << "the plan is here";
  }

  SymbolTable symbols;
  SmallVector<PlanOp> planOps;
  const PlansOfPolicy &plans;
  ArrayRef<PolicyOp> substitutes;
  llvm::DenseSet<std::pair<Operation *, Operation *>> reported;
};

} // namespace

LogicalResult SubstitutionChecker::checkOverlaps() {
  if (substitutes.size() > maxSubstitutions) {
    PolicyOp beyond = substitutes[maxSubstitutions];
    return beyond.emitError() << "the policies up to '" << beyond.getSymName()
                              << "' replace layers more than "
                              << maxSubstitutions << " times";
  }
  for (auto [i, policy] : llvm::enumerate(substitutes)) {
    auto [first, last] = *PolicyOp(policy).getAction().getReplacedLayers();
    for (PolicyOp other : substitutes.take_front(i)) {
      auto [otherFirst, otherLast] = *other.getAction().getReplacedLayers();
      int64_t plan = sharedPlan(policy, other);
      if (plan < 0 || last < otherFirst || otherLast < first)
        continue;
      failedAny = true;
      InFlightDiagnostic diag =
          PolicyOp(policy).emitError()
          << "'" << PolicyOp(policy).getSymName() << "' and '"
          << other.getSymName() << "' both replace layer "
          << std::max(first, otherFirst) << " in plan '"
          << planOps[plan].getSymName() << "'";
      diag.attachNote(other.getLoc()) << "the other one is here";
      diag.attachNote(planOps[plan].getLoc()) << "the plan is here";
    }
  }
  return success(!failedAny);
}

void SubstitutionChecker::check(PolicyOp policy, flow::SiteAttr site,
                                StringRef does) {
  for (PolicyOp other : substitutes) {
    if (other == policy)
      continue;
    auto [first, last] = *other.getAction().getReplacedLayers();
    bool isInside = site.getLayer() >= first && site.getLayer() <= last &&
                    !(site.getKind() == fx::SiteKind::Res &&
                      site.getLayer() == last);
    if (!isInside)
      continue;
    int64_t plan = sharedPlan(policy, other);
    if (plan < 0 || !reported.insert({policy, other}).second)
      continue;
    failedAny = true;
    InFlightDiagnostic diag =
        policy.emitError()
        << "'" << policy.getSymName() << "' " << does << " " << site.str()
        << ", which is inside of " << layersOf(first, last) << ": '"
        << other.getSymName() << "' replaces "
        << (first == last ? "it" : "them") << " in plan '"
        << planOps[plan].getSymName()
        << "', whatever their tokens and conditions; put the two into "
           "different plans";
    addNotes(diag, other, plan);
  }
}

void SubstitutionChecker::checkConditions(PolicyOp policy) {
  SmallVector<flow::FeatureAttr> features;
  policy.collectFeatures(features);
  for (flow::FeatureAttr feature : features) {
    flow::DictionaryOp dictionary = flow::lookupDictionary(symbols, feature);
    if (dictionary)
      check(policy, dictionary.getReads(), "reads");
  }
}

LogicalResult
steer::checkSubstitutions(ModuleOp module, const PlansOfPolicy &plans,
                          ArrayRef<PolicyOp> substitutes,
                          const Placements &placements,
                          ArrayRef<PolicyOp> others) {
  if (substitutes.empty())
    return success();
  SubstitutionChecker checker(module, plans, substitutes);
  if (failed(checker.checkOverlaps()))
    return failure();
  llvm::DenseSet<Operation *> seen;
  for (const auto &[site, atSite] : placements)
    for (const Placement &placement : atSite) {
      PolicyOp policy = placement.policy;
      bool looks = policy.getAction().leavesValue();
      checker.check(policy, site, looks ? "reads" : "edits");
      flow::DictionaryOp dictionary = placement.dictionary;
      checker.check(policy, dictionary.getReads(), "reads");
      if (flow::DictionaryOp sources = placement.sources)
        checker.check(policy, sources.getReads(), "reads");
      if (seen.insert(policy).second)
        checker.checkConditions(policy);
    }
  for (PolicyOp policy : others) {
    for (flow::SiteAttr site : policy.getAction().getRecordedSites())
      checker.check(policy, site, "reads");
    checker.checkConditions(policy);
  }
  for (PolicyOp policy : substitutes)
    checker.checkConditions(policy);
  return success(!checker.failedAny);
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {

/// Puts one policy's replacement into the program.
class Substituter {
public:
  Substituter(ModuleOp module, ProgramInputs &inputs,
              const PlansOfPolicy &plans, const SiteMarkers &markers,
              PolicyOp policy)
      : module(module), symbols(module), inputs(inputs), plans(plans),
        markers(markers), policy(policy),
        action(cast<SubstituteAttr>(Attribute(policy.getAction()))),
        where(NameLoc::get(policy.getSymNameAttr(), policy.getLoc())) {}

  LogicalResult run(fx::ProgramOp program, ReplacedSites &replaced);

private:
  /// The mark of a residual stream, or null after an error.
  fx::SiteOp streamAt(int64_t layer);
  LogicalResult checkCondition(fx::SiteOp source);
  /// A dictionary of the bridge that fits the stream, or null after an error.
  flow::DictionaryOp dictionaryAt(flow::BridgeOp bridge, flow::SiteAttr site,
                                  Value stream);
  FailureOr<Value> reconstruct(OpBuilder &builder, Value stream);

  ModuleOp module;
  SymbolTable symbols;
  ProgramInputs &inputs;
  const PlansOfPolicy &plans;
  const SiteMarkers &markers;
  PolicyOp policy;
  SubstituteAttr action;
  Location where;
};

} // namespace

fx::SiteOp Substituter::streamAt(int64_t layer) {
  auto site = flow::SiteAttr::get(policy.getContext(), fx::SiteKind::Res, layer);
  if (fx::SiteOp marker = markers.lookup(site))
    return marker;
  int64_t lastLayer = -1;
  for (const auto &[known, marker] : markers)
    lastLayer = std::max<int64_t>(lastLayer, known.getLayer());
  InFlightDiagnostic error = policy.emitError()
                             << "the model has no site " << site.str();
  if (lastLayer < 0)
    error << "; it has none at all";
  else
    error << "; its layers are 0 to " << lastLayer;
  return {};
}

/// Where the block is gone, only what comes before it is there to ask.
LogicalResult Substituter::checkCondition(fx::SiteOp source) {
  SmallVector<flow::FeatureAttr> features;
  policy.collectFeatures(features);
  for (flow::FeatureAttr feature : features) {
    flow::DictionaryOp dictionary = flow::lookupDictionary(symbols, feature);
    fx::SiteOp read =
        dictionary ? markers.lookup(dictionary.getReads()) : fx::SiteOp();
    if (read && (read == source || read->isBeforeInBlock(source)))
      continue;
    return policy.emitError()
           << "feature " << feature.str() << " is not computed before "
           << layersOf(action.getFirst(), action.getLast())
           << ": whether a layer is replaced can depend on what comes before it "
              "only";
  }
  return success();
}

flow::DictionaryOp Substituter::dictionaryAt(flow::BridgeOp bridge,
                                             flow::SiteAttr site,
                                             Value stream) {
  flow::DictionaryOp dictionary =
      flow::lookupDictionary(symbols, bridge.getCollectionAttr(), site);
  auto fail = [&](const Twine &what) {
    InFlightDiagnostic diag = policy.emitError() << what;
    if (dictionary)
      diag.attachNote(dictionary.getLoc()) << "the dictionary is declared here";
    return flow::DictionaryOp();
  };
  if (!dictionary)
    return fail("the dictionary at " + site.str() + " was not opened");
  if (dictionary.getReads() != dictionary.getSite())
    return fail("the dictionary at " + site.str() + " reads " +
                dictionary.getReads().str() +
                ": a layer is replaced by features of the residual stream, "
                "which are read and written there");
  if (bridge.getMatchingAttr() &&
      dictionary.getNormalization() != flow::Normalization::None)
    return fail("the dictionary at " + site.str() +
                " normalises what it reads, and how large the value of a layer "
                "would be that is not computed, nobody knows");
  int64_t width = cast<RankedTensorType>(stream.getType()).getShape().back();
  if (width != static_cast<int64_t>(dictionary.getWidth()))
    return fail("the dictionary's rows do not fit the model: they have " +
                Twine(dictionary.getWidth()) + " numbers, the value at " +
                site.str() + " has " + Twine(width));
  return dictionary;
}

FailureOr<Value> Substituter::reconstruct(OpBuilder &builder, Value stream) {
  MLIRContext *context = policy.getContext();
  auto bridge = symbols.lookup<flow::BridgeOp>(action.getBridge().getAttr());
  if (!bridge)
    return policy.emitError() << "there is no bridge " << action.getBridge();
  flow::DictionaryOp from = dictionaryAt(bridge, bridge.getFrom(), stream);
  flow::DictionaryOp to =
      from ? dictionaryAt(bridge, bridge.getTo(), stream) : flow::DictionaryOp();
  if (!to)
    return failure();
  auto refTo = [](flow::DictionaryOp dictionary) {
    return FlatSymbolRefAttr::get(dictionary.getSymNameAttr());
  };
  Attribute rows =
      flow::RowsAttr::get(context, flow::RowsPart::Decoder, refTo(to), {});
  if (bridge.getMatchingAttr()) {
    auto matching =
        symbols.lookup<flow::MatchingOp>(bridge.getMatchingAttr().getAttr());
    auto map = bridge.getMap()
                   ? bridge.getMap().getDefiningOp<flow::ComputedOpInterface>()
                   : flow::ComputedOpInterface();
    if (!map || !map.getComputed())
      return policy.emitError() << bridge.getMatchingAttr()
                                << " was not computed: run flow-match before";
    if (matching.getFold() == flow::Fold::MeanActivation)
      return policy.emitError()
             << bridge.getMatchingAttr()
             << " folds mean activations, which are known on a text only: a "
                "match that replaces layers folds thresholds, decoder norms or "
                "nothing";
    rows = flow::CarriedAttr::get(context, refTo(from), refTo(to),
                                  map.getComputed(), matching.getFold(),
                                  action.getQuantile());
  }
  auto bias =
      flow::RowsAttr::get(context, flow::RowsPart::DecoderBias, refTo(to), {});
  return Value(ReconstructOp::create(
      builder, where, stream.getType(), stream, refTo(from),
      from.getActivationAttr(), from.getNormalizationAttr(),
      from.getFeaturesAttr(), cast<flow::RecipeAttrInterface>(rows),
      cast<flow::RecipeAttrInterface>(Attribute(bias))));
}

LogicalResult Substituter::run(fx::ProgramOp program, ReplacedSites &replaced) {
  fx::SiteOp source = streamAt(action.getFirst() - 1);
  fx::SiteOp target = source ? streamAt(action.getLast()) : fx::SiteOp();
  if (!target || failed(checkCondition(source)))
    return failure();
  if (!source->isBeforeInBlock(target) ||
      source.getInput().getType() != target.getInput().getType())
    return policy.emitError()
           << "the residual streams before and behind "
           << layersOf(action.getFirst(), action.getLast())
           << " are of two kinds, " << source.getInput().getType() << " and "
           << target.getInput().getType();
  auto element =
      cast<RankedTensorType>(source.getInput().getType()).getElementType();
  if (element.isF64())
    return policy.emitError() << "the residual stream is of f64, and features "
                                 "are computed in f32";

  OpBuilder builder(target);
  GateEmitter gates(module, inputs, markers, builder);
  Value gate = gates.gateOf(policy, plans.lookup(policy), /*noPadding=*/false);
  if (!gate)
    return failure();
  Value replacement = source.getResult();
  if (action.getBridge()) {
    FailureOr<Value> made = reconstruct(builder, replacement);
    if (failed(made))
      return failure();
    replacement = *made;
  }
  auto site = flow::SiteAttr::get(policy.getContext(), fx::SiteKind::Res,
                                  action.getLast());
  Value original = target.getInput();
  target.getInputMutable().assign(ChooseOp::create(
      builder, where, original.getType(), replacement, gate, original, site));
  program.addEdited(site.getKind(), site.getLayer());
  replaced[site].push_back({policy.getSymNameAttr(), gate});
  remark::passed(policy.getLoc(),
                 remark::RemarkOpts::name("Substituted").category("steer"))
      << layersOf(action.getFirst(), action.getLast()) +
             (policy.getTokensAttr() || policy.getWhenAttr()
                  ? " replaced at some tokens; the others need the blocks"
                  : " replaced");
  return success();
}

LogicalResult
steer::substituteLayers(ModuleOp module, fx::ProgramOp program,
                        ProgramInputs &inputs, const PlansOfPolicy &plans,
                        const SiteMarkers &markers,
                        ArrayRef<PolicyOp> substitutes,
                        ReplacedSites &replaced) {
  bool failedAny = false;
  for (PolicyOp policy : substitutes)
    failedAny |= failed(Substituter(module, inputs, plans, markers, policy)
                            .run(program, replaced));
  return success(!failedAny);
}
