//===- Explain.cpp - weirc explain: what would be done at each site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

static int runExplain(const SpecOptions &options, bool printIR) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  Compiler &compiler = session.compiler();
  if (failed(compiler.load()) || failed(compiler.steer()))
    return session.finish(false);
  std::string ir;
  if (printIR) {
    llvm::raw_string_ostream os(ir);
    compiler.module().print(os, OpPrintingFlags().elideLargeElementsAttrs());
  }
  if (!options.json) {
    showProgress("");
    // The module has standard output for itself, for weir-opt to read.
    llvm::outs() << ir;
    printMarkdown(compiler.report(), {}, printIR ? llvm::errs() : llvm::outs());
  }
  llvm::json::Object result{{"report", toJSON(compiler.report())}};
  if (printIR)
    result["ir"] = std::move(ir);
  return session.finish(true, std::move(result));
}

Command weir::addExplain(CLI::App &app) {
  auto options = std::make_shared<SpecOptions>();
  auto printIR = std::make_shared<bool>(false);
  CLI::App *explain = app.add_subcommand(
      "explain", "Print what would be done at each site, and what it costs");
  addSpecOptions(explain, *options, /*needsModel=*/true);
  explain->add_flag("--ir", *printIR,
                    "print the program with its patches as MLIR, for weir-opt; "
                    "the report goes to standard error");
  addMatchingOptions(explain, *options);
  return {explain, [=] { return runExplain(*options, *printIR); }};
}
