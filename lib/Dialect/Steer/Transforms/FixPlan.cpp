//===- FixPlan.cpp - One plan for every row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

namespace weir::steer {
#define GEN_PASS_DEF_STEERKEEPPLANPASS
#define GEN_PASS_DEF_STEERFIXINPUTSPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// Names in a spec have no dot; what follows one makes a symbol unique.
template <typename Op> static std::string nameOf(Op op) {
  return op.getSymName().split('.').first.str();
}

template <typename Op> static std::string namesOf(ModuleOp module) {
  std::string names;
  for (Op op : module.getOps<Op>())
    names += (names.empty() ? "" : ", ") + nameOf(op);
  return names.empty() ? "none" : names;
}

namespace {

struct SteerKeepPlan : steer::impl::SteerKeepPlanPassBase<SteerKeepPlan> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    PlanOp kept;
    for (PlanOp each : module.getOps<PlanOp>())
      if (nameOf(each) == plan)
        kept = each;
    if (!kept) {
      module.emitError() << "there is no plan '" << plan << "'; the spec has "
                         << namesOf<PlanOp>(module);
      return signalPassFailure();
    }
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
    SmallVector<float> values;
    SmallVector<NamedAttribute> fixed;
    if (failed(readKnobs(plan, values, fixed)))
      return failure();

    auto fixPlan = [](Operation *user) -> Attribute {
      auto gate = dyn_cast<InPlansOp>(user);
      return gate ? BoolAttr::get(user->getContext(),
                                  llvm::is_contained(gate.getPlans(), 0))
                  : Attribute();
    };
    auto fixKnob = [&](Operation *user) -> Attribute {
      auto value = dyn_cast<KnobValueOp>(user);
      return value ? Builder(user).getF32FloatAttr(values[value.getIndex()])
                   : Attribute();
    };
    if (failed(replaceInput(program, InputRole::Plan, fixPlan)) ||
        failed(replaceInput(program, InputRole::Knobs, fixKnob)))
      return failure();
    plan.setFixedAttr(DictionaryAttr::get(&getContext(), fixed));
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

  /// The value of every knob of the module, in order, and of the plan's by name.
  LogicalResult readKnobs(PlanOp plan, SmallVectorImpl<float> &values,
                          SmallVectorImpl<NamedAttribute> &fixed) {
    ModuleOp module = getOperation();
    llvm::StringMap<double> given;
    for (StringRef text : knobs) {
      auto [name, number] = text.split('=');
      double value;
      if (name.empty() || number.getAsDouble(value) ||
          !std::isfinite(static_cast<float>(value)))
        return module.emitError() << "a knob is fixed as NAME=NUMBER, not '"
                                  << text << "'";
      if (!given.try_emplace(name, value).second)
        return module.emitError() << "knob '" << name << "' is fixed twice";
    }
    llvm::DenseSet<Attribute> used;
    for (Attribute name : plan.getPolicies())
      if (auto policy = module.lookupSymbol<PolicyOp>(
              cast<FlatSymbolRefAttr>(name)))
        used.insert(policy.getTimesAttr());
    for (KnobOp knob : module.getOps<KnobOp>()) {
      std::string name = nameOf(knob);
      double value = knob.getDefaultValue().convertToDouble();
      bool isUsed =
          used.contains(FlatSymbolRefAttr::get(knob.getSymNameAttr()));
      if (auto found = given.find(name); found != given.end()) {
        value = found->second;
        given.erase(found);
        if (!isUsed)
          return knob.emitError() << "knob '" << name
                                  << "' is fixed, but no policy of plan '"
                                  << nameOf(plan) << "' uses it";
        if (knob.getMin() && !(value >= knob.getMin()->convertToDouble() &&
                               value <= knob.getMax()->convertToDouble()))
          return knob.emitError()
                 << "knob '" << name << "' is fixed at " << shortest(value)
                 << ", outside of its range, "
                 << shortest(knob.getMin()->convertToDouble()) << " to "
                 << shortest(knob.getMax()->convertToDouble());
      }
      values.push_back(static_cast<float>(value));
      if (isUsed)
        fixed.emplace_back(StringAttr::get(&getContext(), name),
                           Builder(&getContext()).getF32FloatAttr(values.back()));
    }
    if (!given.empty())
      return module.emitError()
             << "there is no knob '" << given.begin()->first()
             << "'; the spec has " << namesOf<KnobOp>(module);
    return success();
  }

  static std::string shortest(double value) {
    std::string text = llvm::formatv("{0:f6}", value).str();
    StringRef trimmed = StringRef(text).rtrim('0');
    trimmed.consume_back(".");
    return trimmed.str();
  }
};

} // namespace
