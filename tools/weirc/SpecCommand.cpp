//===- SpecCommand.cpp - What commands over a spec share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecCommand.h"

#include "../Numbers.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

void weir::addAllowOperator(CLI::App *command, std::vector<std::string> &names,
                            const char *whose) {
  command
      ->add_option("--allow-operator", names,
                   std::string("let the ") + whose +
                       " call this operator, such as aten.fft_rfft.default, "
                       "although nobody checks what it does; repeatable")
      ->allow_extra_args(false);
}

void weir::addSpecOptions(CLI::App *command, SpecOptions &options,
                          bool needsModel) {
  command->add_option("spec", options.compiler.spec, "the spec, a YAML file")
      ->required();
  command->add_option("--model", options.compiler.model,
                      needsModel ? "the exported model (.pt2), instead of "
                                   "the one that the spec names"
                                 : "check against this exported model (.pt2) "
                                   "and the dictionaries too");
  command->add_flag("--json", options.json,
                    "print the result and all messages as JSON");
  addAllowOperator(command, options.allowedOperators, "model");
  command->add_flag("--remarks", options.remarks,
                    "say which features selectors chose, which matches were "
                    "computed, and what is not used");
}

void weir::addMatchingOptions(CLI::App *command, SpecOptions &options) {
  command->add_option(
      "--cache", options.compiler.cache,
      "folder of computed matches; $WEIR_CACHE or ~/.cache/weir if not given");
  command
      ->add_option("--threads", options.compiler.threads,
                   "threads that matching uses; 0 for as many as there are "
                   "cores")
      ->transform(numberIn<int>(0, mostThreads))
      ->capture_default_str();
}

void weir::showProgress(StringRef text) {
  if (!llvm::sys::Process::StandardErrIsDisplayed())
    return;
  llvm::errs() << "\r\x1b[K";
  if (!text.empty())
    llvm::errs() << text << " …";
}

int weir::finishCommand(bool asJSON, DiagnosticList &diagnostics,
                        bool succeeded, llvm::json::Object result) {
  showProgress("");
  if (asJSON) {
    result["ok"] = succeeded;
    result["diagnostics"] = diagnostics.takeJSON();
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(result)))
                 << "\n";
  }
  return succeeded ? 0 : 2;
}

static DialectRegistry compilerDialects() {
  DialectRegistry registry;
  registerCompilerDialects(registry);
  return registry;
}

/// The options as the compiler takes them, and what is wrong with them.
static CompilerOptions compilerOptions(const SpecOptions &options,
                                       std::string &badOperator) {
  CompilerOptions result = options.compiler;
  result.progress = showProgress;
  if (llvm::Error e = result.operators.allowAll(options.allowedOperators))
    badOperator = llvm::toString(std::move(e));
  return result;
}

SpecSession::SpecSession(const SpecOptions &options)
    : options(options),
      mlirContext(compilerDialects(), MLIRContext::Threading::DISABLED),
      compilation(mlirContext, compilerOptions(options, badOperator)),
      diagnostics(compilation.sources(), mlirContext, options.json,
                  [] { showProgress(""); }) {
  mlirContext.loadAllAvailableDialects();
  mlirContext.printOpOnDiagnostic(false);
}

std::optional<int> SpecSession::begin() {
  if (!badOperator.empty()) {
    emitError(UnknownLoc::get(&mlirContext))
        << "--allow-operator: " << badOperator;
    finish(false);
    return 1;
  }
  if (options.remarks) {
    // A kind of remark without a filter of its own is dropped. What is done at
    // each site stands in the report, so that lowering says nothing here unless
    // there was a choice.
    bool isChosen = options.compiler.lower != steer::LoweringChoice::Aten;
    std::string told =
        isChosen ? "^(flow-.*|steer.*|program|lowering)$"
                 : "^(flow-.*|steer.*|program)$";
    remark::RemarkCategories all{told, told, told, told, told};
    if (failed(remark::enableOptimizationRemarks(
            mlirContext, nullptr,
            std::make_unique<remark::RemarkEmittingPolicyAll>(), all,
            /*printAsEmitRemarks=*/true)))
      return 2;
  }
  return std::nullopt;
}
