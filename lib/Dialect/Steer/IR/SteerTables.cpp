//===- SteerTables.cpp - Operations on tables of plans ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reads.h"
#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

//===----------------------------------------------------------------------===//
// Result types
//===----------------------------------------------------------------------===//

/// What a lookup in a table of `columns` columns makes.
static RankedTensorType rowType(RankedTensorType slot, int64_t columns,
                                Type element) {
  Builder builder(element.getContext());
  return fx::tensorOf({fx::sizesOf(slot)[0], builder.getI64IntegerAttr(1),
                       builder.getI64IntegerAttr(columns)},
                      element);
}

/// For errors while a type is inferred; nobody wants one without a place.
static LogicalResult wrongTable(std::optional<Location> loc) {
  if (loc)
    emitError(*loc) << "'steer.lookup' op expects a table of rows and columns "
                       "of i64, f32 or i1";
  return failure();
}

LogicalResult LookupOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto slot = dyn_cast<RankedTensorType>(adaptor.getSlot().getType());
  auto table = dyn_cast<RankedTensorType>(adaptor.getTable().getType());
  if (!slot || slot.getRank() != 1 || !table || table.getRank() != 2)
    return wrongTable(loc);
  types.push_back(rowType(slot, table.getDimSize(1), table.getElementType()));
  return success();
}

LogicalResult RowReadOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(adaptor.getInput().getType());
  auto rows = dyn_cast<RankedTensorType>(adaptor.getRows().getType());
  if (!input || input.getRank() == 0 || !rows || rows.getRank() == 0)
    return failure();
  types.push_back(
      fx::withLastSize(fx::withElementType(input, Float32Type::get(context)),
                       rows.getShape().back()));
  return success();
}

/// The type of values, some of which may be null, joined for each token.
static LogicalResult inferJoined(std::optional<Location> loc,
                                 ArrayRef<Value> values, Type element,
                                 SmallVectorImpl<Type> &types) {
  SmallVector<Type> parts;
  for (Value value : values)
    if (value)
      parts.push_back(value.getType());
  auto joined = broadcastTokens(loc, parts, element);
  if (failed(joined))
    return failure();
  types.push_back(*joined);
  return success();
}

LogicalResult RowStrengthOp::inferReturnTypes(MLIRContext *context,
                                              std::optional<Location> loc,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  return inferJoined(
      loc, {adaptor.getValue(), adaptor.getTimes(), adaptor.getGate()},
      Float32Type::get(context), types);
}

LogicalResult RowTokensOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location>,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Builder builder(context);
  SmallVector<Attribute> sizes =
      fx::sizesOf(cast<RankedTensorType>(adaptor.getPositions().getType()));
  sizes.push_back(builder.getI64IntegerAttr(1));
  types.push_back(fx::tensorOf(sizes, builder.getI1Type()));
  return success();
}

LogicalResult RowCompareOp::inferReturnTypes(MLIRContext *context,
                                             std::optional<Location> loc,
                                             Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  return inferJoined(
      loc, {adaptor.getInput(), adaptor.getAbove(), adaptor.getBelow()},
      IntegerType::get(context, 1), types);
}

LogicalResult RowKnobOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  types.push_back(fx::withElementType(
      cast<RankedTensorType>(adaptor.getColumn().getType()),
      Float32Type::get(context)));
  return success();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult SlotOp::verify() {
  if (getSlots().empty())
    return emitOpError("has no plan");
  for (int64_t slot : getSlots())
    if (slot < 0)
      return emitOpError("expects rows of tables, from 0 on, got ") << slot;
  return success();
}

LogicalResult LookupOp::verify() {
  ShapedType table = getTable().getType();
  if (table.getRank() != 2 || table.getDimSize(0) < 1 ||
      table.getDimSize(1) < 1)
    return emitOpError("expects a table of rows and columns, got ") << table;
  if (auto slot = getSlot().getDefiningOp<SlotOp>())
    for (int64_t row : slot.getSlots())
      if (row >= table.getDimSize(0))
        return emitOpError("looks up row ")
               << row << " of " << table.getDimSize(0);
  return success();
}

/// Indices that are looked up in a table lie below `count`.
static LogicalResult verifyIndices(Operation *op, Value rows, int64_t count,
                                   StringRef of) {
  auto lookup = rows.getDefiningOp<LookupOp>();
  if (!lookup)
    return success();
  for (int64_t index : lookup.getTable().getValues<int64_t>())
    if (index < 0 || index >= count)
      return op->emitOpError("takes ")
             << of << " " << index << " of " << count;
  return success();
}

LogicalResult RowReadOp::verify() {
  if (failed(verifyFeaturesRead(*this)))
    return failure();
  if (lastSize(getRows()) > static_cast<int64_t>(getDictionarySize()))
    return emitOpError("reads ") << lastSize(getRows()) << " features a row of "
                                 << getDictionarySize();
  if (failed(verifyFits(*this, getRows(), "lookup", getInput())) ||
      failed(verifyIndices(*this, getRows(), getFeatures().size(), "feature")))
    return failure();
  return verifyGather(*this);
}

/// Numbers of the row's plan, one for each column of the activations.
static LogicalResult verifyColumns(Operation *op, Value activations,
                                   Value numbers, StringRef what) {
  if (lastSize(activations) != lastSize(numbers))
    return op->emitOpError("has ")
           << lastSize(numbers) << " " << what << " for "
           << lastSize(activations) << " features";
  return verifyFits(op, numbers, "lookup", activations);
}

/// A table that stands for numbers of a spec holds finite ones.
static LogicalResult verifyFinite(Operation *op, Value numbers) {
  auto lookup = numbers.getDefiningOp<LookupOp>();
  if (!lookup)
    return success();
  for (float number : lookup.getTable().getValues<float>())
    if (!std::isfinite(number))
      return op->emitOpError("has a number that is not finite");
  return success();
}

LogicalResult RowSetOp::verify() {
  if (failed(verifyFinite(*this, getValues())) ||
      failed(verifyFits(*this, getTimes(), "knob", getResult())))
    return failure();
  return verifyColumns(*this, getInput(), getValues(), "numbers");
}
LogicalResult RowScaleOp::verify() {
  if (failed(verifyFinite(*this, getFactors())) ||
      failed(verifyFits(*this, getTimes(), "knob", getResult())))
    return failure();
  return verifyColumns(*this, getInput(), getFactors(), "numbers");
}
LogicalResult RowClampOp::verify() {
  if (!getMin() && !getMax())
    return emitOpError("has no bound");
  for (Value bound : {getMin(), getMax()})
    if (bound && failed(verifyColumns(*this, getInput(), bound, "bounds")))
      return failure();
  return success();
}
LogicalResult RowKeepOp::verify() {
  return verifyColumns(*this, getInput(), getColumns(), "flags");
}

LogicalResult RowStrengthOp::verify() {
  if (lastSize(getValue()) != 1)
    return emitOpError("has ") << lastSize(getValue()) << " numbers a row";
  return verifyFinite(*this, getValue());
}

static LogicalResult verifyDirections(Operation *op, Value input, Value rows,
                                      flow::RecipeAttrInterface directions) {
  if (directions.getNumRows() < 0)
    return op->emitOpError("expects a known number of directions");
  if (ShapedType::isDynamic(lastSize(input)))
    return op->emitOpError("expects a value of static width");
  if (failed(verifyFits(op, rows, "lookup", input)))
    return failure();
  return verifyIndices(op, rows, directions.getNumRows(), "direction");
}

LogicalResult RowWriteOp::verify() {
  if (lastSize(getCoefficients()) != lastSize(getRows()))
    return emitOpError("has ") << lastSize(getCoefficients())
                               << " coefficients along " << lastSize(getRows())
                               << " directions";
  if (failed(verifyFits(*this, getCoefficients(), "coefficient", getInput())))
    return failure();
  return verifyDirections(*this, getInput(), getRows(), getDirections());
}

LogicalResult RowProjectOp::verify() {
  if (getColumns() && lastSize(getColumns()) != lastSize(getRows()))
    return emitOpError("has ") << lastSize(getColumns()) << " flags for "
                               << lastSize(getRows()) << " directions";
  if (failed(verifyFits(*this, getGate(), "gate", getInput())) ||
      failed(verifyFits(*this, getColumns(), "lookup", getInput())))
    return failure();
  return verifyDirections(*this, getInput(), getRows(), getDirections());
}

EditStage RowWriteOp::getStage() { return EditStage::Write; }
EditStage RowProjectOp::getStage() { return EditStage::Project; }
// What rows of different plans write is added by an operation for each form.
bool RowWriteOp::mayRepeat() { return true; }
bool RowProjectOp::mayRepeat() { return true; }

LogicalResult RowTokensOp::verify() {
  for (Value bound : {getFrom(), getTo(), getFirst(), getLast()})
    if (bound && lastSize(bound) != 1)
      return emitOpError("has ") << lastSize(bound) << " bounds a row";
  if (!getFrom() && !getTo() && !getFirst() && !getLast() && !getListed())
    return emitOpError("says nothing about tokens");
  return success();
}

LogicalResult RowCompareOp::verify() {
  if (!getAbove() && !getBelow())
    return emitOpError("has nothing to compare with");
  for (Value bound : {getAbove(), getBelow()})
    if (bound && lastSize(bound) != 1)
      return emitOpError("has ") << lastSize(bound) << " numbers a row";
  return success();
}

LogicalResult RowKnobOp::verify() {
  if (lastSize(getColumn()) != 1)
    return emitOpError("takes ") << lastSize(getColumn()) << " knobs a row";
  if (ShapedType::isDynamic(lastSize(getKnobs())))
    return success();
  return verifyIndices(*this, getColumn(), lastSize(getKnobs()), "knob");
}

//===----------------------------------------------------------------------===//
// Costs: what one row of the batch gathers
//===----------------------------------------------------------------------===//

/// Encoder rows read for a token: all of them where a top k is taken.
static int64_t rowsRead(RowReadOp read) {
  if (read.getGather())
    return 0;
  return read.getActivation().getKind() == flow::ActivationKind::TopK
             ? read.getDictionarySize()
             : lastSize(read.getRows());
}

int64_t RowReadOp::getBytesPerToken() {
  return rowsRead(*this) * (lastSize(getInput()) + 1) * 4;
}
int64_t RowReadOp::getOperationsPerToken() {
  return 2 * rowsRead(*this) * lastSize(getInput());
}
int64_t RowWriteOp::getBytesPerToken() {
  return lastSize(getRows()) * lastSize(getInput()) * 4;
}
int64_t RowWriteOp::getOperationsPerToken() { return getBytesPerToken() / 2; }
int64_t RowProjectOp::getBytesPerToken() {
  return lastSize(getRows()) * lastSize(getInput()) * 4;
}
int64_t RowProjectOp::getOperationsPerToken() { return getBytesPerToken(); }

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

/// The table that a value is looked up in, if all its numbers are `number`.
/// Row 0 does not count: gates keep it from doing anything.
template <typename T> static bool holdsOnly(Value value, T number) {
  auto lookup = value.getDefiningOp<LookupOp>();
  if (!lookup)
    return false;
  int64_t columns = lookup.getTable().getType().getDimSize(1);
  return llvm::all_of(llvm::drop_begin(lookup.getTable().getValues<T>(), columns),
                      [&](T each) { return each == number; });
}

OpFoldResult RowScaleOp::fold(FoldAdaptor) {
  if (!getTimes() && holdsOnly<float>(getFactors(), 1.0f))
    return getInput();
  return {};
}

OpFoldResult RowClampOp::fold(FoldAdaptor) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if ((!getMin() || holdsOnly<float>(getMin(), -infinity)) &&
      (!getMax() || holdsOnly<float>(getMax(), infinity)))
    return getInput();
  return {};
}

OpFoldResult RowKeepOp::fold(FoldAdaptor) {
  // Only where row 0 is kept too: nothing else need hold it back.
  auto lookup = getColumns().getDefiningOp<LookupOp>();
  if (lookup && llvm::all_of(lookup.getTable().getValues<bool>(),
                             [](bool kept) { return kept; }))
    return getInput();
  return {};
}

OpFoldResult RowWriteOp::fold(FoldAdaptor) {
  // An edit from f to f, and additions of strength zero.
  if (auto delta = getCoefficients().getDefiningOp<DeltaOp>();
      delta && delta.getFrom() == delta.getTo())
    return getInput();
  if (auto strength = getCoefficients().getDefiningOp<RowStrengthOp>();
      strength && holdsOnly<float>(strength.getValue(), 0.0f))
    return getInput();
  return {};
}
