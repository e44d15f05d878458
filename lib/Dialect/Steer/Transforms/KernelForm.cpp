//===- KernelForm.cpp - What a kernel can do ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/KernelForm.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

bool steer::isOfRows(Operation *op) {
  return isa<InPlansOp, TokensOp, CompareOp, AllOp, AnyOp, KnobValueOp, SlotOp,
             LookupOp, RowTokensOp, RowCompareOp, RowKnobOp, StrengthOp,
             RowStrengthOp, ConstantOp, ProductOp>(op);
}

bool steer::isObserver(Operation *op) {
  return isa<RecordOp, RecordGateOp, RecordValueOp, CountOp>(op);
}

/// What a search holds of a TopK dictionary is on a thread's stack: 16 bytes each.
static constexpr int64_t mostKept = 16384;

template <typename Op> static std::optional<std::string> whyNoRead(Op read) {
  flow::ActivationAttr kind = read.getActivation();
  if (kind.getKind() == flow::ActivationKind::TopK && kind.getTopK() > mostKept)
    return "its TopK dictionary keeps " + std::to_string(kind.getTopK()) +
           " features of a token (up to " + std::to_string(mostKept) +
           " have a kernel)";
  return std::nullopt;
}

std::optional<std::string> steer::whyNoKernel(Operation *op) {
  using Reason = std::optional<std::string>;
  Reason none = std::nullopt;
  auto other = [](Operation *op) -> Reason {
    return "'" + op->getName().getStringRef().str() + "' has no kernel form";
  };
  return TypeSwitch<Operation *, Reason>(op)
      .Case<ReadOp, RowReadOp>([](auto read) { return whyNoRead(read); })
      .Case([&](ActivateOp activate) {
        // Such reads stay whole: they are searched, and store no activations.
        bool isTopK = activate.getActivation().getKind() ==
                      flow::ActivationKind::TopK;
        return isTopK ? other(activate) : none;
      })
      .Case<EncodeOp, NormalizeOp, InputScaleOp, PickOp, WidenOp, RoundOp>(
          [&](auto) { return none; })
      .Case<SetToOp, ScaleByOp, ClampToOp, SumOp, DeltaOp, StrengthOp>(
          [&](auto) { return none; })
      .Case<WriteOp, ProjectOp, RescaleOp, YieldOp>([&](auto) { return none; })
      .Case<InPlansOp, TokensOp, CompareOp, AllOp, AnyOp>(
          [&](auto) { return none; })
      .Case<KnobValueOp, ConstantOp, ProductOp>([&](auto) { return none; })
      .Case<SlotOp, LookupOp, RowTokensOp, RowCompareOp, RowKnobOp>(
          [&](auto) { return none; })
      .Case<RowSetOp, RowScaleOp, RowClampOp, RowKeepOp, RowStrengthOp>(
          [&](auto) { return none; })
      .Case<RowWriteOp, RowProjectOp>([&](auto) { return none; })
      .Default(other);
}

bool steer::canMoveAcross(Operation *op) {
  return isOfRows(op) && !whyNoKernel(op);
}

/// An operation within a patch that a program's output is made of is one more
/// result of a kernel, if it has a number for each token and column.
static std::optional<std::string> whyNotObserved(PatchOp patch, Operation *op) {
  for (Value operand : op->getOperands()) {
    Operation *def = operand.getDefiningOp();
    if (!def || def->getParentOp() != patch)
      continue;
    auto outside = [&](Value value) {
      Operation *made = value.getDefiningOp();
      return made ? made->getParentOp() != patch
                  : value != patch.getValue();
    };
    if (canMoveAcross(def) && llvm::all_of(def->getOperands(), outside))
      continue;
    auto type = cast<RankedTensorType>(operand.getType());
    bool isWhole = llvm::equal(type.getShape().drop_back(),
                               patch.getType().getShape().drop_back());
    Type element = type.getElementType();
    if (!isWhole || !(isa<FloatType>(element) || element.isInteger(1)))
      return "'" + op->getName().getStringRef().str() +
             "' looks at what a kernel keeps to itself";
  }
  return std::nullopt;
}

std::optional<std::string> steer::whyNoKernel(PatchOp patch) {
  if (patch.getType().isDynamicDim(patch.getType().getRank() - 1))
    return "its width is not known";
  for (Operation &op : patch.getBody().front())
    if (std::optional<std::string> why = isObserver(&op)
                                             ? whyNotObserved(patch, &op)
                                             : whyNoKernel(&op))
      return why;
  return std::nullopt;
}
