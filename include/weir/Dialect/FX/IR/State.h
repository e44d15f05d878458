//===- State.h - What a program keeps from one run to the next ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_STATE_H
#define WEIR_DIALECT_FX_IR_STATE_H

#include "weir/Dialect/FX/IR/FX.h"

namespace weir::fx {

/// The store of weights that are in no archive: `#fx.weight<"zeros"::"name">` is
/// a buffer that the compiler made, of zeros when a program is loaded.
inline constexpr llvm::StringLiteral zerosScope = "zeros";

/// Adds a buffer of zeros that the program keeps from one run to the next, after
/// all that is stored. `name` is its key in the archive; where that is taken, a
/// number behind it makes it another.
mlir::BlockArgument addState(ProgramOp program, llvm::StringRef name,
                             mlir::RankedTensorType type);

/// The rows and positions that a program's key-value caches have room for:
/// buffers that it writes into, [rows, positions, ..] each. Nothing where there
/// is no such buffer, or where they differ.
std::optional<std::pair<int64_t, int64_t>> findCacheRoom(ProgramOp program);

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_IR_STATE_H
