//===- OutputsToFX.cpp - Lowering of gates and counts that leave the program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AtenBuilder.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "mlir/Transforms/DialectConversion.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// In place of an operation without results, the program gives one more value.
void replaceByOutput(Operation *op, Value value, Attribute role,
                     ConversionPatternRewriter &rewriter) {
  auto program = op->getParentOfType<fx::ProgramOp>();
  rewriter.modifyOpInPlace(program, [&] { program.addUserOutput(value, role); });
  rewriter.eraseOp(op);
}

struct LowerRecordGate : OpConversionPattern<RecordGateOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RecordGateOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value held = adaptor.getInput();
    if (adaptor.getGate())
      held = aten.logical("and", held, adaptor.getGate());
    Attribute role = fx::RecordAttr::get(getContext(), op.getNameAttr(),
                                         rewriter.getArrayAttr(op.getOfAttr()));
    replaceByOutput(op, aten.to(held, rewriter.getF32Type()), role, rewriter);
    return success();
  }
};

struct LowerRecordValue : OpConversionPattern<RecordValueOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RecordValueOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value value = aten.to(adaptor.getInput(), rewriter.getF32Type());
    // The site stands for all its numbers.
    Attribute role = fx::RecordAttr::get(
        getContext(), op.getNameAttr(), rewriter.getArrayAttr(op.getSiteAttr()));
    replaceByOutput(op, aten.keepWhere(adaptor.getGate(), value), role,
                    rewriter);
    return success();
  }
};

struct LowerCount : OpConversionPattern<CountOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(CountOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    llvm::MapVector<StringRef, Value> edited;
    for (auto [policy, edit] :
         llvm::zip_equal(op.getPolicies().getAsValueRange<StringAttr>(),
                         adaptor.getEdits())) {
      auto type = cast<RankedTensorType>(edit.getType());
      Value held = edit;
      if (!type.getElementType().isInteger(1))
        held = aten.compare("ne", held, 0.0);
      if (type.getShape().back() != 1)
        held = aten.any(held);
      Value &all = edited[policy];
      all = all ? aten.logical("or", all, held) : held;
    }
    // Every column gets the shape of the tokens, whatever its gate has.
    SmallVector<Value> columns;
    for (auto [policy, held] : edited)
      columns.push_back(
          aten.to(aten.logical("and", held, adaptor.getTokens()),
                  rewriter.getF32Type()));
    Attribute role = fx::CountAttr::get(
        getContext(), op.getSite().getKind(), op.getSite().getLayer(),
        rewriter.getStrArrayAttr(op.getColumns()));
    replaceByOutput(op, aten.cat(columns), role, rewriter);
    return success();
  }
};

} // namespace

void weir::populateOutputToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRecordGate, LowerRecordValue, LowerCount>(
      patterns.getContext());
}
