//===- DiagnosticList.cpp - Messages for people or for machines ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/DiagnosticList.h"

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
/// programs do. Its notes may have one. False for any other.
static bool printWithoutPlace(Diagnostic &diagnostic,
                              function_ref<void(Diagnostic &)> printNote) {
  if (!isa<UnknownLoc>(diagnostic.getLocation()))
    return false;
  constexpr llvm::StringLiteral program = "weirc";
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    llvm::WithColor::error(llvm::errs(), program) << diagnostic << "\n";
    break;
  case DiagnosticSeverity::Warning:
    llvm::WithColor::warning(llvm::errs(), program) << diagnostic << "\n";
    break;
  default:
    return false;
  }
  for (Diagnostic &note : diagnostic.getNotes())
    printNote(note);
  return true;
}

/// Whether a line that a message shows is too long to be of use: a hundred
/// errors in a spec of one line would print a hundred copies of it.
static bool hasLongLines(const llvm::SourceMgr &sources) {
  constexpr size_t longest = 2000;
  if (sources.getNumBuffers() == 0)
    return false;
  StringRef rest =
      sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  while (!rest.empty()) {
    auto [line, more] = rest.split('\n');
    if (line.size() > longest)
      return true;
    rest = more;
  }
  return false;
}

/// "FILE:LINE:COLUMN: error: TEXT" without the source line.
static void printPlain(Diagnostic &diagnostic) {
  llvm::json::Object object = convert(diagnostic);
  auto print = [](const llvm::json::Object &entry) {
    if (entry.get("file"))
      llvm::errs() << *entry.getString("file") << ":"
                   << *entry.getInteger("line") << ":"
                   << *entry.getInteger("column") << ": ";
    llvm::errs() << *entry.getString("severity") << ": "
                 << *entry.getString("message") << "\n";
  };
  print(object);
  if (const llvm::json::Array *notes = object.getArray("notes"))
    for (const llvm::json::Value &note : *notes)
      print(*note.getAsObject());
}

DiagnosticList::DiagnosticList(llvm::SourceMgr &sources, MLIRContext &context,
                               bool asJSON, std::function<void()> beforePrinting)
    : context(context) {
  if (!asJSON)
    printer = std::make_unique<SourceMgrDiagnosticHandler>(sources, &context,
                                                           llvm::errs());
  handler = context.getDiagEngine().registerHandler(
      [this, asJSON, &sources, beforePrinting = std::move(beforePrinting)](
          Diagnostic &diagnostic) -> LogicalResult {
        bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
        if (isError && ++errors > maxErrors) {
          if (errors != maxErrors + 1)
            return success();
          // In place of the first that is too many.
          Diagnostic last(UnknownLoc::get(&this->context),
                          DiagnosticSeverity::Error);
          last << "too many errors; no more are shown";
          if (asJSON)
            messages.push_back(convert(last));
          else
            printWithoutPlace(last, [](Diagnostic &) {});
          return success();
        }
        beforePrinting();
        if (asJSON) {
          messages.push_back(convert(diagnostic));
          return success();
        }
        auto printNote = [&](Diagnostic &note) {
          if (hasLongLines(sources))
            printPlain(note);
          else
            printer->emitDiagnostic(note.getLocation(), note.str(),
                                    note.getSeverity());
        };
        if (printWithoutPlace(diagnostic, printNote))
          return success();
        if (!hasLongLines(sources))
          return failure(); // the printer is next
        printPlain(diagnostic);
        return success();
      });
}

DiagnosticList::~DiagnosticList() {
  context.getDiagEngine().eraseHandler(handler);
}
