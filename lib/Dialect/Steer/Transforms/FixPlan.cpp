//===- FixPlan.cpp - One plan for every row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/FixedPlan.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERKEEPPLANPASS
#define GEN_PASS_DEF_STEERFIXINPUTSPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// Errors of a knob that is there are its own, others those of the module.
static auto errorsOf(ModuleOp module) {
  return [module](KnobOp knob) mutable {
    return knob ? knob.emitError() : module.emitError();
  };
}

namespace {

struct SteerKeepPlan : steer::impl::SteerKeepPlanPassBase<SteerKeepPlan> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<PlanOp> found = findFixedPlan(module, plan, errorsOf(module));
    if (failed(found))
      return signalPassFailure();
    PlanOp kept = *found;
    llvm::DenseSet<Attribute> needed(kept.getPolicies().begin(),
                                     kept.getPolicies().end());
    for (PolicyOp policy : module.getOps<PolicyOp>())
      if (needed.contains(FlatSymbolRefAttr::get(policy.getSymNameAttr())))
        if (auto recorded = policy.getAction().getRecordedPolicy())
          needed.insert(recorded);
    for (PlanOp each : llvm::make_early_inc_range(module.getOps<PlanOp>()))
      if (each != kept) {
        each.erase();
        ++plans;
      }
    for (PolicyOp policy : llvm::make_early_inc_range(module.getOps<PolicyOp>()))
      if (!needed.contains(FlatSymbolRefAttr::get(policy.getSymNameAttr()))) {
        policy.erase();
        ++policies;
      }
    for (auto bridge :
         llvm::make_early_inc_range(module.getOps<flow::BridgeOp>()))
      if (SymbolTable::symbolKnownUseEmpty(bridge.getOperation(), module))
        bridge.erase();
    // Sets of features come before what is made of them.
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(*module.getBody())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};

struct SteerFixInputs : steer::impl::SteerFixInputsPassBase<SteerFixInputs> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(fix()))
      signalPassFailure();
  }

private:
  LogicalResult fix() {
    ModuleOp module = getOperation();
    auto plans = llvm::to_vector(module.getOps<PlanOp>());
    auto programs = llvm::to_vector(module.getOps<fx::ProgramOp>());
    if (plans.size() != 1 || programs.size() != 1)
      return module.emitError()
             << "expects one plan and one program, found " << plans.size()
             << " and " << programs.size() << "; steer-keep-plan keeps one plan";
    PlanOp plan = plans.front();
    fx::ProgramOp program = programs.front();
    FailureOr<FixedKnobs> fixed = readFixedKnobs(
        module, plan, SmallVector<std::string>(knobs.begin(), knobs.end()),
        errorsOf(module));
    if (failed(fixed))
      return failure();

    auto fixPlan = [](Operation *user) -> Attribute {
      auto gate = dyn_cast<InPlansOp>(user);
      return gate ? BoolAttr::get(user->getContext(),
                                  llvm::is_contained(gate.getPlans(), 0))
                  : Attribute();
    };
    auto fixKnob = [&](Operation *user) -> Attribute {
      auto value = dyn_cast<KnobValueOp>(user);
      return value ? Builder(user).getF32FloatAttr(fixed->values[value.getIndex()])
                   : Attribute();
    };
    if (failed(replaceInput(program, InputRole::Plan, fixPlan)) ||
        failed(replaceInput(program, InputRole::Knobs, fixKnob)))
      return failure();
    plan.setFixedAttr(DictionaryAttr::get(&getContext(), fixed->used));
    return success();
  }

  /// Puts constants in the place of all that is made of an input, which goes.
  static LogicalResult
  replaceInput(fx::ProgramOp program, InputRole role,
               function_ref<Attribute(Operation *)> valueOf) {
    BlockArgument input = program.findInput(role);
    if (!input)
      return success();
    for (Operation *user : llvm::make_early_inc_range(input.getUsers())) {
      Attribute value = valueOf(user);
      if (!value)
        return user->emitOpError("uses the input '")
               << roleName(role)
               << "', which a fixed program has not: steer-fix-inputs comes "
                  "before steer-tabulate-plans";
      OpBuilder builder(user);
      user->replaceAllUsesWith(ConstantOp::create(
          builder, user->getLoc(), user->getResult(0).getType(), value));
      user->erase();
    }
    program.eraseInput(input.getArgNumber());
    return success();
  }
};

} // namespace
