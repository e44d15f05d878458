//===- GatesToFX.cpp - Lowering of gates and knobs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AtenBuilder.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// One number a row [batch] as [batch, 1, 1], or one a token as [tokens, 1].
Value perRow(AtenBuilder &aten, Value x, bool flattened) {
  x = aten.unsqueeze(x, 1);
  return flattened ? x : aten.unsqueeze(x, 2);
}

struct LowerInPlans : OpConversionPattern<InPlansOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(InPlansOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    // Plans without this policy alone: nothing holds.
    Value held = op.getPlans().empty()
                     ? aten.compare("lt", adaptor.getPlan(), int64_t(-1))
                     : aten.isOneOf(adaptor.getPlan(), op.getPlans());
    rewriter.replaceOp(op, perRow(aten, held, op.getFlattened()));
    return success();
  }
};

/// One element, which broadcasts to the tokens of whatever it meets.
struct LowerConstant : OpConversionPattern<ConstantOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ConstantOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    auto one = RankedTensorType::get({1}, type.getElementType());
    rewriter.replaceOpWithNewOp<fx::ConstantOp>(
        op, one, DenseElementsAttr::get(one, op.getValue()));
    return success();
  }
};

struct LowerTokens : OpConversionPattern<TokensOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(TokensOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value positions = adaptor.getPositions();
    TokensAttr scope = op.getScope();
    Value held;
    int64_t from = std::max(scope.getFrom(), scope.getSkipFirst());
    // Padding has position -1, which no scope means; nothing that holds from
    // some position on, or at listed ones, has to say so.
    bool excludesPadding = scope.getSet() == TokenSet::Generated ||
                           scope.getPositions() || from > 0;
    auto hold = [&](Value gate) {
      held = held ? aten.logical("and", held, gate) : gate;
    };
    int64_t rank = op.getPositions().getType().getRank();
    auto length = [&] {
      Value lengths = adaptor.getPromptLength();
      return rank == 1 ? lengths : aten.unsqueeze(lengths, 1);
    };
    switch (scope.getSet()) {
    case TokenSet::All:
      break;
    case TokenSet::Prompt:
      hold(aten.compare("lt", positions, length()));
      break;
    case TokenSet::Generated:
      hold(aten.compare("ge", positions, length()));
      break;
    case TokenSet::Last:
      hold(aten.compare("eq", positions,
                        aten.addScalar(length(), int64_t(-1))));
      break;
    case TokenSet::Sampled:
      hold(aten.compare("ge", positions,
                        aten.addScalar(length(), int64_t(-1))));
      break;
    }
    if (scope.getPositions())
      hold(aten.isOneOf(positions, scope.getPositions().asArrayRef()));
    if (from > 0 || !excludesPadding)
      hold(aten.compare("ge", positions, std::max<int64_t>(from, 0)));
    if (scope.getTo() >= 0)
      hold(aten.compare("le", positions, scope.getTo()));
    rewriter.replaceOp(op, aten.unsqueeze(held, rank));
    return success();
  }
};

struct LowerCompare : OpConversionPattern<CompareOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(CompareOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value held;
    if (op.getAbove())
      held =
          aten.compare("gt", adaptor.getInput(), op.getAbove()->convertToDouble());
    if (op.getBelow()) {
      Value below =
          aten.compare("lt", adaptor.getInput(), op.getBelow()->convertToDouble());
      held = held ? aten.logical("and", held, below) : below;
    }
    rewriter.replaceOp(op, held);
    return success();
  }
};

/// all and any: a chain of logical operators.
template <typename JoinOp> struct LowerJoin : OpConversionPattern<JoinOp> {
  LowerJoin(MLIRContext *context, StringRef connective)
      : OpConversionPattern<JoinOp>(context), connective(connective) {}
  LogicalResult
  matchAndRewrite(JoinOp op, typename JoinOp::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value held;
    for (Value gate : adaptor.getInputs())
      held = held ? aten.logical(connective, held, gate) : gate;
    rewriter.replaceOp(op, held);
    return success();
  }
  std::string connective;
};

struct LowerKnobValue : OpConversionPattern<KnobValueOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(KnobValueOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value column = aten.select(adaptor.getKnobs(), 1, op.getIndex());
    rewriter.replaceOp(op, perRow(aten, column, op.getFlattened()));
    return success();
  }
};

} // namespace

void weir::populateGateToFXPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<LowerInPlans, LowerConstant, LowerTokens, LowerCompare, LowerKnobValue>(context);
  patterns.add<LowerJoin<AllOp>>(context, "and");
  patterns.add<LowerJoin<AnyOp>>(context, "or");
}
