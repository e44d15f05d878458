//===- CallEffects.cpp - What a call's operator does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All of it is the catalogue's (lib/Operators): nothing here knows an operator by
// its name.
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

namespace weir::fx {

/// The state of the generator of random numbers.
struct RandomState : SideEffects::Resource::Base<RandomState> {
  StringRef getName() final { return "RandomState"; }
};

/// That the program goes on, which is up to its checks.
struct Continuation : SideEffects::Resource::Base<Continuation> {
  StringRef getName() final { return "Continuation"; }
};

} // namespace weir::fx

const OperatorInfo *CallOp::getOperatorInfo() {
  return findOperatorNamed(getTarget());
}

Value CallOp::getMainInput() {
  const OperatorInfo *info = getOperatorInfo();
  return info ? getArgumentValue(info->input) : Value();
}

Value CallOp::getMainWeight() {
  const OperatorInfo *info = getOperatorInfo();
  return info && !info->weight.empty() ? getArgumentValue(info->weight)
                                       : Value();
}

bool CallOp::drawsRandomNumbers() {
  const OperatorInfo *info = getOperatorInfo();
  if (!info || info->effect != OperatorEffect::Random)
    return false;
  if (!info->training.empty())
    if (auto flag = dyn_cast_if_present<BoolAttr>(getArgument(info->training));
        flag && !flag.getValue())
      return false;
  if (info->chance.empty())
    return true;
  Attribute chance = getArgument(info->chance);
  if (auto real = dyn_cast_if_present<FloatAttr>(chance))
    return real.getValueAsDouble() != 0.0;
  if (auto integer = dyn_cast_if_present<IntegerAttr>(chance))
    return integer.getInt() != 0;
  return static_cast<bool>(chance); // 0 where it is not given
}

Value CallOp::getForwarded() {
  const OperatorInfo *info = getOperatorInfo();
  Value input = getMainInput();
  if (!input || getNumResults() != 1)
    return {};
  switch (info->identity) {
  case OperatorIdentity::Never:
    return {};
  case OperatorIdentity::Always:
    return input;
  case OperatorIdentity::SameType:
    // The same numbers in the same places, if the type stays.
    return input.getType() == getResult(0).getType() ? input : Value();
  case OperatorIdentity::NoChance:
    return drawsRandomNumbers() ? Value() : input;
  }
  llvm_unreachable("all kinds of identity are handled");
}

/// Calls `visit` with the operands of the arguments that `wanted` says yes to.
static void forEachOperand(CallOp call, function_ref<bool(StringRef)> wanted,
                           function_ref<void(OpOperand &)> visit) {
  unsigned next = 0;
  for (auto [name, argument] :
       llvm::zip_equal(call.getArgNames(), call.getArgs())) {
    unsigned count = countSlots(argument);
    if (wanted(cast<StringAttr>(name).getValue()))
      for (OpOperand &operand : call->getOpOperands().slice(next, count))
        visit(operand);
    next += count;
  }
}

void CallOp::forEachWritten(function_ref<void(OpOperand &)> visit) {
  const OperatorInfo *info = getOperatorInfo();
  forEachOperand(
      *this, [&](StringRef name) { return !info || info->writes(name); }, visit);
}

void CallOp::forEachAliased(function_ref<void(OpOperand &)> visit) {
  const OperatorInfo *info = getOperatorInfo();
  forEachOperand(
      *this,
      [&](StringRef name) {
        return !info || info->writes(name) ||
               (info->effect == OperatorEffect::View && name == info->input);
      },
      visit);
}

void CallOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  if (getPure())
    return;
  const OperatorInfo *info = getOperatorInfo();
  if (!info) {
    effects.emplace_back(MemoryEffects::Read::get());
    effects.emplace_back(MemoryEffects::Write::get());
    return;
  }
  auto *memory = SideEffects::DefaultResource::get();
  auto isTensor = [](Value value) {
    return isa<RankedTensorType>(value.getType());
  };
  for (OpOperand &operand : (*this)->getOpOperands())
    if (isTensor(operand.get()))
      effects.emplace_back(MemoryEffects::Read::get(), &operand, memory);
  switch (info->effect) {
  case OperatorEffect::View:
    return;
  case OperatorEffect::Checks:
    effects.emplace_back(MemoryEffects::Write::get(), Continuation::get());
    return;
  case OperatorEffect::Writes:
    forEachWritten([&](OpOperand &operand) {
      effects.emplace_back(MemoryEffects::Write::get(), &operand, memory);
    });
    return;
  case OperatorEffect::Random:
    if (drawsRandomNumbers()) {
      effects.emplace_back(MemoryEffects::Read::get(), RandomState::get());
      effects.emplace_back(MemoryEffects::Write::get(), RandomState::get());
    }
    break;
  case OperatorEffect::None:
    break;
  }
  // New memory, which a later call may write into: two equal calls are not one.
  for (OpResult result : getResults())
    if (isTensor(result))
      effects.emplace_back(MemoryEffects::Allocate::get(), result, memory);
}

LogicalResult weir::fx::verifyPurity(CallOp call) {
  const OperatorInfo *info = call.getOperatorInfo();
  if (!call.getPure() || !info)
    return success();
  StringRef what;
  if (info->effect == OperatorEffect::Writes)
    what = "writes into an argument";
  else if (info->effect == OperatorEffect::Checks)
    what = "is a check";
  else if (call.drawsRandomNumbers())
    what = "draws random numbers";
  if (what.empty())
    return success();
  return call.emitOpError() << "is marked pure, and " << call.getTarget() << ' '
                            << what;
}
