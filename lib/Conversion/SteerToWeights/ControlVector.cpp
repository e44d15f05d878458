//===- ControlVector.cpp - Additions behind blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Conversion/SteerToWeights/SteerToWeights.h"

#include "Writers.h"

#include "llvm/ADT/MapVector.h"

namespace weir {
#define GEN_PASS_DEF_STEERTOCONTROLVECTORPASS
#include "weir/Conversion/SteerToWeights/Passes.h.inc"
} // namespace weir

using namespace mlir;
using namespace weir;
using namespace weir::fx;
using namespace weir::steer;

/// The block behind which an addition to a value has the same effect, or none:
/// from the value on there are only sums that nobody else reads.
static std::optional<int64_t>
blockBehind(Value value, const llvm::DenseMap<Value, int64_t> &blocks) {
  for (unsigned steps = 0; steps < 8; ++steps) {
    value = handedOn(value);
    if (auto found = blocks.find(value); found != blocks.end())
      return found->second;
    SmallVector<OpOperand *> readers = readersOf(value);
    auto sum = readers.size() == 1 ? dyn_cast<CallOp>(readers[0]->getOwner())
                                   : CallOp();
    if (!sum || !isPlainSum(sum))
      return std::nullopt;
    value = sum.getResult(0);
  }
  return std::nullopt;
}

namespace {

struct SteerToControlVector
    : weir::impl::SteerToControlVectorPassBase<SteerToControlVector> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<ProgramOp> found = onlyProgram(module);
    if (failed(found))
      return signalPassFailure();
    ProgramOp program = *found;
    Refusals refusals(module);
    bool failedAny =
        failed(refusals.checkPolicies(llvm::to_vector(knobs)));

    // Without the patches it is plain who reads what.
    struct Place {
      flow::SiteAttr site;
      Value value;
      SmallVector<ConstantEdit> edits;
    };
    SmallVector<Place> places;
    for (PatchOp patch :
         llvm::make_early_inc_range(program.getEntry().getOps<PatchOp>())) {
      SmallVector<ConstantEdit> edits;
      failedAny |= failed(refusals.editsOf(patch, edits));
      places.push_back({patch.getSite(), patch.getInput(), std::move(edits)});
      patch.getResult().replaceAllUsesWith(patch.getInput());
      patch.erase();
    }
    llvm::DenseMap<Value, int64_t> blocks;
    for (auto marker : program.getEntry().getOps<SiteOp>())
      if (marker.getKind() == SiteKind::Res)
        blocks[handedOn(marker.getInput())] = marker.getLayer();
    for (const Place &place : places)
      if (place.site.getKind() == SiteKind::Res)
        blocks[handedOn(place.value)] = place.site.getLayer();

    llvm::MapVector<int64_t, SmallVector<ConstantEdit>> vectors;
    llvm::DenseMap<int64_t, Value> values;
    for (auto [value, layer] : blocks)
      values[layer] = value;
    for (const Place &place : places)
      for (const ConstantEdit &edit : place.edits) {
        auto layer =
            blockOf(place.site, place.value, edit, blocks, refusals);
        if (succeeded(layer))
          vectors[*layer].push_back(edit);
        else
          failedAny = true;
      }
    if (failedAny)
      return signalPassFailure();
    for (auto &[layer, additions] : vectors)
      write(values[layer], layer, additions);
  }

private:
  /// The block behind which an edit is an addition.
  FailureOr<int64_t> blockOf(flow::SiteAttr site, Value value,
                             const ConstantEdit &edit,
                             const llvm::DenseMap<Value, int64_t> &blocks,
                             Refusals &refusals) {
    if (edit.isProjection)
      return refusals.refuse(edit.loc,
                             "a control vector is added; the same vectors as a "
                             "projection would be added, too",
                             "'--to gguf' can hold projections");
    std::optional<int64_t> layer = blockBehind(value, blocks);
    if (!layer)
      return refusals.refuse(
          edit.loc, "a control vector is added behind a block, and " +
                        site.str() + " is read before the block's end");
    if (*layer == 0)
      return refusals.refuse(
          edit.loc, "a control vector has no direction for block 0: llama.cpp "
                    "counts from direction.1, which is added behind block 1",
          "'--to gguf' or '--to checkpoint' may hold it");
    return *layer;
  }

  void write(Value value, int64_t layer, ArrayRef<ConstantEdit> additions) {
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(value);
    SmallVector<Location> locs;
    SmallVector<double> weights;
    SmallVector<Attribute> parts;
    for (const ConstantEdit &addition : additions) {
      auto sum = cast<flow::SumAttr>(addition.recipe);
      llvm::append_range(weights, sum.getWeights().asArrayRef());
      parts.push_back(sum.getRows());
      locs.push_back(addition.loc);
    }
    Location loc = builder.getFusedLoc(locs);
    auto patch = PatchOp::create(
        builder, loc, value, flow::SiteAttr::get(&getContext(), SiteKind::Res, layer));
    value.replaceAllUsesExcept(patch.getResult(), patch);
    builder.setInsertionPointToEnd(&patch.getBody().front());
    Value strength = StrengthOp::create(
        builder, loc, builder.getF64FloatAttr(1.0), Value(), Value());
    Attribute row = flow::SumAttr::get(
        &getContext(), builder.getDenseF64ArrayAttr(weights),
        parts.size() == 1 ? parts.front()
                          : flow::ConcatAttr::get(&getContext(),
                                                  builder.getArrayAttr(parts)));
    Value added = WriteOp::create(builder, loc, value.getType(),
                                  patch.getValue(), ValueRange{strength},
                                  builder.getArrayAttr(row));
    YieldOp::create(builder, loc, added);
  }
};

} // namespace
