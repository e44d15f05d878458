//===- DiagnosticList.h - Messages for people or for machines ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_DIAGNOSTICLIST_H
#define WEIR_DRIVER_DIAGNOSTICLIST_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SourceMgr.h"

#include <functional>
#include <memory>

namespace weir {

/// Prints a context's diagnostics with source line and caret to stderr, or keeps
/// them as JSON: {severity, message, file, line, column, notes: […]}. A spec
/// with very long lines is not shown, and errors above `maxErrors` are not.
class DiagnosticList {
public:
  /// As many as the reader of specs reports, and its own last word.
  static constexpr unsigned maxErrors = 101;
  DiagnosticList(llvm::SourceMgr &sources, mlir::MLIRContext &context,
                 bool asJSON, std::function<void()> beforePrinting);
  ~DiagnosticList();
  llvm::json::Array takeJSON() { return std::move(messages); }

private:
  std::unique_ptr<mlir::SourceMgrDiagnosticHandler> printer;
  mlir::MLIRContext &context;
  mlir::DiagnosticEngine::HandlerID handler = 0;
  llvm::json::Array messages;
  unsigned errors = 0;
};

} // namespace weir

#endif // WEIR_DRIVER_DIAGNOSTICLIST_H
