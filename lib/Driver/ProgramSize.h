//===- ProgramSize.h - How much a spec may add to a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_PIPELINES_PROGRAMSIZE_H
#define WEIR_LIB_PIPELINES_PROGRAMSIZE_H

#include "weir/Dialect/FX/IR/FX.h"

namespace weir {

/// The calls of a program.
size_t countCalls(fx::ProgramOp program);

/// Refuses a lowered program that has too many more calls than the `before` of
/// its model: writing it, and reading what was written, would take gigabytes.
/// The error is at the policy that most of them come from.
mlir::LogicalResult checkAddedCalls(fx::ProgramOp program, size_t before);

/// Refuses patches that would make such a program, before they are lowered: a
/// short spec can make a million operations.
mlir::LogicalResult checkPatches(fx::ProgramOp program);

} // namespace weir

#endif // WEIR_LIB_PIPELINES_PROGRAMSIZE_H
