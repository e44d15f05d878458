//===- SharedMemory.cpp - Which tensors look at the same memory ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"

using namespace mlir;
using namespace weir::fx;

void weir::fx::forEachInput(Operation *op, function_ref<void(Value)> visit) {
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (operand.getParentBlock() == op->getBlock())
        visit(operand);
  });
}

SharedMemory::SharedMemory(ProgramOp program) {
  for (Operation &op : program.getEntry()) {
    auto share = [&](Value value) {
      for (Value result : op.getResults())
        if (isTensor(value) && isTensor(result))
          classes.unionSets(value, result);
    };
    if (auto call = dyn_cast<CallOp>(op))
      call.forEachAliased([&](OpOperand &operand) { share(operand.get()); });
    else
      forEachInput(&op, share);
  }
}
