//===- SubstitutionToFX.cpp - Lowering of replaced layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AtenBuilder.h"
#include "LoweringUtils.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

struct LowerDecode : OpConversionPattern<DecodeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(DecodeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    int64_t features = lastSize(op.getInput()), width = lastSize(op.getResult());
    Value made = aten.matmul(adaptor.getInput(),
                             aten.constant(op.getRows(), {features, width}));
    rewriter.replaceOp(
        op, aten.binary("add", made, aten.constant(op.getBias(), {width})));
    return success();
  }
};

struct LowerChoose : OpConversionPattern<ChooseOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ChooseOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, aten.where(adaptor.getGate(),
                                      adaptor.getReplacement(),
                                      adaptor.getOriginal()));
    return success();
  }
};

} // namespace

void weir::populateSubstitutionToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerDecode, LowerChoose>(patterns.getContext());
}
