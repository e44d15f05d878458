//===- TablesToFX.cpp - Lowering of tables of plans ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AtenBuilder.h"
#include "LoweringUtils.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"

#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// Calls that only tables need, beside those of AtenBuilder.
class TableBuilder : public AtenBuilder {
public:
  using AtenBuilder::AtenBuilder;

  Value stored(DenseElementsAttr table) {
    return fx::ConstantOp::create(builder, loc, table.getType(), table);
  }

  /// Rows of a table [n, ..] by an index a row [batch].
  Value rowsAt(Value table, Value index) {
    SmallVector<Attribute> sizes = fx::sizesOf(typeOf(table));
    sizes[0] = fx::sizesOf(typeOf(index))[0];
    return call(fx::tensorOf(sizes, typeOf(table).getElementType()),
                "aten.index_select.default",
                {{"self", table}, {"dim", 0}, {"index", index}});
  }
  /// Directions [U, d] by indices [batch, 1, K]: [batch, K, d].
  Value gather(Value directions, Value rows) {
    Value indices = select(rows, 1, 0);
    SmallVector<Attribute> sizes = fx::sizesOf(typeOf(indices));
    sizes.push_back(builder.getI64IntegerAttr(lastSize(directions)));
    return call(fx::tensorOf(sizes, typeOf(directions).getElementType()),
                "aten.embedding.default",
                {{"weight", directions}, {"indices", indices}});
  }
  /// Numbers [U] by indices [batch, 1, K], as the indices.
  Value take(Value numbers, Value rows) {
    return call(
        fx::withElementType(typeOf(rows), typeOf(numbers).getElementType()),
        "aten.take.default", {{"self", numbers}, {"index", rows}});
  }
  /// Columns of x [batch, sequence, n] by indices [batch, 1, K].
  Value columnsAt(Value x, Value rows) {
    // take_along_dim would do, but torch.export makes constants of sizes that it
    // broadcasts.
    int64_t count = lastSize(rows);
    Value like = columns(x, llvm::to_vector(llvm::seq<int64_t>(0, count)));
    return call(fx::withLastSize(typeOf(x), count), "aten.gather.default",
                {{"self", x}, {"dim", -1}, {"index", expandAs(rows, like)}});
  }
  Value transpose(Value x) {
    SmallVector<Attribute> sizes = fx::sizesOf(typeOf(x));
    std::swap(sizes[1], sizes[2]);
    return call(fx::tensorOf(sizes, typeOf(x).getElementType()),
                "aten.transpose.int", {{"self", x}, {"dim0", 1}, {"dim1", 2}});
  }
  /// x [batch, s, a] times y [batch, a, b].
  Value product(Value x, Value y) {
    return call(fx::withLastSize(typeOf(x), lastSize(y)), "aten.matmul.default",
                {{"self", x}, {"other", y}});
  }
  Value anyOfLast(Value x) {
    SmallVector<Attribute> sizes = fx::sizesOf(typeOf(x));
    sizes.pop_back();
    return call(fx::tensorOf(sizes, builder.getI1Type()), "aten.any.dim",
                {{"self", x}, {"dim", -1}});
  }

  /// The directions of an edit [U, d] that a row of the batch takes: [batch, K, d].
  template <typename Op> Value rowsOf(Op op, Value indices) {
    auto directions = op.getDirections();
    return gather(
        constant(directions, {directions.getNumRows(), lastSize(op.getInput())}),
        indices);
  }
};

template <typename Op> struct LowerRow : OpConversionPattern<Op> {
  using OpConversionPattern<Op>::OpConversionPattern;
  LogicalResult
  matchAndRewrite(Op op, typename Op::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    // What computes with a value of the model does so in f32.
    if constexpr (llvm::is_one_of<Op, RowReadOp, RowWriteOp, RowProjectOp>::value)
      if (failed(requireWide(op, op.getInput(), rewriter)))
        return failure();
    TableBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op, lower(op, adaptor, aten, rewriter));
    return success();
  }
  virtual Value lower(Op op, typename Op::Adaptor adaptor, TableBuilder &aten,
                      OpBuilder &builder) const = 0;
};

struct LowerSlot : LowerRow<SlotOp> {
  using LowerRow::LowerRow;
  Value lower(SlotOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &builder) const override {
    // Plan -1 stands first, so that every index is checked.
    SmallVector<int64_t> slots = {0};
    llvm::append_range(slots, op.getSlots());
    auto type = RankedTensorType::get({static_cast<int64_t>(slots.size())},
                                      builder.getI64Type());
    Value table =
        aten.stored(DenseIntElementsAttr::get(type, ArrayRef(slots)));
    return aten.rowsAt(table, aten.addScalar(adaptor.getPlan(), int64_t(1)));
  }
};

struct LowerLookup : LowerRow<LookupOp> {
  using LowerRow::LowerRow;
  Value lower(LookupOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    // Stored as [n + 1, 1, K], a row is of the shape that is asked for.
    ShapedType type = op.getTable().getType();
    auto table = op.getTable().reshape(
        type.clone({type.getDimSize(0), 1, type.getDimSize(1)}));
    return aten.rowsAt(aten.stored(table), adaptor.getSlot());
  }
};

struct LowerRowRead : LowerRow<RowReadOp> {
  using LowerRow::LowerRow;

  Value lower(RowReadOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &builder) const override {
    Value x = adaptor.getInput(), rows = adaptor.getRows();
    if (op.getGather())
      return aten.columnsAt(x, featuresAt(op, aten, builder, rows));
    // Lowered by its own pattern.
    if (op.getNormalization() != flow::Normalization::None)
      x = NormalizeOp::create(builder, op.getLoc(), x,
                              op.getNormalizationAttr());
    using flow::ActivationKind, flow::RowsPart;
    int64_t width = lastSize(x), count = op.getFeatures().size();
    ActivationKind kind = op.getActivation().getKind();
    if (kind == ActivationKind::TopK) {
      int64_t all = op.getDictionarySize();
      Value weight = stored(op, aten, RowsPart::Encoder, {}, {all, width});
      Value bias = stored(op, aten, RowsPart::EncoderBias, {}, {all});
      Value kept = aten.keepTopK(aten.linear(x, weight, bias),
                                 op.getActivation().getTopK());
      return aten.columnsAt(kept, featuresAt(op, aten, builder, rows));
    }
    ArrayRef<int64_t> features = op.getFeatures();
    auto numbersAt = [&](RowsPart part) {
      return aten.take(stored(op, aten, part, features, {count}), rows);
    };
    Value encoder =
        stored(op, aten, RowsPart::Encoder, features, {count, width});
    Value product =
        aten.product(x, aten.transpose(aten.gather(encoder, rows)));
    Value z = aten.binary("add", product, numbersAt(RowsPart::EncoderBias));
    switch (kind) {
    case ActivationKind::Identity:
      return z;
    case ActivationKind::ReLU:
      return aten.relu(z);
    case ActivationKind::JumpReLU:
      // Strictly above the threshold, and above zero where that is negative.
      return aten.relu(aten.keepWhere(
          aten.compare("gt", z, numbersAt(RowsPart::Threshold)), z));
    case ActivationKind::Gated: {
      // The gate's bias is the encoder's; magnitudes rescale the same products.
      Value magnitude = aten.binary(
          "add",
          aten.binary("mul", product, numbersAt(RowsPart::MagnitudeScale)),
          numbersAt(RowsPart::MagnitudeBias));
      return aten.keepWhere(aten.compare("gt", z, 0.0), aten.relu(magnitude));
    }
    case ActivationKind::TopK:
      break;
    }
    llvm_unreachable("unknown activation");
  }

  static Value stored(RowReadOp op, TableBuilder &aten, flow::RowsPart part,
                      ArrayRef<int64_t> features, ArrayRef<int64_t> shape) {
    return aten.constant(flow::RowsAttr::get(op.getContext(), part,
                                             op.getDictionaryAttr(), features),
                         shape);
  }

  /// Features of the dictionary for indices into those that are listed.
  static Value featuresAt(RowReadOp op, TableBuilder &aten, OpBuilder &builder,
                          Value rows) {
    ArrayRef<int64_t> features = op.getFeatures();
    auto type = RankedTensorType::get({static_cast<int64_t>(features.size())},
                                      builder.getI64Type());
    return aten.take(aten.stored(DenseIntElementsAttr::get(type, features)),
                     rows);
  }
};

struct LowerRowSet : LowerRow<RowSetOp> {
  using LowerRow::LowerRow;
  Value lower(RowSetOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value v = adaptor.getValues();
    if (adaptor.getTimes())
      v = aten.binary("mul", v, adaptor.getTimes());
    // Deltas broadcast; who else uses the value sees it whole.
    if (!llvm::all_of(op->getUsers(), llvm::IsaPred<DeltaOp>))
      v = aten.expandAs(v, adaptor.getInput());
    return v;
  }
};

struct LowerRowScale : LowerRow<RowScaleOp> {
  using LowerRow::LowerRow;
  Value lower(RowScaleOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value v = aten.binary("mul", adaptor.getInput(), adaptor.getFactors());
    return adaptor.getTimes() ? aten.binary("mul", v, adaptor.getTimes()) : v;
  }
};

struct LowerRowClamp : LowerRow<RowClampOp> {
  using LowerRow::LowerRow;
  Value lower(RowClampOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value v = adaptor.getInput();
    if (adaptor.getMin())
      v = aten.extremum("maximum", v, adaptor.getMin());
    return adaptor.getMax() ? aten.extremum("minimum", v, adaptor.getMax()) : v;
  }
};

struct LowerRowKeep : LowerRow<RowKeepOp> {
  using LowerRow::LowerRow;
  Value lower(RowKeepOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    return aten.keepWhere(adaptor.getColumns(), adaptor.getInput());
  }
};

struct LowerRowStrength : LowerRow<RowStrengthOp> {
  using LowerRow::LowerRow;
  Value lower(RowStrengthOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value s = adaptor.getValue();
    if (adaptor.getTimes())
      s = aten.binary("mul", s, adaptor.getTimes());
    return aten.keepWhere(adaptor.getGate(), s);
  }
};

struct LowerRowWrite : LowerRow<RowWriteOp> {
  using LowerRow::LowerRow;
  Value lower(RowWriteOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &builder) const override {
    Value x = adaptor.getInput();
    Value own = aten.rowsOf(op, adaptor.getRows());
    // A single row needs no product: x + c d is the arithmetic of a hook.
    Value edit = lastSize(op.getRows()) == 1
                     ? aten.binary("mul", adaptor.getCoefficients(), own)
                     : aten.product(adaptor.getCoefficients(), own);
    return aten.binary("add", x, edit);
  }
};

struct LowerRowProject : LowerRow<RowProjectOp> {
  using LowerRow::LowerRow;
  Value lower(RowProjectOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &builder) const override {
    Value x = adaptor.getInput();
    Value basis = aten.rowsOf(op, adaptor.getRows());
    Value inside = aten.product(x, aten.transpose(basis));
    inside = aten.keepWhere(adaptor.getColumns(), inside);
    inside = aten.keepWhere(adaptor.getGate(), inside);
    return aten.binary("sub", x, aten.product(inside, basis));
  }
};

struct LowerRowTokens : LowerRow<RowTokensOp> {
  using LowerRow::LowerRow;
  Value lower(RowTokensOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value positions = adaptor.getPositions(), held;
    auto hold = [&](StringRef which, Value position, Value bound) {
      if (!bound)
        return;
      Value holds = aten.compare(which, position, aten.select(bound, 2, 0));
      held = held ? aten.logical("and", held, holds) : holds;
    };
    hold("ge", positions, adaptor.getFrom());
    hold("le", positions, adaptor.getTo());
    if (adaptor.getFirst() || adaptor.getLast()) {
      Value length = aten.unsqueeze(adaptor.getPromptLength(), 1);
      Value relative = aten.binary("sub", positions, length);
      hold("ge", relative, adaptor.getFirst());
      hold("le", relative, adaptor.getLast());
    }
    if (Value listed = adaptor.getListed()) {
      Value holds = aten.anyOfLast(
          aten.compare("eq", aten.unsqueeze(positions, 2), listed));
      held = held ? aten.logical("and", held, holds) : holds;
    }
    return aten.unsqueeze(held, 2);
  }
};

struct LowerRowCompare : LowerRow<RowCompareOp> {
  using LowerRow::LowerRow;
  Value lower(RowCompareOp, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &) const override {
    Value held;
    if (adaptor.getAbove())
      held = aten.compare("gt", adaptor.getInput(), adaptor.getAbove());
    if (!adaptor.getBelow())
      return held;
    Value below = aten.compare("lt", adaptor.getInput(), adaptor.getBelow());
    return held ? aten.logical("and", held, below) : below;
  }
};

struct LowerRowKnob : LowerRow<RowKnobOp> {
  using LowerRow::LowerRow;
  Value lower(RowKnobOp op, OpAdaptor adaptor, TableBuilder &aten,
              OpBuilder &builder) const override {
    Value column = aten.select(adaptor.getColumn(), 2, 0);
    Value own = aten.call(
        fx::withElementType(typeOf(column), builder.getF32Type()),
        "aten.gather.default",
        {{"self", adaptor.getKnobs()}, {"dim", 1}, {"index", column}});
    return aten.unsqueeze(own, 2);
  }
};

} // namespace

void weir::populateTableToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerSlot, LowerLookup, LowerRowRead, LowerRowSet, LowerRowScale,
               LowerRowClamp, LowerRowKeep, LowerRowStrength, LowerRowWrite,
               LowerRowProject, LowerRowTokens, LowerRowCompare, LowerRowKnob>(
      patterns.getContext());
}
