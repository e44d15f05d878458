//===- ActivationsToKernels.cpp - Reads and coefficients of a token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

//===----------------------------------------------------------------------===//
// The steps of a read
//===----------------------------------------------------------------------===//

struct EncodeToKernel : KernelPattern<EncodeOp> {
  using KernelPattern::KernelPattern;
  Value lower(EncodeOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    int64_t count = lastSize(op.getResult()), width = lastSize(op.getInput());
    Value weight = k.rowsOf(op, flow::RowsPart::Encoder, {count, width});
    Value bias;
    if (!op.getUnbiased())
      bias = k.rowsOf(op, flow::RowsPart::EncoderBias, {count});
    return k.columns(count, [&](Value column) {
      Value z = k.dot(adaptor.getInput(), k.row(weight, column));
      return bias ? k.add(z, k.element(bias, column)) : z;
    });
  }
};

struct ActivateToKernel : KernelPattern<ActivateOp> {
  using KernelPattern::KernelPattern;
  Value lower(ActivateOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    using flow::ActivationKind, flow::RowsPart;
    int64_t count = lastSize(op.getInput());
    auto numbers = [&](RowsPart part) { return k.rowsOf(op, part, {count}); };
    Value threshold, bias, scale, offset;
    ActivationKind kind = op.getActivation().getKind();
    switch (kind) {
    case ActivationKind::Identity:
      return adaptor.getInput();
    case ActivationKind::TopK:
      // Reads of such dictionaries stay whole.
      return {};
    case ActivationKind::ReLU:
      break;
    case ActivationKind::JumpReLU:
      threshold = numbers(RowsPart::Threshold);
      break;
    case ActivationKind::Gated:
      bias = numbers(RowsPart::EncoderBias);
      scale = numbers(RowsPart::MagnitudeScale);
      offset = numbers(RowsPart::MagnitudeBias);
      break;
    }
    return k.columns(count, [&](Value column) {
      Value z = k.element(adaptor.getInput(), column);
      if (kind == ActivationKind::ReLU)
        return k.relu(z);
      // Strictly above the threshold, and above zero where that is negative.
      if (kind == ActivationKind::JumpReLU)
        return k.relu(k.keepWhere(k.above(z, k.element(threshold, column)), z));
      // The gate's bias is the encoder's; magnitudes rescale the same products.
      Value gate = k.above(k.add(z, k.element(bias, column)), k.f32(0.0));
      Value magnitude = k.add(k.mul(z, k.element(scale, column)),
                              k.element(offset, column));
      return k.keepWhere(gate, k.relu(magnitude));
    });
  }
};

struct InputScaleToKernel : KernelPattern<InputScaleOp> {
  using KernelPattern::KernelPattern;
  Value lower(InputScaleOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.inputScale(adaptor.getInput(), op.getNormalization());
  }
};

struct NormalizeToKernel : KernelPattern<NormalizeOp> {
  using KernelPattern::KernelPattern;
  Value lower(NormalizeOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.normalize(adaptor.getInput(), op.getNormalization());
  }
};

struct PickToKernel : KernelPattern<PickOp> {
  using KernelPattern::KernelPattern;
  Value lower(PickOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    auto columns = k.integers(op.getColumns());
    return k.columns(op.getColumns().size(),
                     [&](Value column) {
                       return k.element(adaptor.getInput(),
                                        k.toIndex(columns(column)));
                     });
  }
};

//===----------------------------------------------------------------------===//
// New activations and coefficients
//===----------------------------------------------------------------------===//

/// An operation on each column.
template <typename Op> struct ColumnsToKernel : KernelPattern<Op> {
  using KernelPattern<Op>::KernelPattern;
  using Adaptor = typename Op::Adaptor;
  /// What gives a column's number, made of what is the same for all columns.
  virtual std::function<Value(Value)> column(Op op, Adaptor adaptor,
                                             KernelBuilder &k) const = 0;
  Value lower(Op op, Adaptor adaptor, KernelBuilder &k) const override {
    return k.columns(lastSize(op.getResult()),
                     column(op, adaptor, k));
  }
};

struct SetToToKernel : ColumnsToKernel<SetToOp> {
  using ColumnsToKernel::ColumnsToKernel;
  std::function<Value(Value)> column(SetToOp op, OpAdaptor adaptor,
                                     KernelBuilder &k) const override {
    return [&k, numbers = k.numbers(op.getValues()),
            times = adaptor.getTimes()](Value column) {
      Value v = numbers(column);
      return times ? k.mul(times, v) : v;
    };
  }
};

struct ScaleByToKernel : ColumnsToKernel<ScaleByOp> {
  using ColumnsToKernel::ColumnsToKernel;
  std::function<Value(Value)> column(ScaleByOp op, OpAdaptor adaptor,
                                     KernelBuilder &k) const override {
    return [&k, numbers = k.numbers(op.getFactors()), f = adaptor.getInput(),
            times = adaptor.getTimes()](Value column) {
      Value v = k.mul(k.element(f, column), numbers(column));
      return times ? k.mul(v, times) : v;
    };
  }
};

struct ClampToToKernel : ColumnsToKernel<ClampToOp> {
  using ColumnsToKernel::ColumnsToKernel;
  std::function<Value(Value)> column(ClampToOp op, OpAdaptor adaptor,
                                     KernelBuilder &k) const override {
    Value min, max;
    if (op.getMin())
      min = k.number(op.getMin()->convertToDouble());
    if (op.getMax())
      max = k.number(op.getMax()->convertToDouble());
    return [=, &k, f = adaptor.getInput()](Value column) {
      Value v = k.element(f, column);
      if (min)
        v = k.maximum(v, min);
      return max ? k.minimum(v, max) : v;
    };
  }
};

struct SumToKernel : ColumnsToKernel<SumOp> {
  using ColumnsToKernel::ColumnsToKernel;
  std::function<Value(Value)> column(SumOp, OpAdaptor adaptor,
                                     KernelBuilder &k) const override {
    return [&k, x = adaptor.getLhs(), y = adaptor.getRhs()](Value column) {
      return k.add(k.element(x, column), k.element(y, column));
    };
  }
};

struct DeltaToKernel : ColumnsToKernel<DeltaOp> {
  using ColumnsToKernel::ColumnsToKernel;
  std::function<Value(Value)> column(DeltaOp op, OpAdaptor adaptor,
                                     KernelBuilder &k) const override {
    return [&k, from = adaptor.getFrom(), to = adaptor.getTo(),
            scale = adaptor.getScale(), held = adaptor.getGate(),
            onlyActive = op.getOnlyActive()](Value column) {
      Value f = k.element(from, column);
      Value delta = k.sub(k.element(to, column), f);
      Value gate = held;
      if (scale)
        delta = k.mul(delta, scale);
      if (onlyActive)
        gate = k.both(gate, k.above(f, k.f32(0.0)));
      // The gate comes last, so that it also stops what is not finite.
      return k.keepWhere(gate, delta);
    };
  }
};

struct StrengthToKernel : KernelPattern<StrengthOp> {
  using KernelPattern::KernelPattern;
  Value lower(StrengthOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value strength = k.number(op.getValue().convertToDouble());
    if (adaptor.getTimes())
      strength = k.mul(adaptor.getTimes(), strength);
    return k.keepWhere(adaptor.getGate(), strength);
  }
};

} // namespace

void weir::populateActivationToKernelPatterns(RewritePatternSet &patterns,
                                              const TypeConverter &types,
                                              KernelConstants &constants) {
  patterns.add<EncodeToKernel, ActivateToKernel, InputScaleToKernel,
               NormalizeToKernel, PickToKernel, SetToToKernel, ScaleByToKernel,
               ClampToToKernel, SumToKernel, DeltaToKernel, StrengthToKernel>(
      types, patterns.getContext(), constants);
}
