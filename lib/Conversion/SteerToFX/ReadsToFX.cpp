//===- ReadsToFX.cpp - Lowering of the steps of a read ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "AtenBuilder.h"
#include "LoweringUtils.h"

#include "mlir/Transforms/DialectConversion.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// What a normalised dictionary's output is multiplied by: |x| / sqrt(d), or the
/// sample's standard deviation (d - 1), as sae_lens has it.
Value inputScale(AtenBuilder &aten, Value x,
                 flow::Normalization normalization) {
  if (normalization == flow::Normalization::LayerNorm)
    return aten.std(x, /*correction=*/1);
  double root = std::sqrt(static_cast<double>(lastSize(x)));
  return aten.binary("div", aten.norm(x), aten.numbers(root));
}

struct LowerInputScale : OpConversionPattern<InputScaleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(InputScaleOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (failed(requireWide(op, op.getInput(), rewriter)))
      return failure();
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(
        op, inputScale(aten, adaptor.getInput(), op.getNormalization()));
    return success();
  }
};

struct LowerNormalize : OpConversionPattern<NormalizeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(NormalizeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(
        op, normalize(aten, adaptor.getInput(), op.getNormalization()));
    return success();
  }

  static Value normalize(AtenBuilder &aten, Value x,
                         flow::Normalization normalization) {
    switch (normalization) {
    case flow::Normalization::None:
      return x;
    case flow::Normalization::ConstantNorm: {
      Value scale = inputScale(aten, x, normalization);
      // A zero vector has no direction to stretch: divide by one instead.
      return aten.binary("div", x,
                         aten.where(aten.compare("gt", scale, 0.0), scale,
                                    aten.numbers(1.0)));
    }
    case flow::Normalization::LayerNorm: {
      Value centred = aten.binary("sub", x, aten.mean(x));
      Value spread = inputScale(aten, x, normalization);
      return aten.binary("div", centred,
                         aten.binary("add", spread, aten.numbers(1e-5)));
    }
    }
    llvm_unreachable("unknown normalization");
  }
};

/// Rows of a dictionary: a matrix [k, d], or one number a feature [k].
Value rowsOf(AtenBuilder &aten, FlatSymbolRefAttr dictionary,
             flow::RowsPart part, ArrayRef<int64_t> features,
             ArrayRef<int64_t> shape) {
  return aten.constant(flow::RowsAttr::get(dictionary.getContext(), part,
                                           dictionary, features),
                       shape);
}

struct LowerDenormalize : OpConversionPattern<DenormalizeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(DenormalizeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value x = adaptor.getLike();
    Value y = aten.binary("mul", adaptor.getInput(),
                          inputScale(aten, x, op.getNormalization()));
    if (op.getNormalization() == flow::Normalization::LayerNorm)
      y = aten.binary("add", y, aten.mean(x));
    rewriter.replaceOp(op, y);
    return success();
  }
};

struct LowerEncode : OpConversionPattern<EncodeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(EncodeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    int64_t k = lastSize(op.getResult()), width = lastSize(op.getInput());
    auto rows = [&](flow::RowsPart part, ArrayRef<int64_t> shape) {
      return rowsOf(aten, op.getDictionaryAttr(), part, op.getFeatures(), shape);
    };
    Value weight = rows(flow::RowsPart::Encoder, {k, width});
    Value bias = op.getUnbiased() ? Value()
                                  : rows(flow::RowsPart::EncoderBias, {k});
    rewriter.replaceOp(op, aten.linear(adaptor.getInput(), weight, bias));
    return success();
  }
};

struct LowerActivate : OpConversionPattern<ActivateOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ActivateOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, activate(op, aten, adaptor.getInput()));
    return success();
  }

  static Value activate(ActivateOp op, AtenBuilder &aten, Value z) {
    using flow::ActivationKind, flow::RowsPart;
    auto numbers = [&](RowsPart part) {
      return rowsOf(aten, op.getDictionaryAttr(), part, op.getFeatures(),
                    {lastSize(op.getInput())});
    };
    switch (op.getActivation().getKind()) {
    case ActivationKind::Identity:
      return z;
    case ActivationKind::ReLU:
      return aten.relu(z);
    case ActivationKind::JumpReLU: {
      // Strictly above the threshold, and above zero where that is negative.
      Value open = aten.compare("gt", z, numbers(RowsPart::Threshold));
      return aten.relu(aten.keepWhere(open, z));
    }
    case ActivationKind::TopK:
      // Exactly k stay, also where several are equal at the boundary; which of
      // those is up to aten.topk, called as sae_lens calls it.
      return aten.keepTopK(z, op.getActivation().getTopK());
    case ActivationKind::Gated: {
      // The gate's bias is the encoder's; magnitudes rescale the same products.
      Value gate = aten.binary("add", z, numbers(RowsPart::EncoderBias));
      Value open = aten.compare("gt", gate, 0.0);
      Value scale = numbers(RowsPart::MagnitudeScale);
      Value offset = numbers(RowsPart::MagnitudeBias);
      Value magnitude =
          aten.binary("add", aten.binary("mul", z, scale), offset);
      return aten.keepWhere(open, aten.relu(magnitude));
    }
    }
    llvm_unreachable("unknown activation");
  }
};

struct LowerPick : OpConversionPattern<PickOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(PickOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, aten.columns(adaptor.getInput(), op.getColumns()));
    return success();
  }
};

} // namespace

void weir::populateReadToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerInputScale, LowerNormalize, LowerDenormalize, LowerEncode, LowerActivate,
               LowerPick>(patterns.getContext());
}
