//===- SelectLowering.cpp - What each patch becomes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/CostModel.h"
#include "weir/Dialect/Steer/Transforms/KernelForm.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERSELECTLOWERINGPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

struct SteerSelectLowering
    : steer::impl::SteerSelectLoweringPassBase<SteerSelectLowering> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTableCollection symbols;
    for (auto patch : getOperation().getEntry().getOps<PatchOp>()) {
      std::string why;
      if (!patch.getLowering())
        patch.setLowering(choose(patch, why));
      bool isKernel = patch.getLowering() == Lowering::Kernel;
      ++(isKernel ? kernels : aten);
      if (getContext().getRemarkEngine())
        report(patch, why, symbols);
    }
  }

  /// `why` says what is in the way of a kernel, or what both lowerings take.
  Lowering choose(PatchOp patch, std::string &why) {
    if (lower == LoweringChoice::Aten)
      return Lowering::Aten;
    if (std::optional<std::string> obstacle = whyNoKernel(patch)) {
      why = "; it has no kernel: " + *obstacle;
      return Lowering::Aten;
    }
    if (lower != LoweringChoice::Auto)
      return Lowering::Kernel;
    CallCosts costs = compiled ? CallCosts::compiled(bandwidth * 1e9)
                               : CallCosts::calling(bandwidth * 1e9);
    SiteCost cost = costOf(patch, compiled);
    why = llvm::formatv("; a token is estimated at {0:F1} us as a kernel and at "
                        "{1:F1} us as {2} operators",
                        1e6 * cost.kernel(costs), 1e6 * cost.aten(costs),
                        cost.operators());
    return cost.kernel(costs) <= cost.aten(costs) ? Lowering::Kernel
                                                  : Lowering::Aten;
  }

  /// The policies that an op of a patch comes from; their names are in its
  /// location.
  void collectPolicies(Location loc, SymbolTableCollection &symbols,
                       llvm::SetVector<PolicyOp> &policies) {
    if (auto fused = dyn_cast<FusedLoc>(loc))
      for (Location part : fused.getLocations())
        collectPolicies(part, symbols, policies);
    if (auto name = dyn_cast<NameLoc>(loc))
      if (auto policy = symbols.lookupNearestSymbolFrom<PolicyOp>(
              getOperation(), name.getName()))
        policies.insert(policy);
  }

  void report(PatchOp patch, StringRef why, SymbolTableCollection &symbols) {
    int64_t bytes = 0, operations = 0;
    llvm::SetVector<PolicyOp> policies;
    for (Operation &op : patch.getBody().front()) {
      if (auto cost = dyn_cast<CostOpInterface>(op)) {
        bytes += cost.getBytesPerToken();
        operations += cost.getOperationsPerToken();
      }
      collectPolicies(op.getLoc(), symbols, policies);
    }
    std::string site = fx::siteName(patch.getSite().getKind(),
                                    patch.getSite().getLayer());
    bool isKernel = patch.getLowering() == Lowering::Kernel;
    std::string rest = (" is lowered to " +
                        llvm::Twine(isKernel ? "a kernel" : "aten operators") +
                        "; the site reads " + llvm::Twine(bytes) +
                        " bytes of rows and makes " + llvm::Twine(operations) +
                        " operations a token" + why)
                           .str();
    auto remark = [&](Location loc, const std::string &what) {
      remark::passed(loc, remark::RemarkOpts::name(isKernel ? "LoweredToKernel"
                                                            : "LoweredToAten")
                              .category("lowering"))
          << what + rest;
    };
    for (PolicyOp policy : policies)
      remark(policy.getLoc(),
             "policy '" + policy.getSymName().str() + "' at " + site);
    if (policies.empty())
      remark(patch.getLoc(), "site " + site);
  }
};

} // namespace
