//===- KernelJob.h - Compiling a program's kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_KERNELJOB_H
#define WEIR_LIB_DRIVER_KERNELJOB_H

#include "mlir/IR/BuiltinOps.h"

namespace weir {

/// Makes a shared object of a module of kernels, with weir-codegen, or takes it
/// from the cache in the folder (empty: the default one), where it is kept under
/// the hash of the kernels' text, and so is the object of each of them for other
/// programs. A cache that cannot be used costs time only.
/// Errors are reported: there is no weir-codegen, or what it says.
mlir::LogicalResult compileKernels(mlir::ModuleOp kernels, llvm::StringRef path,
                                   llvm::StringRef cache);

} // namespace weir

#endif // WEIR_LIB_DRIVER_KERNELJOB_H
