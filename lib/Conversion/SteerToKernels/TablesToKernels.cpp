//===- TablesToKernels.cpp - Plans as tables, for a token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TopKSearch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// Finding a row's entries
//===----------------------------------------------------------------------===//

struct SlotToKernel : KernelPattern<SlotOp> {
  using KernelPattern::KernelPattern;
  Value lower(SlotOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    // Rows without a plan (-1) have entry 0, and so has what is no plan at all:
    // nothing outside of the list is ever read.
    Value plan = adaptor.getPlan();
    auto slots = k.integers(op.getSlots());
    int64_t count = op.getSlots().size();
    Value isPlan = k.both(
        k.compare(CmpIPredicate::sge, plan, k.wholeNumber(0)),
        k.compare(CmpIPredicate::slt, plan, k.wholeNumber(count)));
    Value safe = k.where(isPlan, plan, k.wholeNumber(0));
    return k.where(isPlan, slots(k.toIndex(safe)), k.wholeNumber(0));
  }
};

struct LookupToKernel : KernelPattern<LookupOp> {
  using KernelPattern::KernelPattern;
  Value lower(LookupOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value table = k.table(op.getTable());
    Value row = k.row(table, k.toIndex(adaptor.getSlot()));
    return lastSize(op.getResult()) == 1 ? k.element(row, k.index(0)) : row;
  }
};

struct RowKnobToKernel : KernelPattern<RowKnobOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowKnobOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    return k.element(adaptor.getKnobs(),
                     k.toIndex(k.element(adaptor.getColumn(), k.index(0))));
  }
};

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

struct RowTokensToKernel : KernelPattern<RowTokensOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowTokensOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value position = adaptor.getPositions(), held;
    auto hold = [&](CmpIPredicate which, Value x, Value bound) {
      if (bound)
        held = k.both(held, k.compare(which, x, k.element(bound, k.index(0))));
    };
    hold(CmpIPredicate::sge, position, adaptor.getFrom());
    hold(CmpIPredicate::sle, position, adaptor.getTo());
    if (adaptor.getFirst() || adaptor.getLast()) {
      Value relative = k.subtract(position, adaptor.getPromptLength());
      hold(CmpIPredicate::sge, relative, adaptor.getFirst());
      hold(CmpIPredicate::sle, relative, adaptor.getLast());
    }
    if (Value listed = adaptor.getListed())
      held = k.both(held, k.anyOf(lastSize(op.getListed()), [&](Value at) {
        return k.compare(CmpIPredicate::eq, position, k.element(listed, at));
      }));
    return held ? held : k.flag(true);
  }
};

struct RowCompareToKernel : KernelPattern<RowCompareOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowCompareOp, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value held, x = adaptor.getInput();
    if (adaptor.getAbove())
      held = k.above(x, k.element(adaptor.getAbove(), k.index(0)));
    if (adaptor.getBelow())
      held =
          k.both(held, k.below(x, k.element(adaptor.getBelow(), k.index(0))));
    return held;
  }
};

//===----------------------------------------------------------------------===//
// Reads and new activations
//===----------------------------------------------------------------------===//

struct RowReadToKernel : KernelPattern<RowReadOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowReadOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    using flow::ActivationKind, flow::RowsPart;
    Value x = adaptor.getInput();
    int64_t width = lastSize(op.getInput()), wanted = lastSize(op.getResult());
    ArrayRef<int64_t> features = op.getFeatures();
    int64_t count = features.size();
    auto place = [&](Value column) {
      return k.toIndex(k.element(adaptor.getRows(), column));
    };
    Type f32 = k.builder().getF32Type();
    if (op.getGather()) {
      auto columns = k.integers(features);
      return k.columns(wanted, f32, [&](Value column) {
        return k.element(x, k.toIndex(columns(place(column))));
      });
    }
    ActivationKind kind = op.getActivation().getKind();
    if (kind == ActivationKind::TopK) {
      auto columns = k.integers(features);
      return readTopK(
          k, TopKRead::of(op), x, wanted,
          [&](Value column) { return k.toIndex(columns(place(column))); },
          constants.known.lookup(op), op.getLoc());
    }
    if (op.getNormalization() != flow::Normalization::None)
      x = k.normalize(x, op.getNormalization());
    auto stored = [&](RowsPart part, ArrayRef<int64_t> shape) {
      return k.rows(flow::RowsAttr::get(op.getContext(), part,
                                        op.getDictionaryAttr(), features),
                    shape);
    };
    Value encoder = stored(RowsPart::Encoder, {count, width});
    Value bias = stored(RowsPart::EncoderBias, {count});
    Value threshold, scale, offset;
    if (kind == ActivationKind::JumpReLU)
      threshold = stored(RowsPart::Threshold, {count});
    if (kind == ActivationKind::Gated) {
      scale = stored(RowsPart::MagnitudeScale, {count});
      offset = stored(RowsPart::MagnitudeBias, {count});
    }
    return k.columns(wanted, f32, [&](Value column) {
      Value at = place(column);
      Value product = k.dot(x, k.row(encoder, at));
      Value z = k.add(product, k.element(bias, at));
      switch (kind) {
      case ActivationKind::ReLU:
        return k.relu(z);
      case ActivationKind::JumpReLU:
        return k.relu(k.keepWhere(k.above(z, k.element(threshold, at)), z));
      case ActivationKind::Gated: {
        Value magnitude =
            k.add(k.mul(product, k.element(scale, at)), k.element(offset, at));
        return k.keepWhere(k.above(z, k.f32(0.0)), k.relu(magnitude));
      }
      default:
        return z;
      }
    }, "gathered");
  }
};

struct RowSetToKernel : KernelPattern<RowSetOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowSetOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    return k.columns(
        lastSize(op.getResult()), [&](Value column) {
          Value v = k.element(adaptor.getValues(), column);
          return adaptor.getTimes() ? k.mul(v, adaptor.getTimes()) : v;
        });
  }
};

struct RowScaleToKernel : KernelPattern<RowScaleOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowScaleOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.columns(
        lastSize(op.getResult()), [&](Value column) {
          Value v = k.mul(k.element(adaptor.getInput(), column),
                          k.element(adaptor.getFactors(), column));
          return adaptor.getTimes() ? k.mul(v, adaptor.getTimes()) : v;
        });
  }
};

struct RowClampToKernel : KernelPattern<RowClampOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowClampOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    return k.columns(
        lastSize(op.getResult()), [&](Value column) {
          Value v = k.element(adaptor.getInput(), column);
          if (adaptor.getMin())
            v = k.maximum(v, k.element(adaptor.getMin(), column));
          if (adaptor.getMax())
            v = k.minimum(v, k.element(adaptor.getMax(), column));
          return v;
        });
  }
};

struct RowKeepToKernel : KernelPattern<RowKeepOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowKeepOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    return k.columns(lastSize(op.getResult()),
                     [&](Value column) {
                       return k.keepWhere(
                           k.element(adaptor.getColumns(), column),
                           k.element(adaptor.getInput(), column));
                     });
  }
};

struct RowStrengthToKernel : KernelPattern<RowStrengthOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowStrengthOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value s = k.element(adaptor.getValue(), k.index(0));
    if (adaptor.getTimes())
      s = k.mul(s, adaptor.getTimes());
    return k.keepWhere(adaptor.getGate(), s);
  }
};

//===----------------------------------------------------------------------===//
// Edits
//===----------------------------------------------------------------------===//

struct RowWriteToKernel : KernelPattern<RowWriteOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowWriteOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value x = adaptor.getInput(), to = k.destinationOf(op);
    int64_t count = lastSize(op.getRows());
    Value directions = k.rows(op.getDirections(),
                              {op.getDirections().getNumRows(), k.sizeOf(x)});
    auto row = [&](Value column) {
      return k.row(directions,
                   k.toIndex(k.element(adaptor.getRows(), column)));
    };
    if (count == 1) {
      Value c = k.element(adaptor.getCoefficients(), k.index(0));
      k.ifHolds(
          k.notZero(c), [&] { k.addRounded(x, c, row(k.index(0)), to); },
          [&] { k.copy(x, to); });
      return to;
    }
    k.copy(x, to);
    k.addRows(
        count,
        [&](Value column) {
          return k.element(adaptor.getCoefficients(), column);
        },
        row, to, /*skipZeros=*/true);
    return to;
  }
};

struct RowProjectToKernel : KernelPattern<RowProjectOp> {
  using KernelPattern::KernelPattern;
  Value lower(RowProjectOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value x = adaptor.getInput(), to = k.destinationOf(op);
    int64_t count = lastSize(op.getRows());
    Value directions = k.rows(op.getDirections(),
                              {op.getDirections().getNumRows(), k.sizeOf(x)});
    auto row = [&](Value column) {
      return k.row(directions,
                   k.toIndex(k.element(adaptor.getRows(), column)));
    };
    auto project = [&] {
      Value inside =
          k.columns(count, [&](Value column) {
            Value c = k.dot(x, row(column));
            return adaptor.getColumns()
                       ? k.keepWhere(k.element(adaptor.getColumns(), column), c)
                       : c;
          });
      k.copy(x, to);
      k.addRows(
          count,
          [&](Value column) {
            return k.sub(k.f32(-0.0), k.element(inside, column));
          },
          row, to, /*skipZeros=*/true);
    };
    k.editWhere(adaptor.getGate(), x, to, project);
    return to;
  }
};

} // namespace

void weir::populateTableToKernelPatterns(RewritePatternSet &patterns,
                                         const TypeConverter &types,
                                         KernelConstants &constants) {
  patterns.add<SlotToKernel, LookupToKernel, RowKnobToKernel, RowTokensToKernel,
               RowCompareToKernel, RowReadToKernel, RowSetToKernel,
               RowScaleToKernel, RowClampToKernel, RowKeepToKernel,
               RowStrengthToKernel, RowWriteToKernel, RowProjectToKernel>(
      types, patterns.getContext(), constants);
}
