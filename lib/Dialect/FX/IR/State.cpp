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
  for (auto call : program.getEntry().getOps<CallOp>()) {
    // In place, or as a new value where the program is functional.
    std::optional<unsigned> indices = call.findArgument("indices");
    if (!indices || !call.getArgumentValue("values") ||
        call.getArgumentValues(*indices).size() != 2)
      continue;
    auto buffer = dyn_cast_if_present<BlockArgument>(call.getArgumentValue("self"));
    auto type = buffer ? dyn_cast<RankedTensorType>(buffer.getType())
                       : RankedTensorType();
    if (!type || type.getRank() < 3 || !type.hasStaticShape() ||
        program.getInput(buffer.getArgNumber()).getKind() != InputKind::Buffer)
      continue;
    std::pair room{type.getDimSize(0), type.getDimSize(1)};
    if (found && *found != room)
      return std::nullopt;
    found = room;
  }
  return found;
}
