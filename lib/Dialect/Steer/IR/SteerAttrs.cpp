//===- SteerAttrs.cpp - Actions, schedules, scopes and conditions ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::steer;

#include "weir/Dialect/Steer/IR/SteerInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/Steer/IR/SteerAttrs.cpp.inc"

void SteerDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "weir/Dialect/Steer/IR/SteerAttrs.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Schedules
//===----------------------------------------------------------------------===//

double ConstantAttr::strengthAt(int64_t, int64_t, int64_t) const {
  return getValue().getValueAsDouble();
}

double LinearAttr::strengthAt(int64_t layer, int64_t first,
                              int64_t last) const {
  double from = getValue().getValueAsDouble();
  double to = getLastValue() ? getLastValue().getValueAsDouble() : 1.0;
  if (first == last)
    return from;
  return from + (to - from) * static_cast<double>(layer - first) /
                    static_cast<double>(last - first);
}

double ExponentialAttr::strengthAt(int64_t layer, int64_t first,
                                   int64_t) const {
  return getValue().getValueAsDouble() *
         std::exp(getRate().getValueAsDouble() *
                  static_cast<double>(layer - first));
}

LogicalResult GaussianAttr::verify(EmitError emitError, FloatAttr, FloatAttr,
                                   FloatAttr width) {
  if (!(width.getValueAsDouble() > 0))
    return emitError() << "the width of a gaussian schedule is above 0";
  return success();
}

double GaussianAttr::strengthAt(int64_t layer, int64_t, int64_t) const {
  double z = (static_cast<double>(layer) - getCenter().getValueAsDouble()) /
             getWidth().getValueAsDouble();
  return getValue().getValueAsDouble() * std::exp(-0.5 * z * z);
}

//===----------------------------------------------------------------------===//
// Actions
//===----------------------------------------------------------------------===//

LogicalResult MeasuredAttr::verify(EmitError emitError, flow::SiteAttr,
                                   FloatAttr median, FloatAttr length) {
  for (FloatAttr norm : {median, length})
    if (!norm.getValue().isFinite() || norm.getValue().isNegative())
      return emitError() << "a norm is a number from 0 on, got " << norm;
  return success();
}

LogicalResult AddAttr::verify(EmitError emitError, ScheduleAttrInterface, bool,
                              StringAttr dose,
                              ArrayRef<MeasuredAttr> measured) {
  if (dose)
    for (MeasuredAttr each : measured)
      if (each.getLength().getValue().isZero())
        return emitError() << "a direction of length 0 has no dose";
  return success();
}

MeasuredAttr AddAttr::measuredAt(flow::SiteAttr site) const {
  for (MeasuredAttr measured : getMeasured())
    if (measured.getSite() == site)
      return measured;
  return {};
}

std::optional<double> AddAttr::getUnit(flow::SiteAttr site) const {
  if (!getDose())
    return 1.0;
  MeasuredAttr measured = measuredAt(site);
  if (!measured)
    return std::nullopt;
  return measured.getMedian().getValueAsDouble() /
         measured.getLength().getValueAsDouble();
}

StringRef AddAttr::getKeyword() const { return "add"; }
bool AddAttr::canWriteElsewhere() const { return true; }
bool AddAttr::takesKnob() const { return true; }
LogicalResult AddAttr::emit(PatchEmitter &patch) const {
  patch.add(getSchedule(), getNormalize());
  return success();
}

StringRef SetAttr::getKeyword() const { return "set"; }
bool SetAttr::isAbsolute() const { return true; }
bool SetAttr::takesKnob() const { return true; }
LogicalResult SetAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  patch.edit(f, SetToOp::create(patch.builder(), patch.loc(), f.getType(), f,
                                ArrayRef<double>(getValue().getValueAsDouble()),
                                patch.times()));
  return success();
}

StringRef ScaleAttr::getKeyword() const { return "scale"; }
bool ScaleAttr::isAbsolute() const { return true; }
bool ScaleAttr::takesKnob() const { return true; }
LogicalResult ScaleAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  patch.edit(f,
             ScaleByOp::create(patch.builder(), patch.loc(), f.getType(), f,
                               ArrayRef<double>(getFactor().getValueAsDouble()),
                               patch.times()));
  return success();
}

LogicalResult ClampAttr::verify(EmitError emitError, FloatAttr min,
                                FloatAttr max) {
  if (!min && !max)
    return emitError() << "clamp takes a min, a max or both";
  if (min && max && min.getValueAsDouble() > max.getValueAsDouble())
    return emitError() << "the min of a clamp is above its max";
  return success();
}
StringRef ClampAttr::getKeyword() const { return "clamp"; }
bool ClampAttr::isAbsolute() const { return true; }
LogicalResult ClampAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  patch.edit(f, ClampToOp::create(patch.builder(), patch.loc(), f.getType(), f,
                                  getMin(), getMax()));
  return success();
}

static void emitAblation(PatchEmitter &patch, Value f) {
  patch.edit(f, SetToOp::create(patch.builder(), patch.loc(), f.getType(), f,
                                ArrayRef<double>(0.0), Value()));
}

StringRef AblateAttr::getKeyword() const { return "ablate"; }
bool AblateAttr::isAbsolute() const { return true; }
LogicalResult AblateAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  emitAblation(patch, f);
  return success();
}

StringRef TransferAttr::getKeyword() const { return "transfer"; }
bool TransferAttr::isAbsolute() const { return true; }
bool TransferAttr::hasTarget() const { return true; }
LogicalResult TransferAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  if (patch.isSource()) {
    emitAblation(patch, f);
    return success();
  }
  Value sources = patch.readSources();
  if (!sources)
    return failure();
  patch.edit(f, SumOp::create(patch.builder(), patch.loc(), f.getType(), f,
                              sources));
  return success();
}

StringRef ProjectOutAttr::getKeyword() const { return "project_out"; }
bool ProjectOutAttr::takesShare() const { return false; }
bool ProjectOutAttr::canWriteStream() const { return true; }
LogicalResult ProjectOutAttr::emit(PatchEmitter &patch) const {
  patch.projectOut();
  return success();
}

LogicalResult SubstituteAttr::verify(EmitError emitError, int64_t first,
                                     int64_t last, FlatSymbolRefAttr bridge,
                                     FloatAttr quantile) {
  if (first < 1 || last < first)
    return emitError() << "expects layers in ascending order from 1 on, got "
                       << first << " to " << last;
  if (quantile && !bridge)
    return emitError() << "a quantile is one of a match, which a bridge has";
  return success();
}
StringRef SubstituteAttr::getKeyword() const { return "substitute"; }
std::optional<std::pair<int64_t, int64_t>>
SubstituteAttr::getReplacedLayers() const {
  return std::pair(getFirst(), getLast());
}
LogicalResult SubstituteAttr::emit(PatchEmitter &) const {
  // Blocks are no patch's: see getReplacedLayers.
  return failure();
}

StringRef RecordAttr::getKeyword() const { return "record"; }
bool RecordAttr::leavesValue() const { return true; }
bool RecordAttr::readsAfterEdits() const { return getAfter(); }
LogicalResult RecordAttr::emit(PatchEmitter &patch) const {
  Value f = patch.read();
  if (!f)
    return failure();
  patch.record(f);
  return success();
}

StringRef RecordGateAttr::getKeyword() const { return "record_gate"; }
bool RecordGateAttr::leavesValue() const { return true; }
FlatSymbolRefAttr RecordGateAttr::getRecordedPolicy() const {
  return getPolicy();
}
LogicalResult RecordGateAttr::emit(PatchEmitter &) const {
  // A gate is no patch's: see getRecordedPolicy.
  return failure();
}

StringRef RecordValueAttr::getKeyword() const { return "record_value"; }
bool RecordValueAttr::leavesValue() const { return true; }
bool RecordValueAttr::readsAfterEdits() const { return getAfter(); }
ArrayRef<flow::SiteAttr> RecordValueAttr::getRecordedSites() const {
  return getSites();
}
LogicalResult RecordValueAttr::emit(PatchEmitter &) const {
  // A value is no patch's: see getRecordedSites.
  return failure();
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

LogicalResult LayersAttr::verify(EmitError emitError, LayersKind kind,
                                 int64_t first, int64_t last) {
  if (kind != LayersKind::Range) {
    if (first != -1 || last != -1)
      return emitError() << "only a range says which layers";
    return success();
  }
  if (first < 0 || last < first)
    return emitError() << "expects layers in ascending order from 0 on, got "
                       << first << " to " << last;
  return success();
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

LogicalResult WhenAttr::verify(EmitError emitError, flow::FeatureAttr,
                               FloatAttr above, FloatAttr below) {
  if (!above && !below)
    return emitError() << "a condition says above, below or both";
  return success();
}

void WhenAttr::collectFeatures(
    SmallVectorImpl<flow::FeatureAttr> &features) const {
  features.push_back(getFeature());
}

Value WhenAttr::emit(ConditionEmitter &emitter) const {
  Value f = emitter.read(getFeature());
  return CompareOp::create(emitter.builder(), emitter.loc(), f, getAbove(),
                           getBelow());
}

/// The two combinations differ only in the operation that joins the gates.
template <typename JoinOp>
static Value emitCombination(ArrayAttr conditions, ConditionEmitter &emitter) {
  SmallVector<Value> gates;
  SmallVector<Type> types;
  for (auto condition : conditions.getAsRange<ConditionAttrInterface>()) {
    gates.push_back(condition.emit(emitter));
    types.push_back(gates.back().getType());
  }
  return JoinOp::create(emitter.builder(), emitter.loc(),
                        broadcastGateType(types, emitter.builder().getI1Type()),
                        gates);
}

LogicalResult WatchAttr::verify(EmitError emitError, int64_t features, bool,
                                FloatAttr above, FloatAttr below) {
  if (features < 0)
    return emitError() << "a list is 0 or more, got " << features;
  if (!above && !below)
    return emitError() << "expects a number to be above or below";
  return success();
}

/// Its features are not known before steer-expand-policies names them.
void WatchAttr::collectFeatures(SmallVectorImpl<flow::FeatureAttr> &) const {}

Value WatchAttr::emit(ConditionEmitter &) const {
  llvm_unreachable("replaced by conditions on single features");
}

static LogicalResult verifyCombination(EmitError emitError,
                                       ArrayAttr conditions) {
  if (conditions.empty())
    return emitError() << "expects at least one condition";
  for (Attribute condition : conditions)
    if (!isa<ConditionAttrInterface>(condition))
      return emitError() << "expects conditions, got " << condition;
  return success();
}

static void collectAll(ArrayAttr conditions,
                       SmallVectorImpl<flow::FeatureAttr> &features) {
  for (auto condition : conditions.getAsRange<ConditionAttrInterface>())
    condition.collectFeatures(features);
}

LogicalResult AnyOfAttr::verify(EmitError emitError, ArrayAttr conditions) {
  return verifyCombination(emitError, conditions);
}
void AnyOfAttr::collectFeatures(
    SmallVectorImpl<flow::FeatureAttr> &features) const {
  collectAll(getConditions(), features);
}
Value AnyOfAttr::emit(ConditionEmitter &emitter) const {
  return emitCombination<AnyOp>(getConditions(), emitter);
}

LogicalResult AllOfAttr::verify(EmitError emitError, ArrayAttr conditions) {
  return verifyCombination(emitError, conditions);
}
void AllOfAttr::collectFeatures(
    SmallVectorImpl<flow::FeatureAttr> &features) const {
  collectAll(getConditions(), features);
}
Value AllOfAttr::emit(ConditionEmitter &emitter) const {
  return emitCombination<AllOp>(getConditions(), emitter);
}
