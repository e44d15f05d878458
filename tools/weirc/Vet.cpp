//===- Vet.cpp - weirc vet: check a program of somebody else ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "weir/Driver/VetJob.h"

#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace weir;

namespace {
struct VetOptions {
  VetJob job;
  std::vector<std::string> allowedOperators;
  bool json = false;
};
} // namespace

static int runVet(const VetOptions &options) {
  VetJob job = options.job;
  if (llvm::Error e = job.operators.allowAll(options.allowedOperators)) {
    llvm::errs() << "weirc: --allow-operator: " << llvm::toString(std::move(e))
                 << "\n";
    return 1;
  }
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  DiagnosticList diagnostics(sources, context, options.json, [] {});
  FailureOr<llvm::json::Object> vetted = job.run(context);
  if (failed(vetted))
    return finishCommand(options.json, diagnostics, false);
  if (!options.json) {
    llvm::outs() << "Nothing of it runs when PyTorch loads it.\n\n";
    std::map<std::string, int64_t> operators;
    for (const auto &[name, count] : *vetted->getObject("operators"))
      operators[name.str()] = *count.getAsInteger();
    for (const auto &[name, count] : operators)
      llvm::outs() << llvm::formatv("{0,6} {1}\n", count, name);
  }
  return finishCommand(options.json, diagnostics, true, std::move(*vetted));
}

Command weir::addVet(CLI::App &app) {
  auto options = std::make_shared<VetOptions>();
  CLI::App *vet = app.add_subcommand(
      "vet", "Check that nothing of a program (.pt2) of somebody else runs when "
             "PyTorch loads it, and list its operators");
  vet->add_option("program", options->job.program, "the program, a .pt2 file")
      ->required();
  vet->add_flag("!--no-verify", options->job.verify,
                "do not compare records with their checksums");
  addAllowOperator(vet, options->allowedOperators, "program");
  vet->add_flag("--json", options->json,
                "print what PyTorch may have of it, and all messages, as "
                "JSON");
  return {vet, [options] { return runVet(*options); }};
}
