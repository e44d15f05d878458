//===- SelectLowering.cpp - What each patch becomes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

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
  void runOnOperation() override {
    SymbolTableCollection symbols;
    for (auto patch : getOperation().getEntry().getOps<PatchOp>()) {
      if (!patch.getLowering())
        // The only one there is. A second one compares costs here.
        patch.setLowering(Lowering::Aten);
      aten += patch.getLowering() == Lowering::Aten;
      if (getContext().getRemarkEngine())
        report(patch, symbols);
    }
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

  void report(PatchOp patch, SymbolTableCollection &symbols) {
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
    std::string rest = " is lowered to " +
                       stringifyLowering(*patch.getLowering()).str() +
                       " operators; the site reads " + std::to_string(bytes) +
                       " bytes of rows and makes " +
                       std::to_string(operations) + " operations a token";
    auto remark = [&](Location loc, const std::string &what) {
      remark::passed(loc, remark::RemarkOpts::name("LoweredToAten")
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
