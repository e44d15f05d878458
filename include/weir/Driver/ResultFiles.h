//===- ResultFiles.h - Tables and plots that commands write ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_RESULTFILES_H
#define WEIR_DRIVER_RESULTFILES_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace weir {

/// Where a command's results go beside its standard output. What is there already
/// is replaced only if it is an older result of the same kind, or empty.
class ResultFiles {
public:
  std::string table;              ///< .csv
  std::vector<std::string> plots; ///< .svg or .png

  /// To be asked before the work. `head`: the first line of the table. Errors: a
  /// name with another ending; a file that is not ours.
  llvm::Error check(llvm::StringRef head) const;
  /// Writes them: the table, which begins with its head, and plots of the results
  /// of `command` by `python -m weir plot`.
  mlir::LogicalResult write(mlir::MLIRContext &context, const char *argv0,
                            llvm::StringRef command, llvm::StringRef csv,
                            const llvm::json::Object &results) const;
};

} // namespace weir

#endif // WEIR_DRIVER_RESULTFILES_H
