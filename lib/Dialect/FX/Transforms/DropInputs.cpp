//===- DropInputs.cpp - fx-drop-inputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/Transforms/Passes.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXDROPINPUTS
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {

struct DropInputs : fx::impl::FXDropInputsBase<DropInputs> {
  void runOnOperation() override {
    ProgramOp program = getOperation();
    // An output may stand for a new value of a buffer, or a gradient.
    llvm::StringSet<> targets;
    for (auto output : program.getReturn().getOutputs().getAsRange<OutputAttr>())
      if (output.getTarget())
        targets.insert(output.getTarget().getValue());
    for (unsigned i = program.getEntry().getNumArguments(); i-- > 0;) {
      if (!program.getEntry().getArgument(i).use_empty() ||
          !mayGo(program, i, targets))
        continue;
      program.eraseInput(i);
      ++numDropped;
    }
  }

private:
  bool mayGo(ProgramOp program, unsigned i, const llvm::StringSet<> &targets) {
    InputAttr input = program.getInput(i);
    switch (input.getKind()) {
    case InputKind::Parameter:
    case InputKind::Buffer:
    case InputKind::TensorConstant:
      return input.getWeight() &&
             !targets.contains(input.getWeight().getKey());
    case InputKind::UserInput:
      // What every caller passes stays: tokens and their positions.
      return input.getRole() && *input.getRole() != InputRole::InputIds &&
             *input.getRole() != InputRole::Positions &&
             !targets.contains(program.getInputName(i));
    default:
      return false;
    }
  }
};

} // namespace
