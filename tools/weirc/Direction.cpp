//===- Direction.cpp - weirc direction: directions out of texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"

#include "weir/Driver/PythonTool.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

/// Python does it, with messages and help of its own.
static int runDirection(ArrayRef<std::string> arguments, const char *argv0) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    llvm::errs() << "weirc: " << diagnostic << "\n";
    return success();
  });
  std::vector<std::string> command = {"direction"};
  llvm::append_range(command, arguments);
  return succeeded(runPythonTool(argv0, context, command)) ? 0 : 2;
}

Command weir::addDirection(CLI::App &app, const char *argv0) {
  CLI::App *direction = app.add_subcommand(
      "direction", "Make directions out of two kinds of texts, for dictionaries "
                   "of the format directions (needs Python)");
  direction->prefix_command();
  direction->set_help_flag();
  return {direction,
          [=] { return runDirection(direction->remaining(), argv0); }};
}
