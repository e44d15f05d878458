//===- FixedPlan.cpp - The plan and the knobs that are compiled in ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/FixedPlan.h"
#include "weir/Support/Words.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// The names that there are; of very many, the first.
template <typename Op> static std::string namesOf(ModuleOp module) {
  constexpr size_t shown = 32;
  SmallVector<std::string> names;
  size_t count = 0;
  for (Op op : module.getOps<Op>())
    if (++count <= shown)
      names.push_back(specName(op.getSymName()).str());
  if (names.empty())
    return "none";
  std::string text = llvm::join(names, ", ");
  return count <= shown ? text
                        : text + " and " + std::to_string(count - shown) + " more";
}

static std::string shortest(double value) {
  std::string text = llvm::formatv("{0:f6}", value).str();
  StringRef trimmed = StringRef(text).rtrim('0');
  trimmed.consume_back(".");
  return trimmed.str();
}

FailureOr<PlanOp> steer::findFixedPlan(ModuleOp module, StringRef name,
                                       FixErrorEmitter emitError) {
  for (PlanOp plan : module.getOps<PlanOp>())
    if (specName(plan.getSymName()) == name)
      return plan;
  emitError({}) << "there is no plan '" << name << "'; the spec has "
                << namesOf<PlanOp>(module);
  return failure();
}

FailureOr<FixedKnobs> steer::readFixedKnobs(ModuleOp module, PlanOp plan,
                                            ArrayRef<std::string> texts,
                                            FixErrorEmitter emitError) {
  llvm::StringMap<double> given;
  for (StringRef text : texts) {
    auto [name, number] = text.split('=');
    double value;
    if (name.empty() || number.getAsDouble(value) ||
        !std::isfinite(static_cast<float>(value))) {
      emitError({}) << "a knob is fixed as NAME=NUMBER, not '" << text
                    << "'; the spec has " << namesOf<KnobOp>(module);
      return failure();
    }
    if (!given.try_emplace(name, value).second) {
      emitError({}) << "knob '" << name << "' is fixed twice";
      return failure();
    }
  }
  SymbolTable symbols(module);
  llvm::DenseSet<Attribute> used;
  for (auto name : plan.getPolicies().getAsRange<FlatSymbolRefAttr>())
    if (auto policy = symbols.lookup<PolicyOp>(name.getAttr()))
      used.insert(policy.getTimesAttr());
  FixedKnobs result;
  for (KnobOp knob : module.getOps<KnobOp>()) {
    std::string name = specName(knob.getSymName()).str();
    double value = knob.getDefaultValue().convertToDouble();
    bool isUsed = used.contains(FlatSymbolRefAttr::get(knob.getSymNameAttr()));
    if (auto found = given.find(name); found != given.end()) {
      value = found->second;
      given.erase(found);
      if (!isUsed) {
        emitError(knob) << "knob '" << name << "' is fixed, but no policy of plan '"
                        << specName(plan.getSymName()) << "' uses it";
        return failure();
      }
      if (knob.getMin() && !(value >= knob.getMin()->convertToDouble() &&
                             value <= knob.getMax()->convertToDouble())) {
        emitError(knob) << "knob '" << name << "' is fixed at " << shortest(value)
                        << ", outside of its range, "
                        << shortest(knob.getMin()->convertToDouble()) << " to "
                        << shortest(knob.getMax()->convertToDouble());
        return failure();
      }
    }
    result.values.push_back(static_cast<float>(value));
    if (isUsed)
      result.used.emplace_back(
          StringAttr::get(module.getContext(), name),
          Builder(module.getContext()).getF32FloatAttr(result.values.back()));
  }
  if (!given.empty()) {
    // The smallest, whatever the order of the table.
    StringRef unknown = *llvm::min_element(given.keys());
    emitError({}) << "there is no knob '" << unknown << "'; the spec has "
                  << namesOf<KnobOp>(module);
    return failure();
  }
  return result;
}
