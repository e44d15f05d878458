//===- SteerFolds.cpp - Folders and canonicalizers of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Constants.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

//===----------------------------------------------------------------------===//
// PatchOp
//===----------------------------------------------------------------------===//

/// A patch that yields its own value does nothing; the model keeps its value.
LogicalResult PatchOp::canonicalize(PatchOp op, PatternRewriter &rewriter) {
  if (op.getYield().getValue() != op.getValue())
    return failure();
  // Records stay: they are an effect of their own and can read the input.
  Block &body = op.getBody().front();
  rewriter.setInsertionPoint(op);
  for (Operation &inner : llvm::make_early_inc_range(body.without_terminator()))
    rewriter.moveOpBefore(&inner, op);
  rewriter.replaceAllUsesWith(op.getValue(), op.getInput());
  rewriter.replaceOp(op, op.getInput());
  return success();
}

//===----------------------------------------------------------------------===//
// PickOp
//===----------------------------------------------------------------------===//

OpFoldResult PickOp::fold(FoldAdaptor) {
  // Every column, in order.
  int64_t columns = getInput().getType().getShape().back();
  if (llvm::equal(getColumns(), llvm::seq<int64_t>(columns)))
    return getInput();
  return {};
}

/// pick of pick: one pick.
LogicalResult PickOp::canonicalize(PickOp op, PatternRewriter &rewriter) {
  auto inner = op.getInput().getDefiningOp<PickOp>();
  if (!inner)
    return failure();
  SmallVector<int64_t> columns;
  for (int64_t column : op.getColumns())
    columns.push_back(inner.getColumns()[column]);
  rewriter.replaceOpWithNewOp<PickOp>(op, inner.getInput(), columns);
  return success();
}

//===----------------------------------------------------------------------===//
// New activations
//===----------------------------------------------------------------------===//

OpFoldResult ScaleByOp::fold(FoldAdaptor) {
  bool isOne = llvm::all_of(getFactors(), [](double r) { return r == 1.0; });
  if (isOne && !getTimes())
    return getInput();
  return {};
}

OpFoldResult ClampToOp::fold(FoldAdaptor) {
  // Infinite bounds bound nothing.
  bool noMin = !getMin() || (getMin()->isInfinity() && getMin()->isNegative());
  bool noMax = !getMax() || (getMax()->isInfinity() && !getMax()->isNegative());
  if (noMin && noMax)
    return getInput();
  return {};
}

//===----------------------------------------------------------------------===//
// WriteOp
//===----------------------------------------------------------------------===//

OpFoldResult WriteOp::fold(FoldAdaptor) {
  if (getCoefficients().empty())
    return getInput();
  return {};
}

namespace {

/// A coefficient that is zero whatever the token: an edit from f to f, or an
/// addition of strength zero.
bool isZero(Value coefficient) {
  if (auto delta = coefficient.getDefiningOp<DeltaOp>())
    return delta.getFrom() == delta.getTo() ||
           knownGate(delta.getGate()) == false;
  if (auto strength = coefficient.getDefiningOp<StrengthOp>())
    return strength.getValue().isZero();
  return false;
}

struct DropZeroCoefficients : OpRewritePattern<WriteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WriteOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> coefficients;
    SmallVector<Attribute> rows;
    for (auto [coefficient, row] :
         llvm::zip_equal(op.getCoefficients(), op.getRows())) {
      if (isZero(coefficient))
        continue;
      coefficients.push_back(coefficient);
      rows.push_back(row);
    }
    if (coefficients.size() == op.getCoefficients().size())
      return failure();
    rewriter.replaceOpWithNewOp<WriteOp>(op, op.getInput(), coefficients,
                                         rewriter.getArrayAttr(rows));
    return success();
  }
};

} // namespace

void WriteOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<DropZeroCoefficients>(context);
}

//===----------------------------------------------------------------------===//
// RescaleOp and gates
//===----------------------------------------------------------------------===//

OpFoldResult RescaleOp::fold(FoldAdaptor) {
  // A value that nothing has edited has its norm already.
  if (getInput() == getLike())
    return getInput();
  return {};
}

/// One gate joined with nothing is itself.
/// Inputs that are always `neutral` say nothing; one that never is decides.
template <typename JoinOp>
static OpFoldResult foldJoin(JoinOp op, bool neutral) {
  if (llvm::all_equal(op.getInputs()))
    return op.getInputs().front();
  SmallVector<Value> rest;
  for (Value input : op.getInputs()) {
    std::optional<bool> known = knownGate(input);
    if (!known)
      rest.push_back(input);
    else if (*known != neutral)
      return BoolAttr::get(op.getContext(), !neutral);
  }
  if (rest.empty())
    return BoolAttr::get(op.getContext(), neutral);
  if (rest.size() == op.getInputs().size())
    return {};
  // What is left has to have the tokens that the whole had.
  SmallVector<Type> types(ValueRange(rest).getTypes());
  Type element = op.getType().getElementType();
  if (broadcastGateType(types, element) != op.getType())
    return {};
  if (rest.size() == 1)
    return rest.front();
  op.getInputsMutable().assign(rest);
  return op.getResult();
}

OpFoldResult AllOp::fold(FoldAdaptor) { return foldJoin(*this, true); }
OpFoldResult AnyOp::fold(FoldAdaptor) { return foldJoin(*this, false); }
