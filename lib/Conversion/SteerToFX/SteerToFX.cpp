//===- SteerToFX.cpp - Lowering of patches to aten ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "AtenBuilder.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/ADT/STLExtras.h"

namespace weir {
#define GEN_PASS_DEF_CONVERTSTEERTOFXPASS
#include "weir/Conversion/SteerToFX/Passes.h.inc"
} // namespace weir

using namespace mlir;
using namespace weir;
using namespace weir::steer;

static int64_t lastSize(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().back();
}

namespace {

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// What a normalised dictionary's output is multiplied by: |x| / sqrt(d), or the
/// sample's standard deviation (d - 1), as sae_lens has it.
Value inputScale(AtenBuilder &aten, Value x,
                 flow::Normalization normalization) {
  if (normalization == flow::Normalization::LayerNorm)
    return aten.std(x, /*correction=*/1);
  double root = std::sqrt(static_cast<double>(lastSize(x)));
  return aten.binary("div", aten.norm(x), aten.numbers(root));
}

/// x brought to what the encoder expects, in f32.
Value normalizeInput(AtenBuilder &aten, Value x,
                     flow::Normalization normalization) {
  switch (normalization) {
  case flow::Normalization::None:
    return x;
  case flow::Normalization::ConstantNorm: {
    Value scale = inputScale(aten, x, normalization);
    // A zero vector has no direction to stretch: divide by one instead.
    return aten.binary("div", x, aten.where(aten.compare("gt", scale, 0.0),
                                            scale, aten.numbers(1.0)));
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

struct LowerRead : OpConversionPattern<ReadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value x = aten.to(adaptor.getInput(), rewriter.getF32Type());
    if (op.getGather()) {
      rewriter.replaceOp(op, aten.columns(x, op.getFeatures()));
      return success();
    }
    x = normalizeInput(aten, x, op.getNormalization());
    rewriter.replaceOp(op, encode(op, aten, x));
    return success();
  }

  Value rows(ReadOp op, AtenBuilder &aten, flow::RowsPart part,
             ArrayRef<int64_t> features, ArrayRef<int64_t> shape) const {
    return aten.constant(flow::RowsAttr::get(op.getContext(), part,
                                             op.getDictionaryAttr(), features),
                         shape);
  }

  Value encode(ReadOp op, AtenBuilder &aten, Value x) const {
    using flow::ActivationKind, flow::RowsPart;
    ArrayRef<int64_t> features = op.getFeatures();
    int64_t k = features.size(), width = lastSize(x);
    ActivationKind kind = op.getActivation().getKind();
    if (kind == ActivationKind::TopK) {
      // Who is among the largest depends on every feature.
      features = {};
      k = op.getDictionarySize();
    }
    Value weight = rows(op, aten, RowsPart::Encoder, features, {k, width});
    Value bias = rows(op, aten, RowsPart::EncoderBias, features, {k});
    switch (kind) {
    case ActivationKind::Identity:
      return aten.linear(x, weight, bias);
    case ActivationKind::ReLU:
      return aten.relu(aten.linear(x, weight, bias));
    case ActivationKind::JumpReLU: {
      Value z = aten.linear(x, weight, bias);
      Value theta = rows(op, aten, RowsPart::Threshold, features, {k});
      // Strictly above the threshold, and above zero where that is negative.
      return aten.relu(aten.keepWhere(aten.compare("gt", z, theta), z));
    }
    case ActivationKind::TopK: {
      // Exactly k stay, also where several are equal at the boundary; which of
      // those is up to aten.topk, called as sae_lens calls it.
      Value z = aten.linear(x, weight, bias);
      return aten.columns(aten.keepTopK(z, op.getActivation().getTopK()),
                          op.getFeatures());
    }
    case ActivationKind::Gated: {
      // The gate's bias is the encoder's; magnitudes rescale the same products.
      Value product = aten.linear(x, weight, Value());
      Value open = aten.compare("gt", aten.binary("add", product, bias), 0.0);
      Value scale = rows(op, aten, RowsPart::MagnitudeScale, features, {k});
      Value offset = rows(op, aten, RowsPart::MagnitudeBias, features, {k});
      Value magnitude =
          aten.binary("add", aten.binary("mul", product, scale), offset);
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

struct LowerInputScale : OpConversionPattern<InputScaleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(InputScaleOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Value x = aten.to(adaptor.getInput(), rewriter.getF32Type());
    rewriter.replaceOp(op, inputScale(aten, x, op.getNormalization()));
    return success();
  }
};

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
// Writing
//===----------------------------------------------------------------------===//

struct LowerWrite : OpConversionPattern<WriteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(WriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Type element = cast<RankedTensorType>(op.getType()).getElementType();
    int64_t width = lastSize(op.getInput());
    Value x = aten.to(adaptor.getInput(), rewriter.getF32Type());

    // Edits of several features go through one product; a single row needs
    // none, and x + c d is then the same arithmetic as in a hook.
    SmallVector<Value> many;
    SmallVector<Attribute> manyRows;
    for (auto [original, coefficient, rows] :
         llvm::zip_equal(op.getCoefficients(), adaptor.getCoefficients(),
                         op.getRows())) {
      if (lastSize(original) == 1) {
        Value row = aten.constant(rows, {1, width});
        x = aten.binary("add", x, aten.binary("mul", coefficient, row));
        continue;
      }
      many.push_back(coefficient);
      manyRows.push_back(rows);
    }
    if (!many.empty()) {
      Value coefficients = aten.cat(many);
      Attribute rows = manyRows.front();
      if (manyRows.size() > 1)
        rows = flow::ConcatAttr::get(op.getContext(),
                                     rewriter.getArrayAttr(manyRows));
      Value matrix = aten.constant(rows, {lastSize(coefficients), width});
      x = aten.binary("add", x, aten.matmul(coefficients, matrix));
    }
    rewriter.replaceOp(op, aten.to(x, element));
    return success();
  }
};

struct LowerProject : OpConversionPattern<ProjectOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ProjectOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Type element = cast<RankedTensorType>(op.getType()).getElementType();
    Value x = aten.to(adaptor.getInput(), rewriter.getF32Type());
    Value basis = aten.constant(op.getRows(), {op.getRows().getNumRows(),
                                               lastSize(op.getInput())});
    Value inside = aten.keepWhere(adaptor.getGate(),
                                  aten.linear(x, basis, Value()));
    x = aten.binary("sub", x, aten.matmul(inside, basis));
    rewriter.replaceOp(op, aten.to(x, element));
    return success();
  }
};

struct LowerRescale : OpConversionPattern<RescaleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RescaleOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    Type element = cast<RankedTensorType>(op.getType()).getElementType();
    Value x = aten.to(adaptor.getInput(), rewriter.getF32Type());
    Value before = aten.norm(aten.to(adaptor.getLike(), rewriter.getF32Type()));
    Value after = aten.norm(x);
    // A zero vector has no direction to stretch: divide by one instead.
    Value safe = aten.where(aten.compare("gt", after, 0.0), after,
                            aten.numbers(1.0));
    Value rescaled = aten.binary("mul", x, aten.binary("div", before, safe));
    rewriter.replaceOp(
        op, aten.to(aten.where(adaptor.getGate(), rescaled, x), element));
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
    rewriter.modifyOpInPlace(program, [&] { program.addUserOutput(kept); });
    rewriter.eraseOp(op);
    return success();
  }
};

struct ConvertSteerToFX : weir::impl::ConvertSteerToFXPassBase<ConvertSteerToFX> {
  void runOnOperation() override {
    fx::ProgramOp program = getOperation();
    size_t before = llvm::range_size(program.getEntry().getOps<fx::CallOp>());
    inlinePatches(program);

    ConversionTarget target(getContext());
    target.addLegalDialect<fx::FXDialect>();
    target.addIllegalDialect<SteerDialect>();
    RewritePatternSet patterns(&getContext());
    populateSteerToFXPatterns(patterns);
    if (failed(applyPartialConversion(program, target, std::move(patterns))))
      return signalPassFailure();
    calls += llvm::range_size(program.getEntry().getOps<fx::CallOp>()) - before;
  }

  /// A site of a narrower type is edited in f32 from its first edit to its last
  /// and rounded where the patch yields.
  void roundOnce(PatchOp patch) {
    auto narrow = cast<RankedTensorType>(patch.getType());
    Type f32 = Float32Type::get(&getContext());
    if (narrow.getElementType() == f32)
      return;
    OpBuilder builder(&getContext());
    llvm::DenseMap<Value, Value> widened;
    for (Operation &op : patch.getBody().front()) {
      if (!isa<WriteOp, ProjectOp, RescaleOp, RowWriteOp, RowProjectOp>(op))
        continue;
      for (OpOperand &operand : op.getOpOperands()) {
        if (operand.get().getType() != narrow)
          continue;
        Value &wide = widened[operand.get()];
        if (!wide) {
          builder.setInsertionPoint(&op);
          wide = AtenBuilder(builder, op.getLoc()).to(operand.get(), f32);
        }
        operand.set(wide);
      }
      op.getResult(0).setType(fx::withElementType(narrow, f32));
    }
    YieldOp yield = patch.getYield();
    builder.setInsertionPoint(yield);
    yield.setOperand(AtenBuilder(builder, patch.getLoc())
                         .to(yield.getValue(), narrow.getElementType()));
  }

  /// A patch's region computes in the program's own block.
  void inlinePatches(fx::ProgramOp program) {
    for (auto patch :
         llvm::make_early_inc_range(program.getEntry().getOps<PatchOp>())) {
      remark::passed(patch.getLoc(), remark::RemarkOpts::name("LoweredToAten")
                                         .category("lowering"))
          << "site " + fx::siteName(patch.getSite().getKind(),
                                    patch.getSite().getLayer()) +
                 " lowered to aten operators";
      Block &body = patch.getBody().front();
      body.getArgument(0).replaceAllUsesWith(patch.getInput());
      roundOnce(patch);
      Value result = patch.getYield().getValue();
      for (Operation &op : llvm::make_early_inc_range(body.without_terminator()))
        op.moveBefore(patch);
      patch.getResult().replaceAllUsesWith(result);
      patch.erase();
    }
  }
};

} // namespace

void weir::populateSteerToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRead, LowerPick, LowerInputScale, LowerScaleBy, LowerSetTo,
               LowerClampTo, LowerSum, LowerDelta, LowerStrength, LowerWrite,
               LowerProject, LowerRescale, LowerRecord>(patterns.getContext());
  populateGateToFXPatterns(patterns);
  populateTableToFXPatterns(patterns);
}
