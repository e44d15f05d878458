//===- SpecCommand.h - What commands over a spec share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TOOLS_WEIRC_SPECCOMMAND_H
#define WEIR_TOOLS_WEIRC_SPECCOMMAND_H

#include "weir/Driver/Compiler.h"
#include "weir/Driver/DiagnosticList.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/JSON.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace weir {

struct SpecOptions {
  CompilerOptions compiler;
  std::vector<std::string> allowedOperators;
  bool json = false, remarks = false;
};

/// SPEC, --model, --json, --allow-operator and --remarks.
void addSpecOptions(CLI::App *command, SpecOptions &options, bool needsModel);
/// --cache and --threads, of commands that may have to match.
void addMatchingOptions(CLI::App *command, SpecOptions &options);
/// --allow-operator, of the model or of the program of somebody else.
void addAllowOperator(CLI::App *command, std::vector<std::string> &names,
                      const char *whose);

/// A line that is rewritten on a terminal and not there in a pipe.
void showProgress(llvm::StringRef text);

/// Ends a command: the JSON of what it did and of all messages if that was
/// asked for. The exit code of the tool.
int finishCommand(bool asJSON, DiagnosticList &diagnostics, bool succeeded,
                  llvm::json::Object result = {});

/// A spec that is being compiled: the context, where its messages go, and the
/// compiler. Messages are for people who write specs, not for readers of IR.
class SpecSession {
public:
  explicit SpecSession(const SpecOptions &options);
  /// Applies what can be wrong about the options; the exit code if it is.
  std::optional<int> begin();
  Compiler &compiler() { return compilation; }
  mlir::MLIRContext &context() { return mlirContext; }
  int finish(bool succeeded, llvm::json::Object result = {}) {
    return finishCommand(options.json, diagnostics, succeeded,
                         std::move(result));
  }

private:
  const SpecOptions &options;
  mlir::MLIRContext mlirContext;
  std::string badOperator; ///< What is wrong with --allow-operator.
  Compiler compilation;
  DiagnosticList diagnostics;
};

} // namespace weir

#endif // WEIR_TOOLS_WEIRC_SPECCOMMAND_H
