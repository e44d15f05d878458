//===- State.cpp - What a program keeps from one run to the next ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/State.h"

using namespace mlir;
using namespace weir::fx;

BlockArgument weir::fx::addState(ProgramOp program, StringRef name,
                                 RankedTensorType type) {
  MLIRContext *context = program.getContext();
  unsigned position = 0;
  for (unsigned i = 0, e = program.getEntry().getNumArguments(); i != e; ++i)
    if (program.getInput(i).getWeight())
      position = i + 1;
  // Archives look tensors up by their key, whatever store they are of.
  std::string key = name.str();
  auto isTaken = [&] {
    for (StringRef scope : {StringRef("model"), StringRef(zerosScope)})
      if (program.findWeight(WeightAttr::get(context, scope, key)))
        return true;
    return static_cast<bool>(program.findInput("b_" + key));
  };
  for (unsigned number = 1; isTaken(); ++number)
    key = (name + "_" + Twine(number)).str();
  return program.insertInput(
      position, "b_" + key, type,
      InputAttr::get(context, InputKind::Buffer,
                     WeightAttr::get(context, zerosScope, key),
                     /*persistent=*/false, StringAttr(), std::nullopt));
}

std::optional<std::pair<int64_t, int64_t>>
weir::fx::findCacheRoom(ProgramOp program) {
  std::optional<std::pair<int64_t, int64_t>> found;
  bool differ = false;
  auto add = [&](Value value) {
    auto buffer = dyn_cast<BlockArgument>(value);
    auto type = buffer ? dyn_cast<RankedTensorType>(buffer.getType())
                       : RankedTensorType();
    if (!type || type.getRank() < 3 || !type.hasStaticShape() ||
        program.getInput(buffer.getArgNumber()).getKind() != InputKind::Buffer)
      return;
    std::pair room{type.getDimSize(0), type.getDimSize(1)};
    differ |= found && *found != room;
    found = room;
  };
  for (auto call : program.getEntry().getOps<CallOp>())
    if (call.getOperatorInfo() && !call.getPure())
      call.forEachWritten([&](OpOperand &operand) { add(operand.get()); });
  // A functional program hands on what it would have written.
  for (auto output :
       program.getReturn().getOutputs().getAsRange<OutputAttr>()) {
    if (output.getKind() != OutputKind::BufferMutation || !output.getTarget())
      continue;
    for (BlockArgument argument : program.getEntry().getArguments())
      if (WeightAttr weight =
              program.getInput(argument.getArgNumber()).getWeight();
          weight && weight.getKey() == output.getTarget().getValue())
        add(argument);
  }
  return differ ? std::nullopt : found;
}
