//===- SitePatches.cpp - The patch of one site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SitePatches.h"

#include "RecordGates.h"

#include "weir/Support/Locations.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/STLExtras.h"

#include <set>

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// A megabyte of plans can name a quarter of a million projections.
constexpr size_t maxProjectionsOfPlans = 4000;

namespace {

/// One policy at one site, as its action and condition see it.
class Emission : public PatchEmitter, public ConditionEmitter {
public:
  /// `behind`: not in the patch, but after it.
  Emission(SiteBuilder &site, Placement &placement, bool behind = false)
      : site(site), expansion(site.expansion), placement(placement),
        where(NameLoc::get(placement.policy.getSymNameAttr(),
                           placement.policy.getLoc())),
        behind(behind) {}

  OpBuilder &builder() override { return site.builder; }
  Location loc() override { return where; }

  Value times() override {
    FlatSymbolRefAttr knob = policy().getTimesAttr();
    return knob ? expansion.inputs.knob(where, expansion.knobs.lookup(knob))
                : Value();
  }

  Value read() override {
    // Its own dictionary has the same encoder: one set of rows for all layers.
    flow::DictionaryOp own = placement.furtherOf;
    return readFeatures(own ? own : placement.dictionary, placement.features);
  }
  Value readSources() override {
    return readFeatures(placement.sources, placement.sourceFeatures);
  }
  bool isSource() override { return !placement.sources; }

  void edit(Value from, Value to) override {
    Value scale;
    if (auto normalization = placement.dictionary.getNormalization();
        normalization != flow::Normalization::None) {
      Value input = readValue(placement.dictionary, "the value is");
      scale = InputScaleOp::create(
          builder(), where,
          fx::withLastSize(cast<RankedTensorType>(from.getType()), 1), input,
          placement.dictionary.getNormalizationAttr());
    }
    if (Value share = expansion.inputs.share(where, policy().getTokensAttr()))
      scale = scale ? ProductOp::create(builder(), where, scale, share) : share;
    site.coefficients.push_back(
        DeltaOp::create(builder(), where, from.getType(), from, to, gate(),
                        scale, policy().getOnlyActive()));
    site.counted.push_back(
        {policy().getSymNameAttr(), site.coefficients.back()});
    site.rows.push_back(rowsOf(flow::RowsPart::Decoder));
  }

  void add(ScheduleAttrInterface schedule, bool unitRows) override {
    // A feature that writes at several layers has one strength, that of its own.
    flow::DictionaryOp own = placement.furtherOf;
    flow::SiteAttr from = own ? own.getSite() : placement.site;
    double strength = schedule.strengthAt(
        from.getLayer(), placement.firstLayer, placement.lastLayer);
    if (auto action = dyn_cast<AddAttr>(policy().getAction())) {
      std::optional<double> unit = action.getUnit(from);
      if (!unit) {
        fail() << "the dose of policy '" << policy().getSymName() << "' at "
               << from.str()
               << " was not measured: run steer-measure-doses before";
        return;
      }
      strength *= *unit;
    }
    SmallVector<Type> types = {gate().getType()};
    Value knob =
        expansion.inputs.share(where, policy().getTokensAttr(), times());
    if (knob)
      types.push_back(knob.getType());
    site.coefficients.push_back(StrengthOp::create(
        builder(), where, broadcastGateType(types, builder().getF32Type()),
        builder().getF64FloatAttr(strength), knob, gate()));
    site.counted.push_back(
        {policy().getSymNameAttr(), site.coefficients.back()});
    auto part =
        unitRows ? flow::RowsPart::UnitDecoder : flow::RowsPart::Decoder;
    Attribute row = rowsOf(part);
    if (placement.features.size() > 1 || placement.weights.front() != 1)
      row = flow::SumAttr::get(
          builder().getContext(),
          builder().getDenseF64ArrayAttr(placement.weights), row);
    site.rows.push_back(row);
  }

  void projectOut() override {
    // Taking out one span after another is not taking out their sum, so a set
    // over several dictionaries is one projection. A policy's placements at a
    // site follow each other.
    if (!site.projections.empty() &&
        site.projections.back().policy == policy()) {
      site.projections.back().rows.push_back(rowsOf(flow::RowsPart::Decoder));
      return;
    }
    site.projections.push_back(
        {policy(), {rowsOf(flow::RowsPart::Decoder)}, condition()});
  }

  void record(Value activations) override {
    SmallVector<Attribute> features;
    flow::SiteAttr at = placement.dictionary.getSite();
    for (int64_t feature : placement.features)
      features.push_back(flow::FeatureAttr::get(
          builder().getContext(), placement.dictionary.getCollectionAttr(),
          at.getKind(), at.getLayer(), feature));
    // Names in a spec have no dot; what follows one makes a symbol unique.
    // The site is always there, so that another one changes no name.
    std::string name = specName(policy().getSymName()).str();
    if (expansion.placesAtSite.lookup({policy(), placement.site}) > 1)
      name += "." + placement.dictionary.getCollection().str();
    name += "." + fx::stringifySiteKind(at.getKind()).str() + "." +
            std::to_string(at.getLayer());
    RecordOp::create(builder(), where, activations,
                     builder().getStringAttr(name),
                     builder().getArrayAttr(features),
                     joined(expansion.inputs.gate(where, plans(),
                                                  policy().getTokensAttr(),
                                                  /*noPadding=*/true)));
  }

  // ConditionEmitter: a feature of this site or of an earlier one.
  Value read(Attribute attribute) override {
    auto feature = cast<flow::FeatureAttr>(attribute);
    flow::DictionaryOp dictionary =
        flow::lookupDictionary(expansion.symbols, feature);
    if (!dictionary) {
      fail() << "feature " << flow::describe(feature, policy())
             << " has no dictionary that was opened";
      return {};
    }
    Value value = readValue(dictionary, "feature " + flow::describe(feature, policy()) + " is");
    if (!value)
      return {};
    if (dictionary.getReads() == placement.site)
      return createRead(builder(), where, value, dictionary,
                        feature.getIndex());
    Value &made = expansion.conditionReads[feature];
    if (!made) {
      OpBuilder::InsertionGuard guard(builder());
      // Outside all patches, so that later sites can use it too.
      builder().setInsertionPointAfterValue(value);
      made = createRead(builder(), where, value, dictionary,
                        feature.getIndex());
    }
    return made;
  }

  /// Plans, tokens and condition together.
  Value gate() {
    if (gateValue)
      return gateValue;
    gateValue = joined(
        expansion.inputs.gate(where, plans(), policy().getTokensAttr()));
    return gateValue;
  }

  /// A gate together with the condition, if there is one.
  Value joined(Value plain) {
    Value when = condition();
    if (!when)
      return plain;
    return AllOp::create(builder(), where,
                         broadcastGateType({plain.getType(), when.getType()},
                                           builder().getI1Type()),
                         ValueRange{plain, when});
  }

  Value condition() {
    auto attribute = policy().getWhenAttr();
    if (!attribute)
      return {};
    if (!conditionValue)
      conditionValue = attribute.emit(*this);
    return conditionValue;
  }

  LogicalResult checkCondition() {
    SmallVector<flow::FeatureAttr> features;
    policy().collectFeatures(features);
    for (flow::FeatureAttr feature : features) {
      blamed = placeOf(feature);
      flow::DictionaryOp dictionary =
          flow::lookupDictionary(expansion.symbols, feature);
      if (dictionary)
        (void)readValue(dictionary,
                        "feature " + flow::describe(feature, policy()) + " is");
      else
        fail() << "feature " << flow::describe(feature, policy())
               << " has no dictionary that was opened";
      if (failedAny)
        return failure();
    }
    blamed.reset();
    return success();
  }

  /// Whether rows of `expected` numbers fit the value at a site.
  bool fits(flow::DictionaryOp dictionary, uint64_t expected, Value value,
            flow::SiteAttr at) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getElementType().isF64()) {
      fail() << "the value at " << at.str()
             << " is of f64, and edits are made in f32";
      return false;
    }
    int64_t width = type.getShape().back();
    if (width == static_cast<int64_t>(expected))
      return true;
    InFlightDiagnostic diag =
        fail() << "the dictionary's rows do not fit the model: they have "
               << expected << " numbers, the value at " << at.str() << " has "
               << width;
    diag.attachNote(dictionary.getLoc()) << "the dictionary is declared here";
    return false;
  }

  bool failedAny = false;

private:
  PolicyOp policy() { return placement.policy; }
  ArrayRef<int64_t> plans() { return expansion.plans[placement.policy]; }

  InFlightDiagnostic fail() {
    failedAny = true;
    return emitError(blamed ? *blamed : policy().getLoc());
  }

  /// Where the condition names a feature, or a graph that has it.
  Location placeOf(flow::FeatureAttr feature) {
    Location place = locationOf(
        policy(),
        (feature.getCollection().getValue() + ":" + feature.str()).str());
    return place == policy().getLoc() ? locationOf(policy(), "when") : place;
  }

  flow::RowsAttr rowsOf(flow::RowsPart part) {
    flow::DictionaryOp dictionary = placement.dictionary;
    return flow::RowsAttr::get(
        builder().getContext(), part,
        FlatSymbolRefAttr::get(dictionary.getSymNameAttr()),
        placement.features);
  }

  /// The marker of a site that comes before this one in the program. `what`
  /// begins the error.
  fx::SiteOp findEarlier(flow::SiteAttr at, const Twine &what) {
    fx::SiteOp other = expansion.markers.lookup(at);
    if (!other) {
      fail() << what << " read at " << at.str()
             << ", which the model does not have";
      return {};
    }
    if (!other->isBeforeInBlock(site.patch)) {
      fail() << what << " read at " << at.str() << ", which comes after "
             << placement.site.str()
             << ": what happens at a site can depend on the same site or on an "
                "earlier one";
      return {};
    }
    return other;
  }

  /// The value a dictionary reads from, that of this site or of an earlier one:
  /// before any edit there, or with `edited` after all of them.
  Value readValue(flow::DictionaryOp dictionary, const Twine &what,
                  bool edited = false) {
    flow::SiteAttr at = dictionary.getReads();
    Value value = site.patch.getValue();
    if (behind)
      value = edited ? site.patch.getResult() : site.patch.getInput();
    if (at != placement.site) {
      fx::SiteOp other = findEarlier(at, what);
      if (!other)
        return {};
      value = other.getInput();
      if (Value changed = expansion.edited.lookup(at); edited && changed)
        value = changed;
    }
    // A gathered value holds one number a feature.
    bool gather = at.getKind() == fx::SiteKind::Neuron;
    uint64_t width =
        gather ? dictionary.getFeatures() : dictionary.getWidth();
    return fits(dictionary, width, value, at) ? value : Value();
  }

  Value readFeatures(flow::DictionaryOp dictionary, ArrayRef<int64_t> features) {
    Value value = readValue(
        dictionary, "a feature of policy '" + policy().getSymName() + "' is",
        behind && policy().getAction().readsAfterEdits());
    if (!value)
      return {};
    return createRead(builder(), where, value, dictionary, features);
  }

  SiteBuilder &site;
  Expansion &expansion;
  Placement &placement;
  Location where;
  bool behind;
  /// The part of the policy that is looked at; the policy itself where there is none.
  std::optional<Location> blamed;
  Value gateValue, conditionValue;
};

} // namespace

LogicalResult SiteBuilder::emit(Placement &placement) {
  PolicyOp policy = placement.policy;
  flow::DictionaryOp dictionary = placement.dictionary;
  Emission emission(*this, placement);
  if (!emission.fits(dictionary, dictionary.getWidth(), marker.getInput(),
                     placement.site) ||
      failed(emission.checkCondition()))
    return failure();
  if (policy.getAction().readsAfterEdits()) {
    behind.push_back(&placement);
    return success();
  }
  if (failed(policy.getAction().emit(emission)) || emission.failedAny)
    return failure();
  if (policy.getPreserveNorm())
    normGates.insert(emission.gate());
  return success();
}

void SiteBuilder::project(Value &value, const Projection &projection,
                          ArrayRef<int64_t> plans) {
  PolicyOp policy = projection.policy;
  Location loc = NameLoc::get(policy.getSymNameAttr(), policy.getLoc());
  Value gate = expansion.inputs.gate(loc, plans, policy.getTokensAttr());
  if (projection.condition)
    gate = AllOp::create(
        builder, loc,
        broadcastGateType({gate.getType(), projection.condition.getType()},
                          builder.getI1Type()),
        ValueRange{gate, projection.condition});
  Attribute rows = projection.rows.front();
  if (projection.rows.size() > 1)
    rows = flow::ConcatAttr::get(builder.getContext(),
                                 builder.getArrayAttr(projection.rows));
  value = ProjectOp::create(
      builder, loc, value.getType(), value,
      flow::BasisAttr::get(builder.getContext(), rows), gate);
  counted.push_back({policy.getSymNameAttr(), gate});
}

/// An order of the numbers below `count` that all of these orders are parts of,
/// earlier orders first; cut short where there is none.
static SmallVector<unsigned> commonOrder(ArrayRef<SmallVector<unsigned>> orders,
                                         size_t count) {
  // A number is next if every order that still has it begins with it.
  std::vector<size_t> has(count, 0), position(orders.size(), 0);
  std::vector<SmallVector<unsigned>> beginsWith(count);
  std::set<unsigned> ready; // orders whose first number is next
  auto begin = [&](unsigned order) {
    if (position[order] == orders[order].size())
      return;
    unsigned number = orders[order][position[order]];
    beginsWith[number].push_back(order);
    if (beginsWith[number].size() == has[number])
      ready.insert(*llvm::min_element(beginsWith[number]));
  };
  for (const SmallVector<unsigned> &order : orders)
    for (unsigned number : order)
      ++has[number];
  for (unsigned order = 0; order < orders.size(); ++order)
    begin(order);
  SmallVector<unsigned> common;
  while (!ready.empty()) {
    unsigned first = *ready.begin();
    ready.erase(ready.begin());
    unsigned number = orders[first][position[first]];
    common.push_back(number);
    for (unsigned order : beginsWith[number]) {
      ++position[order];
      begin(order);
    }
  }
  return common;
}

LogicalResult SiteBuilder::emitProjections(Value &value) {
  if (projections.empty())
    return success();
  // Projections do not commute, and their order is that of the plan. Where one
  // order serves all plans each projection is written once for all of them;
  // else each plan gets its own.
  llvm::DenseMap<Attribute, unsigned> numberOf;
  for (auto [i, projection] : llvm::enumerate(projections))
    numberOf[FlatSymbolRefAttr::get(projection.policy.getSymNameAttr())] = i;
  SmallVector<SmallVector<unsigned>> orders;
  for (PlanOp plan : expansion.planOps) {
    SmallVector<unsigned> &order = orders.emplace_back();
    for (Attribute name : plan.getPolicies())
      if (auto found = numberOf.find(name); found != numberOf.end())
        order.push_back(found->second);
  }

  SmallVector<unsigned> common = commonOrder(orders, projections.size());
  if (common.size() == projections.size()) {
    for (unsigned number : common)
      project(value, projections[number],
              expansion.plans[projections[number].policy]);
    return success();
  }
  for (auto [i, order] : llvm::enumerate(orders))
    for (unsigned number : order) {
      if (++expansion.projectionsOfPlans > maxProjectionsOfPlans)
        return expansion.planOps[i]
            .emitError()
               << "the plans up to this one order their projections "
                  "differently, so that each needs its own, and they have more "
                  "than "
               << maxProjectionsOfPlans
               << " over all sites; write them in one order";
      project(value, projections[number], static_cast<int64_t>(i));
    }
  return success();
}

void SiteBuilder::countEdits() {
  SmallVector<Value> edits;
  SmallVector<StringRef> policies;
  for (auto [policy, edit] : counted) {
    edits.push_back(edit);
    // Names in a spec have no dot; what follows one makes a symbol unique.
    policies.push_back(specName(policy.getValue()));
  }
  if (!edits.empty())
    CountOp::create(builder, marker.getLoc(), edits,
                    expansion.inputs.tokens(marker.getLoc()),
                    builder.getStrArrayAttr(policies), patch.getSiteAttr());
}

LogicalResult SiteBuilder::finish() {
  Value value = patch.getValue();
  if (!coefficients.empty())
    value = WriteOp::create(builder, marker.getLoc(), value.getType(), value,
                            coefficients, builder.getArrayAttr(rows));
  if (failed(emitProjections(value)))
    return failure();
  if (!normGates.empty()) {
    Value gate = normGates.front();
    if (normGates.size() > 1) {
      SmallVector<Type> types;
      for (Value each : normGates)
        types.push_back(each.getType());
      gate = AnyOp::create(builder, marker.getLoc(),
                           broadcastGateType(types, builder.getI1Type()),
                           normGates.getArrayRef());
    }
    value = RescaleOp::create(builder, marker.getLoc(), value.getType(), value,
                              patch.getValue(), gate);
  }
  if (expansion.count)
    countEdits();
  YieldOp::create(builder, marker.getLoc(), value);
  marker.getResult().replaceAllUsesWith(patch.getResult());
  expansion.edited[patch.getSite()] = patch.getResult();

  builder.setInsertionPointAfter(patch);
  for (Placement *placement : behind) {
    Emission emission(*this, *placement, /*behind=*/true);
    if (failed(placement->policy.getAction().emit(emission)) ||
        emission.failedAny)
      return failure();
  }
  return success();
}
