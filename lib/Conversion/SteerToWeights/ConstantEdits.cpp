//===- ConstantEdits.cpp - Edits that are the same for every token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantEdits.h"

#include "weir/Support/Locations.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

LogicalResult Refusals::checkPolicies(ArrayRef<std::string> knobs) {
  SymbolTable symbols(module);
  bool failedAny = false;
  for (PlanOp plan : module.getOps<PlanOp>())
    for (auto name : plan.getPolicies().getAsRange<FlatSymbolRefAttr>()) {
      auto policy = symbols.lookup<PolicyOp>(name.getAttr());
      if (!policy)
        continue;
      auto refusePolicy = [&](StringRef part, const Twine &why) {
        failedAny = true;
        refused.insert(policy.getSymNameAttr());
        emitError(locationOf(policy, part))
            << "policy '" << specName(policy.getSymName())
            << "' cannot be folded into weights: " << why;
      };
      ActionAttrInterface action = policy.getAction();
      if (!action.canWriteElsewhere() && !action.canWriteStream())
        refusePolicy("do", action.leavesValue()
                               ? Twine("a folded model has no output for what "
                                       "is recorded")
                               : "what '" + action.getKeyword() +
                                     "' changes depends on the token; only "
                                     "'add' and 'project_out' do the same to "
                                     "every token");
      if (policy.getTokensAttr() && !policy.getTokensAttr().isEveryToken())
        refusePolicy("tokens", "weights are the same for all tokens");
      if (policy.getWhenAttr())
        refusePolicy("when", "weights know of no condition");
      if (FlatSymbolRefAttr knob = policy.getTimesAttr();
          knob && !llvm::is_contained(knobs, specName(knob.getValue())))
        refusePolicy("times", "the knob '" + specName(knob.getValue()) +
                                  "' is chosen at run time; give it one value "
                                  "with --knob " +
                                  specName(knob.getValue()) + "=NUMBER");
      if (policy.getPreserveNorm())
        refusePolicy("norm", "bringing a token back to its norm is not linear");
    }
  return success(!failedAny);
}

LogicalResult Refusals::refuse(Location loc, const Twine &what, StringRef hint) {
  bool isTold = false;
  std::string names;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named || !module.lookupSymbol<PolicyOp>(named.getName()))
      return WalkResult::advance();
    isTold |= !refused.insert(named.getName()).second;
    StringRef name = specName(named.getName().getValue());
    names += (names.empty() ? "'" : ", '") + name.str() + "'";
    // Below it are the names of the policy's keys.
    return WalkResult::skip();
  });
  // What carries no policy's name, such as a norm, is there because of one that was
  // refused.
  if (isTold || (names.empty() && (hasUnnamed || !refused.empty())))
    return failure();
  hasUnnamed |= names.empty();
  InFlightDiagnostic error = emitError(loc);
  error << (names.empty() ? "an edit" : names.c_str())
        << " cannot be folded into weights: " << what;
  if (!hint.empty())
    error << "; " << hint;
  return error;
}

LogicalResult Refusals::editsOf(PatchOp patch,
                                SmallVectorImpl<ConstantEdit> &edits) {
  bool failedAny = false;
  for (Operation &op : patch.getBody().front()) {
    if (isa<StrengthOp, ConstantOp, YieldOp>(op))
      continue;
    if (auto project = dyn_cast<ProjectOp>(op); project && !project.getGate()) {
      edits.push_back({true, project.getRows(), project.getLoc()});
      continue;
    }
    auto write = dyn_cast<WriteOp>(op);
    if (!write) {
      failedAny = true;
      (void)refuse(op.getLoc(), "what happens at " + patch.getSite().str() +
                                    " is not the same for every token");
      continue;
    }
    for (auto [coefficient, row] :
         llvm::zip_equal(write.getCoefficients(), write.getRows())) {
      auto strength = coefficient.getDefiningOp<StrengthOp>();
      if (!strength || strength.getGate() || strength.getTimes()) {
        failedAny = true;
        (void)refuse(coefficient.getLoc(),
                     "what is added at " + patch.getSite().str() +
                         " is not the same for every token");
        continue;
      }
      // One rounding, that of the sum.
      SmallVector<double> weights{1.0};
      Attribute rows = row;
      if (auto sum = dyn_cast<flow::SumAttr>(row)) {
        weights.assign(sum.getWeights().asArrayRef().begin(),
                       sum.getWeights().asArrayRef().end());
        rows = sum.getRows();
      }
      for (double &weight : weights)
        weight *= strength.getValue().convertToDouble();
      Builder builder(module.getContext());
      edits.push_back({false,
                       flow::SumAttr::get(module.getContext(),
                                          builder.getDenseF64ArrayAttr(weights),
                                          rows),
                       strength.getLoc()});
    }
  }
  return success(!failedAny);
}
