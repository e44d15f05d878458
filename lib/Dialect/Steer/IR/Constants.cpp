//===- Constants.cpp - What becomes of gates and knobs that are known ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fixed program has constants where others look up a row's plan and knobs.
// Here they go into the operations that use them: a gate that always holds is
// none, and a knob is a part of the number that it multiplies.
//
//===----------------------------------------------------------------------===//

#include "Constants.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

std::optional<bool> steer::knownGate(Value gate) {
  Attribute known;
  if (!gate || !matchPattern(gate, m_Constant(&known)))
    return std::nullopt;
  auto value = dyn_cast<BoolAttr>(known);
  return value ? std::optional(value.getValue()) : std::nullopt;
}

std::optional<double> steer::knownNumber(Value knob) {
  Attribute known;
  if (!knob || !matchPattern(knob, m_Constant(&known)))
    return std::nullopt;
  auto value = dyn_cast<FloatAttr>(known);
  return value ? std::optional(value.getValueAsDouble()) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// The constant
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  Type element = cast<RankedTensorType>(getType()).getElementType();
  if (isa<BoolAttr>(getValue()) && element.isInteger(1))
    return success();
  auto number = dyn_cast<FloatAttr>(getValue());
  if (number && number.getType().isF32() && element.isF32()) {
    if (number.getValue().isFinite())
      return success();
    return emitOpError("is not a finite number");
  }
  return emitOpError("expects true or false for gates and a number of f32 for "
                     "knobs, not ")
         << getValue() << " for " << getType();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

Operation *SteerDialect::materializeConstant(OpBuilder &builder,
                                             Attribute value, Type type,
                                             Location loc) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() < 2 || tensor.getShape().back() != 1 ||
      !isa<BoolAttr, FloatAttr>(value))
    return nullptr;
  return ConstantOp::create(builder, loc, type, value);
}

//===----------------------------------------------------------------------===//
// Knobs
//===----------------------------------------------------------------------===//

/// A product as the program would compute it, in f32.
static double product(double a, double b) {
  return static_cast<float>(a) * static_cast<float>(b);
}

static SmallVector<double> product(ArrayRef<double> numbers, double knob) {
  SmallVector<double> result;
  for (double number : numbers)
    result.push_back(product(number, knob));
  return result;
}

LogicalResult SetToOp::canonicalize(SetToOp op, PatternRewriter &rewriter) {
  std::optional<double> knob = knownNumber(op.getTimes());
  if (!knob)
    return failure();
  rewriter.replaceOpWithNewOp<SetToOp>(op, op.getType(), op.getInput(),
                                       product(op.getValues(), *knob), Value());
  return success();
}

LogicalResult ScaleByOp::canonicalize(ScaleByOp op, PatternRewriter &rewriter) {
  std::optional<double> knob = knownNumber(op.getTimes());
  if (!knob)
    return failure();
  rewriter.replaceOpWithNewOp<ScaleByOp>(op, op.getType(), op.getInput(),
                                         product(op.getFactors(), *knob),
                                         Value());
  return success();
}

LogicalResult StrengthOp::canonicalize(StrengthOp op,
                                       PatternRewriter &rewriter) {
  std::optional<double> knob = knownNumber(op.getTimes());
  std::optional<bool> held = knownGate(op.getGate());
  if (!knob && !held)
    return failure();
  double value = op.getValue().convertToDouble();
  if (knob)
    value = product(value, *knob);
  if (held == false)
    value = 0;
  Value times = knob ? Value() : op.getTimes();
  Value gate = held ? Value() : op.getGate();
  // A count wants tokens, which a number that is the same everywhere has not.
  if (!times && !gate) {
    SmallVector<OpOperand *> counts;
    for (OpOperand &use : op->getUses())
      if (isa<CountOp>(use.getOwner()))
        counts.push_back(&use);
    if (!counts.empty()) {
      Value edited = ConstantOp::create(
          rewriter, op.getLoc(),
          fx::withElementType(op.getType(), rewriter.getI1Type()),
          rewriter.getBoolAttr(value != 0));
      for (OpOperand *use : counts)
        rewriter.modifyOpInPlace(use->getOwner(), [&] { use->set(edited); });
    }
  }
  rewriter.replaceOpWithNewOp<StrengthOp>(op, rewriter.getF64FloatAttr(value),
                                          times, gate);
  return success();
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

/// A gate that always holds says nothing.
template <typename Op>
static LogicalResult dropOpenGate(Op op, PatternRewriter &rewriter) {
  if (knownGate(op.getGate()) != true)
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getGateMutable().clear(); });
  return success();
}

/// An edit whose gate never holds leaves the value.
template <typename Op>
static LogicalResult dropGatedEdit(Op op, PatternRewriter &rewriter) {
  if (knownGate(op.getGate()) != false)
    return dropOpenGate(op, rewriter);
  rewriter.replaceOp(op, op.getInput());
  return success();
}

LogicalResult DeltaOp::canonicalize(DeltaOp op, PatternRewriter &rewriter) {
  return dropOpenGate(op, rewriter);
}
LogicalResult ProjectOp::canonicalize(ProjectOp op, PatternRewriter &rewriter) {
  return dropGatedEdit(op, rewriter);
}
LogicalResult RescaleOp::canonicalize(RescaleOp op, PatternRewriter &rewriter) {
  return dropGatedEdit(op, rewriter);
}
LogicalResult RecordOp::canonicalize(RecordOp op, PatternRewriter &rewriter) {
  return dropOpenGate(op, rewriter);
}
LogicalResult RecordValueOp::canonicalize(RecordValueOp op,
                                          PatternRewriter &rewriter) {
  return dropOpenGate(op, rewriter);
}
