//===- Features.cpp - weirc features: what features mean ---===//
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
static int runFeatures(ArrayRef<std::string> arguments, const char *argv0) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    llvm::errs() << "weirc: " << diagnostic << "\n";
    return success();
  });
  std::vector<std::string> command = {"features"};
  llvm::append_range(command, arguments);
  return succeeded(runPythonTool(argv0, context, command)) ? 0 : 2;
}

Command weir::addFeatures(CLI::App &app, const char *argv0) {
  CLI::App *features = app.add_subcommand(
      "features", "Say what features mean: where they fire on a text, which "
                  "tokens they promote (needs Python)");
  features->prefix_command();
  features->set_help_flag();
  return {features,
          [=] { return runFeatures(features->remaining(), argv0); }};
}
