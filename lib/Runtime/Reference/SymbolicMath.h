//===- SymbolicMath.h - Python's arithmetic on symbolic sizes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exported graphs compute sizes with Python's operators: `_operator.floordiv`
// of two symbolic integers and the like. At run time these are plain numbers.
// Integers are 64 bits wide here; what would not fit is an error.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_REFERENCE_SYMBOLICMATH_H
#define WEIR_LIB_RUNTIME_REFERENCE_SYMBOLICMATH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <ATen/core/ivalue.h>

#include <optional>

namespace weir::reference {

enum class SymbolicOp : uint8_t {
  Add, Sub, Mul, FloorDiv, Mod, Pow, TrueDiv, Neg, Pos, Trunc, LShift, RShift,
  Eq, Ne, Lt, Le, Gt, Ge, And, Or, Not, Max, Min, ToInt, ToFloat, IfThenElse,
  Sqrt,
};

/// The builtin a node's target names ("_operator.add", "torch.sym_max", …).
std::optional<SymbolicOp> parseSymbolicOp(llvm::StringRef target);
/// How many operands it takes.
unsigned arityOf(SymbolicOp op);

/// Applies it as Python would to ints, floats and bools. Throws c10::Error on
/// division by zero, integer overflow and operand types Python would refuse.
c10::IValue applySymbolicOp(SymbolicOp op, llvm::ArrayRef<c10::IValue> operands);

} // namespace weir::reference

#endif // WEIR_LIB_RUNTIME_REFERENCE_SYMBOLICMATH_H
