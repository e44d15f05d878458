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
        if (!asJSON)
          return failure(); // the printer is next
        messages.push_back(convert(diagnostic));
        return success();
      });
}

DiagnosticList::~DiagnosticList() {
  context.getDiagEngine().eraseHandler(handler);
}
