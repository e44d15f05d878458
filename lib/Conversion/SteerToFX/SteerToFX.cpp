//===- SteerToFX.cpp - Lowering of patches to aten ---===//
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
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace weir {
#define GEN_PASS_DEF_CONVERTSTEERTOFXPASS
#include "weir/Conversion/SteerToFX/Passes.h.inc"
} // namespace weir

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

//===----------------------------------------------------------------------===//
// New activations and coefficients
//===----------------------------------------------------------------------===//

/// f times one number or one number a feature, times a knob if there is one.
Value scaled(AtenBuilder &aten, Value f, ArrayRef<double> numbers, Value knob) {
  Value v = llvm::all_equal(numbers) ? aten.mulScalar(f, numbers.front())
                                     : aten.binary("mul", f, aten.numbers(numbers));
  return knob ? aten.binary("mul", v, knob) : v;
}

struct LowerScaleBy : OpConversionPattern<ScaleByOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ScaleByOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, scaled(aten, adaptor.getInput(), op.getFactors(),
                                  adaptor.getTimes()));
    return success();
  }
};

struct LowerSetTo : OpConversionPattern<SetToOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(SetToOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value v = aten.numbers(op.getValues());
    if (adaptor.getTimes())
      v = aten.binary("mul", adaptor.getTimes(), v);
    // Deltas broadcast; who else uses the value sees it whole.
    if (!llvm::all_of(op->getUsers(), llvm::IsaPred<DeltaOp>))
      v = aten.expandAs(v, adaptor.getInput());
    rewriter.replaceOp(op, v);
    return success();
  }
};

struct LowerClampTo : OpConversionPattern<ClampToOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ClampToOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value v = adaptor.getInput();
    if (op.getMin())
      v = aten.bound("clamp_min", v, op.getMin()->convertToDouble());
    if (op.getMax())
      v = aten.bound("clamp_max", v, op.getMax()->convertToDouble());
    rewriter.replaceOp(op, v);
    return success();
  }
};

struct LowerSum : OpConversionPattern<SumOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(SumOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op,
                       aten.binary("add", adaptor.getLhs(), adaptor.getRhs()));
    return success();
  }
};

struct LowerDelta : OpConversionPattern<DeltaOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(DeltaOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value f = adaptor.getFrom();
    Value delta = aten.binary("sub", adaptor.getTo(), f);
    Value gate = adaptor.getGate();
    if (op.getOnlyActive()) {
      Value active = aten.compare("gt", f, 0.0);
      gate = gate ? aten.logical("and", gate, active) : active;
    }
    if (adaptor.getScale())
      delta = aten.binary("mul", delta, adaptor.getScale());
    // The gate comes last, so that it also stops what is not finite.
    rewriter.replaceOp(op, aten.keepWhere(gate, delta));
    return success();
  }
};

struct LowerStrength : OpConversionPattern<StrengthOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(StrengthOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    double s = op.getValue().convertToDouble();
    Value strength = adaptor.getTimes()
                         ? aten.mulScalar(adaptor.getTimes(), s)
                         : aten.numbers(s);
    rewriter.replaceOp(op, aten.keepWhere(adaptor.getGate(), strength));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Patches and precision
//===----------------------------------------------------------------------===//

/// A patch's region computes in the program's own block.
struct LowerPatch : OpConversionPattern<PatchOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(PatchOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op.getLowering().value_or(Lowering::Aten) != Lowering::Aten)
      return rewriter.notifyMatchFailure(op, "is not lowered to aten");
    auto program = op->getParentOfType<fx::ProgramOp>();
    rewriter.modifyOpInPlace(program, [&] {
      program.addEdited(op.getSite().getKind(), op.getSite().getLayer());
    });
    YieldOp yield = op.getYield();
    rewriter.inlineBlockBefore(&op.getBody().front(), op, adaptor.getInput());
    rewriter.replaceOp(op, yield.getValue());
    rewriter.eraseOp(yield);
    return success();
  }
};

struct LowerWiden : OpConversionPattern<WidenOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(WidenOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, aten.to(adaptor.getInput(), rewriter.getF32Type()));
    return success();
  }
};

struct LowerRound : OpConversionPattern<RoundOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RoundOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, aten.to(adaptor.getInput(), op.getTo()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

struct LowerWrite : OpConversionPattern<WriteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(WriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (failed(requireWide(op, op.getInput(), rewriter)))
      return failure();
    AtenBuilder aten(rewriter, op.getLoc());
    int64_t width = lastSize(op.getInput());
    Value x = adaptor.getInput();

    // Edits of several features at the same tokens go through one product; a
    // single row needs none, and x + c d is then the same arithmetic as in a
    // hook.
    struct Product {
      SmallVector<Value> coefficients;
      SmallVector<Attribute> rows;
    };
    llvm::MapVector<Type, Product> products;
    for (auto [original, coefficient, rows] :
         llvm::zip_equal(op.getCoefficients(), adaptor.getCoefficients(),
                         op.getRows())) {
      if (lastSize(original) == 1) {
        Value row = aten.constant(rows, {1, width});
        x = aten.binary("add", x, aten.binary("mul", coefficient, row));
        continue;
      }
      Product &product = products[fx::withLastSize(
          cast<RankedTensorType>(original.getType()), 1)];
      product.coefficients.push_back(coefficient);
      product.rows.push_back(rows);
    }
    for (auto &[tokens, product] : products) {
      Value coefficients = aten.cat(product.coefficients);
      Attribute rows = product.rows.front();
      if (product.rows.size() > 1)
        rows = flow::ConcatAttr::get(op.getContext(),
                                     rewriter.getArrayAttr(product.rows));
      Value matrix = aten.constant(rows, {lastSize(coefficients), width});
      x = aten.binary("add", x, aten.matmul(coefficients, matrix));
    }
    rewriter.replaceOp(op, x);
    return success();
  }
};

struct LowerProject : OpConversionPattern<ProjectOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ProjectOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (failed(requireWide(op, op.getInput(), rewriter)))
      return failure();
    AtenBuilder aten(rewriter, op.getLoc());
    Value x = adaptor.getInput();
    Value basis = aten.constant(op.getRows(), {op.getRows().getNumRows(),
                                               lastSize(op.getInput())});
    Value inside = aten.keepWhere(adaptor.getGate(),
                                  aten.linear(x, basis, Value()));
    x = aten.binary("sub", x, aten.matmul(inside, basis));
    rewriter.replaceOp(op, x);
    return success();
  }
};

struct LowerRescale : OpConversionPattern<RescaleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RescaleOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (failed(requireWide(op, op.getInput(), rewriter)))
      return failure();
    AtenBuilder aten(rewriter, op.getLoc());
    Value x = adaptor.getInput();
    Value before = aten.norm(adaptor.getLike());
    Value after = aten.norm(x);
    // A zero vector has no direction to stretch: divide by one instead.
    Value safe = aten.where(aten.compare("gt", after, 0.0), after,
                            aten.numbers(1.0));
    Value rescaled = aten.binary("mul", x, aten.binary("div", before, safe));
    rewriter.replaceOp(op, aten.where(adaptor.getGate(), rescaled, x));
    return success();
  }
};

struct LowerRecord : OpConversionPattern<RecordOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RecordOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value kept = aten.keepWhere(adaptor.getGate(), adaptor.getInput());
    auto program = op->getParentOfType<fx::ProgramOp>();
    auto role = fx::RecordAttr::get(op.getContext(), op.getNameAttr(),
                                    op.getFeaturesAttr());
    rewriter.modifyOpInPlace(program,
                             [&] { program.addUserOutput(kept, role); });
    rewriter.eraseOp(op);
    return success();
  }
};

struct ConvertSteerToFX : weir::impl::ConvertSteerToFXPassBase<ConvertSteerToFX> {
  void runOnOperation() override {
    fx::ProgramOp program = getOperation();
    size_t before = llvm::range_size(program.getEntry().getOps<fx::CallOp>());
    ConversionTarget target(getContext());
    target.addLegalDialect<fx::FXDialect>();
    target.addIllegalDialect<SteerDialect>();
    RewritePatternSet patterns(&getContext());
    populateSteerToFXPatterns(patterns);
    if (failed(applyPartialConversion(program, target, std::move(patterns))))
      return signalPassFailure();
    calls += llvm::range_size(program.getEntry().getOps<fx::CallOp>()) - before;
  }
};

} // namespace

void weir::populateSteerToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerPatch, LowerWiden, LowerRound, LowerScaleBy, LowerSetTo,
               LowerClampTo, LowerSum, LowerDelta, LowerStrength, LowerWrite,
               LowerProject, LowerRescale, LowerRecord>(patterns.getContext());
  populateReadToFXPatterns(patterns);
  populateGateToFXPatterns(patterns);
  populateScopeToFXPatterns(patterns);
  populateOutputToFXPatterns(patterns);
  populateSubstitutionToFXPatterns(patterns);
  populateTableToFXPatterns(patterns);
}
