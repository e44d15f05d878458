//===- SteerToWeights.cpp - Edits become weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Conversion/SteerToWeights/SteerToWeights.h"

#include "Writers.h"

#include "weir/Operators/Operators.h"

#include "mlir/IR/Remarks.h"

namespace weir {
#define GEN_PASS_DEF_CONVERTSTEERTOWEIGHTSPASS
#include "weir/Conversion/SteerToWeights/Passes.h.inc"
} // namespace weir

using namespace mlir;
using namespace weir;
using namespace weir::fx;
using namespace weir::steer;

/// Gives a call of a linear map the bias that it had none of.
static void addBias(CallOp call, StringRef name, Value bias) {
  Builder builder(call.getContext());
  SmallVector<Attribute> names(call.getArgNames().getValue()),
      args(call.getArgs().getValue());
  SmallVector<int8_t> kinds;
  if (auto given = call.getArgKinds())
    kinds.assign(given->begin(), given->end());
  auto slot = SlotAttr::get(call.getContext());
  std::optional<unsigned> index = call.findArgument(name);
  unsigned position = call->getNumOperands();
  if (index) {
    position = 0;
    for (unsigned i = 0; i < *index; ++i)
      position += call.getArgumentValues(i).size();
    args[*index] = slot;
  } else {
    names.push_back(builder.getStringAttr(name));
    args.push_back(slot);
    // As the weight is given, which a bias follows.
    if (!kinds.empty())
      kinds.push_back(kinds.back());
  }
  call.setArgNamesAttr(builder.getArrayAttr(names));
  call.setArgsAttr(builder.getArrayAttr(args));
  if (!kinds.empty())
    call.setArgKindsAttr(builder.getDenseI8ArrayAttr(kinds));
  call->insertOperands(position, bias);
}

namespace {

struct ConvertSteerToWeights
    : weir::impl::ConvertSteerToWeightsPassBase<ConvertSteerToWeights> {
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
    Writers writers(program);
    for (PatchOp patch :
         llvm::make_early_inc_range(program.getEntry().getOps<PatchOp>())) {
      SmallVector<ConstantEdit> edits;
      failedAny |= failed(refusals.editsOf(patch, edits));
      // Those behind what does not fold are looked at even so.
      failedAny |= failed(fold(patch, edits, writers, refusals));
      flow::SiteAttr site = patch.getSite();
      patch.getResult().replaceAllUsesWith(patch.getInput());
      patch.erase();
      program.addEdited(site.getKind(), site.getLayer());
      ++patches;
    }
    if (failedAny)
      return signalPassFailure();
    for (auto &[call, folded] : writers.folded)
      replace(program, folded);
  }

private:
  LogicalResult fold(PatchOp patch, ArrayRef<ConstantEdit> edits,
                     Writers &writers, Refusals &refusals) {
    bool failedAny = false;
    for (const ConstantEdit &edit : edits) {
      if (succeeded(writers.fold(patch, edit)))
        continue;
      failedAny = true;
      bool isStream = llvm::is_contained(
          {SiteKind::Emb, SiteKind::Mid, SiteKind::Res},
          patch.getSite().getKind());
      (void)refusals.refuse(
          edit.loc, "at " + patch.getSite().str() + ", " + writers.problem,
          edit.isProjection && isStream && !isWholeStream(edit)
              ? "the residual connection goes past a projection at single "
                "layers; 'layers: all' projects all that is written to the stream"
              : "");
    }
    return success(!failedAny);
  }

  /// Whether the policy is written at the whole stream already.
  bool isWholeStream(const ConstantEdit &edit) {
    bool isWhole = false;
    edit.loc->walk([&](Location part) {
      if (auto named = dyn_cast<NameLoc>(part))
        if (auto policy =
                getOperation().lookupSymbol<PolicyOp>(named.getName()))
          isWhole |= policy.getLayersAttr() &&
                     policy.getLayersAttr().getKind() == LayersKind::All;
      return WalkResult::advance();
    });
    return isWhole;
  }

  /// Puts what was folded into a map in the place of its weight and its bias.
  void replace(ProgramOp program, Writers::Folded &folded) {
    CallOp call = folded.call;
    OpBuilder builder(call);
    ArrayAttr reads = builder.getArrayAttr(folded.reads),
              gives = builder.getArrayAttr(folded.gives);
    Location loc = builder.getFusedLoc(folded.locs);
    StoredWeight weight = storedWeight(program, call);
    auto type = cast<RankedTensorType>(weight.operand->get().getType());
    auto isBasis = [](Attribute edit) { return isa<flow::BasisAttr>(edit); };
    bool reprojected =
        llvm::any_of(folded.reads, isBasis) || llvm::any_of(folded.gives, isBasis);
    bool added = !llvm::all_of(folded.reads, isBasis) ||
                 !llvm::all_of(folded.gives, isBasis);

    const OperatorInfo *info = call.getOperatorInfo();
    Value old = info->bias.empty() ? Value() : call.getArgumentValue(info->bias);
    bool isTable = info->role == OperatorRole::Gather;
    if (!isTable && (added || (old && llvm::any_of(folded.gives, isBasis)))) {
      WeightAttr name;
      RankedTensorType biasType = RankedTensorType::get(
          {type.getShape()[weight.layout == WeightLayout::OutIn ? 0 : 1]},
          type.getElementType());
      if (auto argument = dyn_cast_if_present<BlockArgument>(old)) {
        name = program.getInput(argument.getArgNumber()).getWeight();
        biasType = cast<RankedTensorType>(old.getType());
      }
      auto bias = fx::ConstantOp::create(
          builder, loc, biasType,
          flow::FoldedBiasAttr::get(&getContext(), weight.name, weight.layout,
                                    name, reads, gives));
      if (!old)
        addBias(call, info->bias, bias);
      else
        for (OpOperand &operand : call->getOpOperands())
          if (operand.get() == old)
            operand.set(bias);
      ++biases;
      tell(folded, weight.name, "bias");
    }
    if (!reprojected)
      return;
    // What turns the weight may stand further up.
    builder.setInsertionPoint(storedWeight(program, call).operand->getOwner());
    auto constant = fx::ConstantOp::create(
        builder, loc, type,
        flow::FoldedWeightAttr::get(&getContext(), weight.name, weight.layout,
                                    reads, gives));
    storedWeight(program, call).operand->set(constant);
    ++weights;
    tell(folded, weight.name, "weight");
  }

  void tell(const Writers::Folded &folded, WeightAttr weight, StringRef part) {
    remark::passed(folded.locs.front(),
                   remark::RemarkOpts::name("Folded").category("steer"))
        << ("folded into the " + part + " of " + weight.getKey()).str();
  }
};

} // namespace
