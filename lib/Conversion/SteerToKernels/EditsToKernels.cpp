//===- EditsToKernels.cpp - New values of a token's row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

#include <map>

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

struct WidenToKernel : KernelPattern<WidenOp> {
  using KernelPattern::KernelPattern;
  Value lower(WidenOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value to = k.destinationOf(op);
    k.copy(adaptor.getInput(), to, op.getInput().getType().getElementType());
    return to;
  }
};

struct RoundToKernel : KernelPattern<RoundOp> {
  using KernelPattern::KernelPattern;
  Value lower(RoundOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value to = k.destinationOf(op);
    k.copy(adaptor.getInput(), to, op.getTo());
    return to;
  }
};

/// Rows that a site's edits go along. Lists of rows of one dictionary that have
/// features in common, as those of several plans may, are places in one matrix, in
/// which each row stands once.
class EditedRows {
public:
  EditedRows(WriteOp op, KernelBuilder &k) : k(k) {
    int64_t width = lastSize(op.getInput());
    struct Shared {
      llvm::SetVector<int64_t> features;
      size_t listed = 0;
      Value matrix;
    };
    std::map<std::pair<flow::RowsPart, StringRef>, Shared> dictionaries;
    auto keyOf = [](flow::RowsAttr rows) {
      return std::pair(rows.getPart(), rows.getDictionary().getValue());
    };
    for (Attribute recipe : op.getRows())
      if (auto rows = dyn_cast<flow::RowsAttr>(recipe)) {
        Shared &shared = dictionaries[keyOf(rows)];
        shared.features.insert_range(rows.getFeatures());
        shared.listed += rows.getFeatures().size();
      }
    for (auto [coefficients, recipe] :
         llvm::zip_equal(op.getCoefficients(), op.getRows())) {
      auto rows = dyn_cast<flow::RowsAttr>(recipe);
      Shared *shared = rows ? &dictionaries[keyOf(rows)] : nullptr;
      if (!shared || shared->features.size() == shared->listed) {
        lists.push_back({k.rows(recipe, {lastSize(coefficients), width}), nullptr});
        continue;
      }
      ArrayRef<int64_t> features = shared->features.getArrayRef();
      if (!shared->matrix)
        shared->matrix =
            k.rows(flow::RowsAttr::get(op.getContext(), rows.getPart(),
                                       rows.getDictionary(), features),
                   {static_cast<int64_t>(features.size()), width});
      SmallVector<int64_t> places;
      for (int64_t feature : rows.getFeatures())
        places.push_back(llvm::find(features, feature) - features.begin());
      lists.push_back({shared->matrix, k.integers(places)});
    }
  }

  /// A row of a list.
  Value row(size_t list, Value column) {
    auto &[matrix, places] = lists[list];
    return k.row(matrix, places ? k.toIndex(places(column)) : column);
  }

private:
  KernelBuilder &k;
  std::vector<std::pair<Value, std::function<Value(Value)>>> lists;
};

struct WriteToKernel : KernelPattern<WriteOp> {
  using KernelPattern::KernelPattern;

  Value lower(WriteOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    Value x = adaptor.getInput(), to = k.destinationOf(op);
    EditedRows rows(op, k);
    bool isSingle = op.getCoefficients().size() == 1;
    if (!isSingle || lastSize(op.getCoefficients().front()) != 1)
      k.copy(x, to);
    for (auto [index, original, coefficients] : llvm::enumerate(
             op.getCoefficients(), adaptor.getCoefficients())) {
      int64_t count = lastSize(original);
      size_t list = index;
      if (count == 1) {
        // The arithmetic of a hook: x + c d with a rounded product.
        Value row = rows.row(list, k.index(0));
        Value from = isSingle ? x : to;
        k.ifHolds(
            k.notZero(coefficients),
            [&, c = coefficients] { k.addRounded(from, c, row, to); },
            isSingle ? llvm::function_ref<void()>([&] { k.copy(x, to); })
                     : llvm::function_ref<void()>());
        continue;
      }
      // A row that is added nowhere is not read.
      k.addRows(
          count,
          [&, all = coefficients](Value column) { return k.element(all, column); },
          [&](Value column) { return rows.row(list, column); }, to,
          /*skipZeros=*/true);
    }
    return to;
  }
};

struct ProjectToKernel : KernelPattern<ProjectOp> {
  using KernelPattern::KernelPattern;
  Value lower(ProjectOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value x = adaptor.getInput(), to = k.destinationOf(op);
    int64_t count = op.getRows().getNumRows();
    Value basis = k.rows(op.getRows(), {count, KernelBuilder::sizeOf(x)});
    auto project = [&] {
      Value inside = constants.known.lookup(op);
      if (!inside)
        inside = k.columns(count, [&](Value column) {
          return k.dot(x, k.row(basis, column));
        });
      k.copy(x, to);
      k.addRows(
          count,
          [&](Value column) {
            return k.sub(k.f32(-0.0), k.element(inside, column));
          },
          [&](Value column) { return k.row(basis, column); }, to,
          /*skipZeros=*/false);
    };
    k.editWhere(adaptor.getGate(), x, to, project);
    return to;
  }
};

struct RescaleToKernel : KernelPattern<RescaleOp> {
  using KernelPattern::KernelPattern;
  Value lower(RescaleOp op, OpAdaptor adaptor,
              KernelBuilder &k) const override {
    Value x = adaptor.getInput(), to = k.destinationOf(op);
    auto rescale = [&] {
      Value before = k.norm(adaptor.getLike()), after = k.norm(x);
      // A zero vector has no direction to stretch: divide by one instead.
      Value safe = k.where(k.above(after, k.f32(0.0)), after, k.f32(1.0));
      Value factor = k.splat(k.div(before, safe));
      k.forEachVector(KernelBuilder::sizeOf(x), [&](Value at, Value mask) {
        k.store(k.mul(k.load(x, at, mask), factor), to, at, mask);
      });
    };
    k.editWhere(adaptor.getGate(), x, to, rescale);
    return to;
  }
};

struct DeliverToKernel : OpConversionPattern<DeliverOp> {
  DeliverToKernel(const TypeConverter &types, MLIRContext *context,
                  KernelConstants &constants)
      : OpConversionPattern(types, context), constants(constants) {}
  LogicalResult
  matchAndRewrite(DeliverOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    KernelBuilder k(rewriter, op, constants);
    Value value = adaptor.getValue(), to = adaptor.getTo();
    if (value.getType().isInteger(1))
      value = arith::UIToFPOp::create(rewriter, op.getLoc(),
                                      rewriter.getF32Type(), value);
    if (!isa<MemRefType>(value.getType()))
      memref::StoreOp::create(rewriter, op.getLoc(), value, to, k.index(0));
    else if (value != to)
      k.copy(value, to);
    rewriter.eraseOp(op);
    return success();
  }
  KernelConstants &constants;
};

} // namespace

void weir::populateEditToKernelPatterns(RewritePatternSet &patterns,
                                        const TypeConverter &types,
                                        KernelConstants &constants) {
  patterns.add<WidenToKernel, RoundToKernel, WriteToKernel, ProjectToKernel,
               RescaleToKernel, DeliverToKernel>(types, patterns.getContext(),
                                                 constants);
}
