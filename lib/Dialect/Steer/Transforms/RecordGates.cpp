//===- RecordGates.cpp - Gates of policies as outputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RecordGates.h"

#include "GateEmitter.h"

#include "weir/Dialect/Steer/IR/PatchEmitter.h"
#include "weir/Support/Words.h"

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
    // One that is in no plan acts nowhere, whatever it asks for: nothing was made
    // ready for its tokens and its condition.
    auto inPlans = plans.find(policy);
    Value of = inPlans == plans.end() || inPlans->second.empty()
                   ? inputs.gate(policy.getLoc(), {}, {}, /*noPadding=*/true)
                   : emitter.gateOf(policy, inPlans->second);
    Value own = of ? emitter.gateOf(record, plans.lookup(record)) : Value();
    if (!own)
      return failure();
    // Names in a spec have no dot; what follows one makes a symbol unique.
    RecordGateOp::create(
        builder, NameLoc::get(record.getSymNameAttr(), record.getLoc()), of, name,
        builder.getStringAttr(specName(record.getSymName())), own);
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
          builder.getStringAttr(specName(record.getSymName()).str() +
                                "." + fx::stringifySiteKind(site.getKind()) +
                                "." + Twine(site.getLayer())),
          gate);
    }
  }
  return success();
}
