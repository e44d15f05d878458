//===- Support.cpp - Helpers of the spec tests ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

static Said said(mlir::Location location, mlir::DiagnosticSeverity severity,
                 std::string text) {
  Said result;
  auto place = location->findInstanceOf<mlir::FileLineColLoc>();
  if (place) {
    result.line = place.getLine();
    result.column = place.getColumn();
  }
  result.severity = severity == mlir::DiagnosticSeverity::Error     ? "error"
                    : severity == mlir::DiagnosticSeverity::Warning ? "warning"
                                                                    : "note";
  result.text = std::move(text);
  return result;
}

static void record(mlir::Diagnostic &diagnostic, std::vector<Said> &messages) {
  messages.push_back(said(diagnostic.getLocation(), diagnostic.getSeverity(),
                          diagnostic.str()));
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    messages.push_back(
        said(note.getLocation(), note.getSeverity(), note.str()));
}

std::string Said::str() const {
  return std::to_string(line) + ":" + std::to_string(column) + ": " + severity +
         ": " + text;
}

std::string Imported::all() const {
  std::string result;
  for (const Said &message : messages)
    result += message.str() + "\n";
  return result;
}

Imported weir::spec::testing::import(llvm::StringRef text,
                                     const SpecOptions &options) {
  Imported result;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          record(diagnostic, result.messages);
                                          return mlir::success();
                                        });
  llvm::SourceMgr sourceMgr;
  sourceMgr.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "test.yaml"), llvm::SMLoc());
  auto module = weir::importSpec(sourceMgr, &context, options);
  result.succeeded = bool(module);
  if (module) {
    EXPECT_TRUE(succeeded(mlir::verify(*module)));
    llvm::raw_string_ostream os(result.ir);
    module->print(os);
  }
  return result;
}

ParsedYaml weir::spec::testing::parse(llvm::StringRef text) {
  ParsedYaml result;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) {
        std::vector<Said> messages;
        record(diagnostic, messages);
        for (const Said &message : messages)
          result.messages.push_back(message.str());
        return mlir::success();
      });
  SourceFile file("test.yaml", text);
  Reporter reporter(file, &context);
  result.root = parseYaml(file, reporter);
  return result;
}

std::string weir::spec::testing::contents(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer) {
    ADD_FAILURE() << path.str() << ": " << buffer.getError().message();
    return "";
  }
  return (*buffer)->getBuffer().str();
}

std::string weir::spec::testing::withDictionary(llvm::StringRef rest) {
  return ("weir: 1\n"
          "model: {program: a.pt2}\n"
          "dictionaries:\n"
          "  sae: {format: sae_lens, path: \"{site}.{layer}\", sites: [res, "
          "mlp, att], layers: 9..16}\n" +
          rest)
      .str();
}
