//===- DiagnosticList.cpp - Messages for people or for machines ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Pipelines/DiagnosticList.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace weir;

static llvm::json::Object convert(Diagnostic &diagnostic) {
  StringRef severity;
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    severity = "error";
    break;
  case DiagnosticSeverity::Warning:
    severity = "warning";
    break;
  case DiagnosticSeverity::Remark:
    severity = "remark";
    break;
  case DiagnosticSeverity::Note:
    severity = "note";
    break;
  }
  llvm::json::Object object{{"severity", severity},
                            {"message", diagnostic.str()}};
  if (auto at = diagnostic.getLocation()->findInstanceOf<FileLineColRange>()) {
    object["file"] = at.getFilename().getValue();
    object["line"] = at.getStartLine();
    object["column"] = at.getStartColumn();
  }
  llvm::json::Array notes;
  for (Diagnostic &note : diagnostic.getNotes())
    notes.push_back(convert(note));
  if (!notes.empty())
    object["notes"] = std::move(notes);
  return object;
}

/// Prints a message about no place of a file, such as a file that is missing, as
/// programs do. False for any other.
static bool printWithoutPlace(Diagnostic &diagnostic) {
  if (!isa<UnknownLoc>(diagnostic.getLocation()) ||
      !diagnostic.getNotes().empty())
    return false;
  constexpr llvm::StringLiteral program = "weirc";
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    llvm::WithColor::error(llvm::errs(), program) << diagnostic << "\n";
    return true;
  case DiagnosticSeverity::Warning:
    llvm::WithColor::warning(llvm::errs(), program) << diagnostic << "\n";
    return true;
  default:
    return false;
  }
}

DiagnosticList::DiagnosticList(llvm::SourceMgr &sources, MLIRContext &context,
                               bool asJSON, std::function<void()> beforePrinting)
    : context(context) {
  if (!asJSON)
    printer = std::make_unique<SourceMgrDiagnosticHandler>(sources, &context,
                                                           llvm::errs());
  handler = context.getDiagEngine().registerHandler(
      [this, asJSON, beforePrinting = std::move(beforePrinting)](
          Diagnostic &diagnostic) -> LogicalResult {
        beforePrinting();
        if (!asJSON && printWithoutPlace(diagnostic))
          return success();
        if (!asJSON)
          return failure(); // the printer is next
        messages.push_back(convert(diagnostic));
        return success();
      });
}

DiagnosticList::~DiagnosticList() {
  context.getDiagEngine().eraseHandler(handler);
}
