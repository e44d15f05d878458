//===- RecordGates.cpp - Gates of policies as outputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RecordGates.h"

#include "weir/Dialect/Steer/IR/PatchEmitter.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

Value steer::createRead(OpBuilder &builder, Location loc, Value value,
                        flow::DictionaryOp dictionary,
                        ArrayRef<int64_t> features) {
  bool gather = dictionary.getReads().getKind() == fx::SiteKind::Neuron;
  return ReadOp::create(
      builder, loc, value,
      FlatSymbolRefAttr::get(dictionary.getSymNameAttr()),
      builder.getDenseI64ArrayAttr(features), dictionary.getActivationAttr(),
      dictionary.getNormalizationAttr(), dictionary.getFeaturesAttr(),
      gather ? builder.getUnitAttr() : UnitAttr());
}

namespace {

/// The gates of policies, outside of all patches.
class GateEmitter : public ConditionEmitter {
public:
  GateEmitter(ModuleOp module, ProgramInputs &inputs,
              const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
              OpBuilder &builder)
      : symbols(module), inputs(inputs), markers(markers), opBuilder(builder),
        where(module.getLoc()) {}

  OpBuilder &builder() override { return opBuilder; }
  Location loc() override { return where; }

  Value read(Attribute attribute) override {
    auto feature = cast<flow::FeatureAttr>(attribute);
    auto [dictionary, marker] = placeOf(feature);
    // As the condition itself reads it: before the edits of its site.
    return createRead(opBuilder, where, marker.getInput(), dictionary,
                      feature.getIndex());
  }

  /// The dictionary of a feature and the site that it reads; null after an error.
  std::pair<flow::DictionaryOp, fx::SiteOp> placeOf(flow::FeatureAttr feature) {
    auto collection =
        symbols.lookup<flow::CollectionOp>(feature.getCollection().getAttr());
    auto dictionary = collection
                          ? symbols.lookup<flow::DictionaryOp>(
                                collection.dictionaryName(feature.getSite()))
                          : flow::DictionaryOp();
    if (!dictionary) {
      current.emitError() << "feature " << feature.str()
                         << " has no dictionary that was opened";
      return {};
    }
    fx::SiteOp marker = markers.lookup(dictionary.getReads());
    if (!marker) {
      current.emitError() << "feature " << feature.str() << " is read at "
                         << fx::siteName(dictionary.getReads().getKind(),
                                         dictionary.getReads().getLayer())
                         << ", which the model does not have";
      return {};
    }
    return {dictionary, marker};
  }

  /// Plans, tokens and condition of a policy together, made once; null after an
  /// error.
  Value gateOf(PolicyOp policy, ArrayRef<int64_t> plans) {
    Value &known = gates[policy];
    if (known)
      return known;
    current = policy;
    where = NameLoc::get(policy.getSymNameAttr(), policy.getLoc());
    Value gate = inputs.gate(where, plans, policy.getTokensAttr(),
                             /*noPadding=*/true);
    if (auto attribute = policy.getWhenAttr()) {
      SmallVector<flow::FeatureAttr> features;
      attribute.collectFeatures(features);
      // A condition joins whatever it is given.
      for (flow::FeatureAttr feature : features)
        if (!placeOf(feature).second)
          return {};
      Value when = attribute.emit(*this);
      gate = AllOp::create(opBuilder, where,
                           broadcastGateType({gate.getType(), when.getType()},
                                             opBuilder.getI1Type()),
                           ValueRange{gate, when});
    }
    return known = gate;
  }

  SymbolTable symbols;

private:
  ProgramInputs &inputs;
  const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers;
  OpBuilder &opBuilder;
  Location where;
  PolicyOp current; ///< whose gate is made
  llvm::DenseMap<Operation *, Value> gates;
};

} // namespace

LogicalResult steer::recordGates(
    ModuleOp module, fx::ProgramOp program, ProgramInputs &inputs,
    const llvm::DenseMap<Operation *, SmallVector<int64_t>> &plans,
    const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
    ArrayRef<PolicyOp> records) {
  if (records.empty())
    return success();
  OpBuilder builder(program.getReturn());
  GateEmitter emitter(module, inputs, markers, builder);
  for (PolicyOp record : records) {
    FlatSymbolRefAttr name = record.getAction().getRecordedPolicy();
    auto policy = emitter.symbols.lookup<PolicyOp>(name.getAttr());
    if (!policy)
      return record.emitError() << "there is no policy " << name;
    if (policy.getAction().getRecordedPolicy())
      return record.emitError()
             << "records the gate of " << name << ", which is no edit: it "
             << "records a gate itself";
    Value of = emitter.gateOf(policy, plans.lookup(policy));
    Value own = of ? emitter.gateOf(record, plans.lookup(record)) : Value();
    if (!own)
      return failure();
    // Names in a spec have no dot; what follows one makes a symbol unique.
    RecordGateOp::create(
        builder, NameLoc::get(record.getSymNameAttr(), record.getLoc()), of, name,
        builder.getStringAttr(record.getSymName().split('.').first), own);
  }
  return success();
}

LogicalResult steer::recordValues(
    ModuleOp module, fx::ProgramOp program, ProgramInputs &inputs,
    const llvm::DenseMap<Operation *, SmallVector<int64_t>> &plans,
    const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
    const llvm::DenseMap<flow::SiteAttr, Value> &edited,
    ArrayRef<PolicyOp> records) {
  // A short spec can ask for many times more.
  constexpr int64_t maxValues = 2'000, maxNumbers = 2'000'000;
  int64_t values = 0, numbers = 0, lastLayer = -1;
  for (const auto &[site, marker] : markers)
    lastLayer = std::max<int64_t>(lastLayer, site.getLayer());
  if (records.empty())
    return success();
  OpBuilder builder(program.getReturn());
  GateEmitter emitter(module, inputs, markers, builder);
  for (PolicyOp record : records) {
    Value gate = emitter.gateOf(record, plans.lookup(record));
    if (!gate)
      return failure();
    for (flow::SiteAttr site : record.getAction().getRecordedSites()) {
      std::string name = fx::siteName(site.getKind(), site.getLayer());
      fx::SiteOp marker = markers.lookup(site);
      if (!marker) {
        InFlightDiagnostic error = record.emitError()
                                   << "the model has no site " << name;
        if (lastLayer < 0)
          error << "; it has none at all";
        else
          error << "; its layers are 0 to " << lastLayer;
        return failure();
      }
      if (++values > maxValues)
        return record.emitError()
               << "the policies up to '" << record.getSymName()
               << "' record more than " << maxValues
               << " values of sites; give them fewer sites";
      Value value = marker.getInput();
      numbers += std::max<int64_t>(
          1, cast<RankedTensorType>(value.getType()).getShape().back());
      if (numbers > maxNumbers)
        return record.emitError()
               << "the policies up to '" << record.getSymName()
               << "' record more than " << maxNumbers
               << " numbers a token; give them fewer sites";
      if (Value changed = edited.lookup(site);
          changed && record.getAction().readsAfterEdits())
        value = changed;
      RecordValueOp::create(
          builder, NameLoc::get(record.getSymNameAttr(), record.getLoc()),
          value, site,
          builder.getStringAttr(record.getSymName().split('.').first.str() +
                                "." + fx::stringifySiteKind(site.getKind()) +
                                "." + Twine(site.getLayer())),
          gate);
    }
  }
  return success();
}
