//===- ScratchProgram.h - A program that is run and thrown away ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SCRATCHPROGRAM_H
#define WEIR_LIB_DRIVER_SCRATCHPROGRAM_H

#include "weir/Driver/Compiler.h"

namespace weir {

/// Lowers what a compiler has steered, writes the program and calls `open` with the
/// file, in which the model's tensors are not (Compiler::writeScratch). Then its name
/// goes: what `open` has mapped stays readable, and nothing is left behind however the
/// process ends. `folder` is a name that nobody else uses at the time, and what is
/// there is removed; empty: in the system's temporary folder. A ReportedError where
/// the program cannot be made.
llvm::Error
openScratchProgram(Compiler &compiler, const std::string &folder,
                   llvm::function_ref<llvm::Error(llvm::StringRef path)> open);

/// The same in the temporary folder, with all errors reported to the context.
mlir::LogicalResult
withScratchProgram(Compiler &compiler,
                   llvm::function_ref<llvm::Error(llvm::StringRef path)> open);

/// The operations of a spec's module that are not the model's program, as a
/// module of their own.
mlir::OwningOpRef<mlir::ModuleOp> specWithoutProgram(mlir::ModuleOp module);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SCRATCHPROGRAM_H
