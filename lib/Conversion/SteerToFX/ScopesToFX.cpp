//===- ScopesToFX.cpp - Lowering of scopes that follow a row's tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Markers are looked for in the whole history of all rows, whose sizes are
// static, by running minima and maxima over their positions; a token then takes
// what stands at its own position. It sees nothing that lies behind it, which may
// be of an earlier request.
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

/// Calls that only histories need, beside those of AtenBuilder.
class ScopeBuilder : public AtenBuilder {
public:
  using AtenBuilder::AtenBuilder;

  /// Where a history keeps the token of a position: padding goes to the last
  /// column.
  Value columnsOf(Value positions, Value history) {
    return call(typeOf(positions), "aten.where.ScalarSelf",
                {{"condition", compare("lt", positions, int64_t(0))},
                 {"self", lastSize(history) - 1},
                 {"other", positions}});
  }

  /// The history [rows, columns] with the ids of this run in it.
  Value write(Value history, Value columns, Value ids) {
    return fx::CallOp::create(builder, loc, TypeRange(typeOf(history)),
                              "aten.scatter_.src",
                              ArrayRef<fx::Argument>{{"self", history},
                                                     {"dim", 1},
                                                     {"index", columns},
                                                     {"src", ids}},
                              /*pure=*/false)
        .getResult(0);
  }

  /// Which tokens of a history [rows, columns] are markers.
  Value areMarkers(Value history, ArrayAttr markers) {
    return isOneOf(history, MarkersAttr::idsOf(markers));
  }
  /// The same for the rows of the batch [batch, columns], each with ids of its own
  /// [batch, 1, K].
  Value areMarkers(Value history, Value ids) {
    Attribute batch = fx::sizesOf(typeOf(ids)).front();
    OpFoldResult size = fx::sizeOf(builder, loc, ids, 0);
    fx::Argument end("end", int64_t(0));
    if (auto number = dyn_cast<Attribute>(size))
      end = fx::Argument("end", cast<IntegerAttr>(number).getInt());
    else
      end = fx::Argument("end", cast<Value>(size));
    Attribute columns = builder.getI64IntegerAttr(lastSize(history));
    Value own = call(fx::tensorOf({batch, columns}, builder.getI64Type()),
                     "aten.slice.Tensor",
                     {{"self", history}, {"dim", 0}, {"start", 0}, end});
    Value equal = compare("eq", unsqueeze(own, 2), ids);
    return call(fx::tensorOf({batch, columns}, builder.getI1Type()),
                "aten.any.dim", {{"self", equal}, {"dim", -1}});
  }

  /// The position of the first or last marker among a token and those in front
  /// of it [batch, sequence]. Without one: a position behind all, or -1.
  Value find(bool first, Value history, Value positions, Value areMarkers) {
    int64_t columns = lastSize(history);
    Value own = call(RankedTensorType::get({columns}, builder.getI64Type()),
                     "aten.arange.default", {{"end", columns}});
    auto type = fx::withElementType(typeOf(areMarkers), builder.getI64Type());
    Value found = call(type, "aten.where.ScalarOther",
                       {{"condition", areMarkers},
                        {"self", own},
                        {"other", first ? columns : int64_t(-1)}});
    auto running = fx::CallOp::create(
        builder, loc, TypeRange{type, type},
        first ? "aten.cummin.default" : "aten.cummax.default",
        ArrayRef<fx::Argument>{{"self", found}, {"dim", 1}});
    return call(typeOf(positions), "aten.gather.default",
                {{"self", running.getResult(0)},
                 {"dim", 1},
                 {"index", columnsOf(positions, history)}});
  }
  template <typename Markers>
  Value findFirst(Value history, Value positions, Markers markers) {
    return find(true, history, positions, areMarkers(history, markers));
  }
  template <typename Markers>
  Value findLast(Value history, Value positions, Markers markers) {
    return find(false, history, positions, areMarkers(history, markers));
  }

  /// Where markers say, of the same kind of list each: null for none.
  template <typename Markers>
  Value marked(Value history, Value positions, Markers after, Markers until,
               Markers opens, Markers closes) {
    Value held;
    auto hold = [&](StringRef which, Value x, Value y) {
      Value holds = compare(which, x, y);
      held = held ? logical("and", held, holds) : holds;
    };
    // A token that is the marker has its own position for it.
    if (after)
      hold("lt", findFirst(history, positions, after), positions);
    if (until)
      hold("gt", findFirst(history, positions, until), positions);
    if (opens) {
      Value opened = findLast(history, positions, opens);
      hold("lt", opened, positions);
      hold("gt", opened, findLast(history, positions, closes));
    }
    return unsqueeze(held, 2);
  }

  Value divScalar(Value x, double y) {
    return call(typeOf(x), "aten.div.Tensor", {{"self", x}, {"other", y}});
  }
  Value exp2(Value x) {
    return call(typeOf(x), "aten.exp2.default", {{"self", x}});
  }
  /// A distance of positions as f32, which has all of them. What a gate leaves out
  /// may be in front of the beginning.
  Value tokensSince(Value distance) {
    return bound("clamp_min", to(distance, builder.getF32Type()), 0.0);
  }
  /// The product of two shares, of which one may be null.
  Value both(Value x, Value y) {
    return x && y ? binary("mul", x, y) : x ? x : y;
  }
};

struct LowerHistory : OpConversionPattern<HistoryOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(HistoryOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ScopeBuilder aten(rewriter, op.getLoc());
    Value kept = adaptor.getKept();
    rewriter.replaceOp(
        op, aten.write(kept, aten.columnsOf(adaptor.getPositions(), kept),
                       adaptor.getIds()));
    return success();
  }
};

struct LowerMarked : OpConversionPattern<MarkedOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(MarkedOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ScopeBuilder aten(rewriter, op.getLoc());
    Value positions = adaptor.getPositions(), history = adaptor.getHistory();
    MarkersAttr markers = op.getMarkers();
    rewriter.replaceOp(op, aten.marked(history, positions, markers.getAfter(),
                                       markers.getUntil(), markers.getOpens(),
                                       markers.getCloses()));
    return success();
  }
};

struct LowerRowMarked : OpConversionPattern<RowMarkedOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RowMarkedOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ScopeBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(
        op, aten.marked(adaptor.getHistory(), adaptor.getPositions(),
                        adaptor.getAfter(), adaptor.getUntil(),
                        adaptor.getOpens(), adaptor.getCloses()));
    return success();
  }
};

struct LowerRamp : OpConversionPattern<RampOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RampOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ScopeBuilder aten(rewriter, op.getLoc());
    Value positions = adaptor.getPositions();
    TokensAttr scope = op.getScope();
    int64_t rank = op.getPositions().getType().getRank();
    // The distance from the latest beginning is the least one.
    Value distance;
    auto begin = [&](Value since) {
      distance = distance ? aten.extremum("minimum", distance, since) : since;
    };
    auto beginAt = [&](Value place, int64_t offset) {
      Value since = aten.binary("sub", positions, place);
      begin(offset ? aten.addScalar(since, -offset) : since);
    };
    TokenSet set = scope.getSet();
    if (set == TokenSet::Generated || set == TokenSet::Last ||
        set == TokenSet::Sampled) {
      Value length = adaptor.getPromptLength();
      beginAt(rank == 1 ? length : aten.unsqueeze(length, 1),
              set == TokenSet::Generated ? 0 : -1);
    }
    if (MarkersAttr markers = scope.getMarkers()) {
      Value history = adaptor.getHistory();
      if (ArrayAttr after = markers.getAfter())
        beginAt(aten.findFirst(history, positions, after), 1);
      if (ArrayAttr opens = markers.getOpens())
        beginAt(aten.findLast(history, positions, opens), 1);
    }
    if (int64_t first = scope.getFirstPosition(); first || !distance)
      begin(first ? aten.addScalar(positions, -first) : positions);

    Value n = aten.tokensSince(distance), over, decay;
    if (int64_t count = scope.getOver())
      over = aten.bound("clamp_max",
                        aten.divScalar(aten.addScalar(n, int64_t(1)),
                                       static_cast<double>(count)),
                        1.0);
    if (FloatAttr half = scope.getHalf())
      // Divided, since the inverse of a small number may be too large.
      decay = aten.exp2(aten.divScalar(n, -half.getValueAsDouble()));
    rewriter.replaceOp(op, aten.unsqueeze(aten.both(over, decay), rank));
    return success();
  }
};

struct LowerRowRamp : OpConversionPattern<RowRampOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RowRampOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ScopeBuilder aten(rewriter, op.getLoc());
    Value positions = adaptor.getPositions(), history = adaptor.getHistory();
    auto ofRow = [&](Value number) { return aten.select(number, 2, 0); };
    Value distance = aten.binary("sub", positions, ofRow(adaptor.getFrom()));
    auto begin = [&](Value place) {
      distance = aten.extremum("minimum", distance, aten.binary("sub", positions, place));
    };
    if (Value first = adaptor.getFirst()) {
      Value length = aten.unsqueeze(adaptor.getPromptLength(), 1);
      begin(aten.binary("add", length, ofRow(first)));
    }
    if (Value after = adaptor.getAfter())
      begin(aten.addScalar(aten.findFirst(history, positions, after),
                           int64_t(1)));
    if (Value opens = adaptor.getOpens())
      begin(
          aten.addScalar(aten.findLast(history, positions, opens), int64_t(1)));
    Value n = aten.tokensSince(distance), over, decay;
    if (Value count = adaptor.getOver())
      over = aten.bound(
          "clamp_max",
          aten.binary("div", aten.addScalar(n, int64_t(1)), ofRow(count)), 1.0);
    if (Value half = adaptor.getHalf())
      decay = aten.exp2(
          aten.mulScalar(aten.binary("div", n, ofRow(half)), -1.0));
    rewriter.replaceOp(op, aten.unsqueeze(aten.both(over, decay), 2));
    return success();
  }
};

struct LowerProduct : OpConversionPattern<ProductOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ProductOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    AtenBuilder aten(rewriter, op.getLoc());
    rewriter.replaceOp(op,
                       aten.binary("mul", adaptor.getLhs(), adaptor.getRhs()));
    return success();
  }
};

} // namespace

void weir::populateScopeToFXPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerHistory, LowerMarked, LowerRowMarked, LowerRamp,
               LowerRowRamp, LowerProduct>(patterns.getContext());
}
