//===- WidenPatches.cpp - Sites of narrow types are edited in f32 ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERWIDENPATCHESPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

static bool isNarrow(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<Float16Type, BFloat16Type>(tensor.getElementType());
}

namespace {

struct SteerWidenPatches
    : steer::impl::SteerWidenPatchesPassBase<SteerWidenPatches> {
  void runOnOperation() override {
    Block &entry = getOperation().getEntry();
    llvm::DenseMap<Value, Value> wide;
    for (Operation &op : llvm::make_early_inc_range(entry)) {
      if (auto patch = dyn_cast<PatchOp>(op))
        widenPatch(patch);
      else if (auto reconstruct = dyn_cast<ReconstructOp>(op))
        widenReconstruction(reconstruct, wide);
      // What is read here is no site's new value.
      else if (isReader(op))
        widenOperands(op, wide);
    }
  }

  /// Whether an op of the dialect computes with values and makes none.
  static bool isReader(Operation &op) {
    return isa_and_nonnull<SteerDialect>(op.getDialect()) &&
           !isa<PatchOp, YieldOp, WidenOp, ChooseOp, EditOpInterface>(op);
  }

  /// Each value is widened once in a block, where it is first used.
  void widenOperands(Operation &op, llvm::DenseMap<Value, Value> &wide) {
    for (OpOperand &operand : op.getOpOperands()) {
      if (!isNarrow(operand.get().getType()))
        continue;
      Value &widened = wide[operand.get()];
      if (!widened) {
        OpBuilder builder(&op);
        widened = WidenOp::create(builder, op.getLoc(), operand.get());
        ++values;
      }
      operand.set(widened);
    }
  }

  /// It works in f32 and is rounded once, as the blocks that it replaces.
  void widenReconstruction(ReconstructOp op,
                           llvm::DenseMap<Value, Value> &wide) {
    RankedTensorType type = op.getType();
    if (!isNarrow(type))
      return;
    widenOperands(*op, wide);
    op.getResult().setType(op.getInput().getType());
    OpBuilder builder(op->getContext());
    builder.setInsertionPointAfter(op);
    auto rounded = RoundOp::create(builder, op.getLoc(), op.getResult(),
                                   type.getElementType());
    op.getResult().replaceAllUsesExcept(rounded.getResult(), rounded);
  }

  void widenPatch(PatchOp patch) {
    llvm::DenseMap<Value, Value> wide;
    for (Operation &op :
         llvm::make_early_inc_range(patch.getBody().front())) {
      bool edits = isa<EditOpInterface>(op);
      if (!edits && !isReader(op))
        continue;
      widenOperands(op, wide);
      if (edits)
        op.getResult(0).setType(op.getOperand(0).getType());
    }
    YieldOp yield = patch.getYield();
    if (yield.getValue().getType() == patch.getType())
      return;
    OpBuilder builder(yield);
    yield.setOperand(RoundOp::create(builder, patch.getLoc(), yield.getValue(),
                                     patch.getType().getElementType()));
    ++patches;
  }
};

} // namespace
