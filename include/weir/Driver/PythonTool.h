//===- PythonTool.h - Steps that only Python can do ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_PYTHONTOOL_H
#define WEIR_DRIVER_PYTHONTOOL_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"

namespace weir {

/// Runs `python -m weir ARGUMENTS…` and waits. The interpreter is $WEIR_PYTHON,
/// or that of the virtual environment that the running tool (`argv0`) was
/// installed into, or the one that Weir was built with, or python3; the package is
/// the one that was installed with the tool. Reports an error if it cannot be
/// started or fails.
mlir::LogicalResult runPythonTool(const char *argv0, mlir::MLIRContext &context,
                                  llvm::ArrayRef<std::string> arguments);

} // namespace weir

#endif // WEIR_DRIVER_PYTHONTOOL_H
