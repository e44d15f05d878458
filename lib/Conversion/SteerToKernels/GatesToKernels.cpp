//===- GatesToKernels.cpp - Gates and knobs of a token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

struct InPlansToKernel : KernelPattern<InPlansOp> {
  using KernelPattern::KernelPattern;
  Value lower(InPlansOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.isOneOf(adaptor.getPlan(), op.getPlans());
  }
};

struct ConstantToKernel : KernelPattern<ConstantOp> {
  using KernelPattern::KernelPattern;
  Value lower(ConstantOp op, OpAdaptor, KernelBuilder &k) const override {
    if (auto held = dyn_cast<BoolAttr>(op.getValue()))
      return k.flag(held.getValue());
    return k.number(cast<FloatAttr>(op.getValue()).getValueAsDouble());
  }
};

struct TokensToKernel : KernelPattern<TokensOp> {
  using KernelPattern::KernelPattern;
  Value lower(TokensOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    using arith::CmpIPredicate;
    Value position = adaptor.getPositions(), held;
    Value length = adaptor.getPromptLength();
    TokensAttr scope = op.getScope();
    // Padding has position -1, which no scope means.
    int64_t from = std::max({scope.getFrom(), scope.getSkipFirst(), int64_t(0)});
    held = k.compare(CmpIPredicate::sge, position, k.integer(from));
    switch (scope.getSet()) {
    case TokenSet::All:
      break;
    case TokenSet::Prompt:
      held = k.both(held, k.compare(CmpIPredicate::slt, position, length));
      break;
    case TokenSet::Generated:
      held = k.both(held, k.compare(CmpIPredicate::sge, position, length));
      break;
    case TokenSet::Last:
      held = k.both(held, k.compare(CmpIPredicate::eq,
                                    k.addInteger(position, 1), length));
      break;
    case TokenSet::Sampled:
      held = k.both(held, k.compare(CmpIPredicate::sge,
                                    k.addInteger(position, 1), length));
      break;
    }
    if (scope.getPositions())
      held = k.both(held,
                    k.isOneOf(position, scope.getPositions().asArrayRef()));
    if (scope.getTo() >= 0)
      held = k.both(held, k.compare(CmpIPredicate::sle, position,
                                    k.integer(scope.getTo())));
    return held;
  }
};

struct CompareToKernel : KernelPattern<CompareOp> {
  using KernelPattern::KernelPattern;
  Value lower(CompareOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value held;
    if (op.getAbove())
      held = k.above(adaptor.getInput(),
                     k.number(op.getAbove()->convertToDouble()));
    if (op.getBelow())
      held = k.both(held, k.below(adaptor.getInput(),
                                  k.number(op.getBelow()->convertToDouble())));
    return held;
  }
};

struct AllToKernel : KernelPattern<AllOp> {
  using KernelPattern::KernelPattern;
  Value lower(AllOp, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value held;
    for (Value gate : adaptor.getInputs())
      held = k.both(held, gate);
    return held;
  }
};

struct AnyToKernel : KernelPattern<AnyOp> {
  using KernelPattern::KernelPattern;
  Value lower(AnyOp, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value held;
    for (Value gate : adaptor.getInputs())
      held = k.either(held, gate);
    return held;
  }
};

struct KnobValueToKernel : KernelPattern<KnobValueOp> {
  using KernelPattern::KernelPattern;
  Value lower(KnobValueOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.element(adaptor.getKnobs(), k.toIndex(k.integer(op.getIndex())));
  }
};

struct ProductToKernel : KernelPattern<ProductOp> {
  using KernelPattern::KernelPattern;
  Value lower(ProductOp, OpAdaptor adaptor, KernelBuilder &k) const override {
    return k.mul(adaptor.getLhs(), adaptor.getRhs());
  }
};

} // namespace

void weir::populateGateToKernelPatterns(RewritePatternSet &patterns,
                                        const TypeConverter &types,
                                        KernelConstants &constants) {
  patterns.add<InPlansToKernel, ConstantToKernel, TokensToKernel,
               CompareToKernel, AllToKernel, AnyToKernel, KnobValueToKernel,
               ProductToKernel>(types, patterns.getContext(), constants);
}
