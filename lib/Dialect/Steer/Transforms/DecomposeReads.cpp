//===- DecomposeReads.cpp - Reads become their steps ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERDECOMPOSEREADSPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// A kernel searches a TopK dictionary for the features that stay, and stores none
/// of its activations.
bool isSearched(Operation *op) {
  auto read = dyn_cast<ReadOp>(op);
  auto patch = op->getParentOfType<PatchOp>();
  return read && patch && patch.getLowering() == Lowering::Kernel &&
         read.getActivation().getKind() == flow::ActivationKind::TopK &&
         !read.getGather() && read.getInput().getType().getElementType().isF32();
}

struct DecomposeRead : OpRewritePattern<ReadOp> {
  DecomposeRead(MLIRContext *context, Pass::Statistic &reads)
      : OpRewritePattern(context), reads(reads) {}

  LogicalResult matchAndRewrite(ReadOp read,
                                PatternRewriter &rewriter) const override {
    Location loc = read.getLoc();
    Value x = read.getInput();
    if (!read.getInput().getType().getElementType().isF32())
      return rewriter.notifyMatchFailure(read, "the value is not in f32");
    if (isSearched(read))
      return rewriter.notifyMatchFailure(read, "a kernel takes it whole");
    ++reads;
    if (read.getGather()) {
      rewriter.replaceOpWithNewOp<PickOp>(read, x, read.getFeatures());
      return success();
    }
    if (read.getNormalization() != flow::Normalization::None)
      x = NormalizeOp::create(rewriter, loc, x, read.getNormalizationAttr());

    // Who is among the largest depends on every feature.
    flow::ActivationKind kind = read.getActivation().getKind();
    bool whole = kind == flow::ActivationKind::TopK;
    auto listed = rewriter.getDenseI64ArrayAttr(
        whole ? ArrayRef<int64_t>() : read.getFeatures());
    // Gates and magnitudes have biases of their own.
    UnitAttr unbiased = kind == flow::ActivationKind::Gated
                            ? rewriter.getUnitAttr()
                            : UnitAttr();
    Value z = EncodeOp::create(rewriter, loc, x, read.getDictionaryAttr(), listed,
                               read.getDictionarySizeAttr(), unbiased);
    Value f = rewriter.createOrFold<ActivateOp>(loc, z, read.getActivationAttr(),
                                                read.getDictionaryAttr(), listed);
    if (whole)
      f = PickOp::create(rewriter, loc, f, read.getFeatures());
    rewriter.replaceOp(read, f);
    return success();
  }

  Pass::Statistic &reads;
};

struct DecomposeReconstruction : OpRewritePattern<ReconstructOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReconstructOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "the value is not in f32");
    Location loc = op.getLoc();
    Value x = op.getInput();
    bool isNormalised = op.getNormalization() != flow::Normalization::None;
    if (isNormalised)
      x = NormalizeOp::create(rewriter, loc, x, op.getNormalizationAttr());
    auto every = rewriter.getDenseI64ArrayAttr({});
    UnitAttr unbiased =
        op.getActivation().getKind() == flow::ActivationKind::Gated
            ? rewriter.getUnitAttr()
            : UnitAttr();
    Value z = EncodeOp::create(rewriter, loc, x, op.getDictionaryAttr(), every,
                               op.getDictionarySizeAttr(), unbiased);
    Value f = rewriter.createOrFold<ActivateOp>(loc, z, op.getActivationAttr(),
                                                op.getDictionaryAttr(), every);
    Value y = DecodeOp::create(rewriter, loc, op.getType(), f, op.getRows(),
                               op.getBias());
    if (isNormalised)
      y = DenormalizeOp::create(rewriter, loc, y, op.getInput(),
                                op.getNormalizationAttr());
    rewriter.replaceOp(op, y);
    return success();
  }
};

struct SteerDecomposeReads
    : steer::impl::SteerDecomposeReadsPassBase<SteerDecomposeReads> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DecomposeRead>(&getContext(), reads);
    patterns.add<DecomposeReconstruction>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    WalkResult left = getOperation().walk([](Operation *read) {
      if (!isa<ReadOp, ReconstructOp>(read) || isSearched(read))
        return WalkResult::advance();
      read->emitOpError("reads a value that is not in f32; steer-widen-patches "
                       "comes first");
      return WalkResult::interrupt();
    });
    if (left.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
