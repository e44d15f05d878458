//===- CallCost.h - What a call moves and computes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_CALLCOST_H
#define WEIR_DIALECT_FX_IR_CALLCOST_H

#include "weir/Dialect/FX/IR/FX.h"

#include <optional>

namespace weir::fx {

/// What one call moves between memory and processor, each tensor once, and the
/// floating-point operations it takes, of which a function such as exp is one.
struct CallCost {
  int64_t bytesRead = 0, bytesWritten = 0, operations = 0;

  CallCost &operator+=(const CallCost &other);
};

/// By the call's row in the catalogue and the sizes of its tensors; a symbolic
/// size counts as what it was when the program was traced. None where the
/// operator or a size is not known.
std::optional<CallCost> costOf(CallOp call);

/// Does the call read all of that operand, or only rows or places of it?
bool readsWhole(CallOp call, mlir::OpOperand &operand);

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_IR_CALLCOST_H
