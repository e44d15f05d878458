//===- weirc.cpp - The compiler's driver ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exit codes: 0 done; 1 wrong usage; 2 an error in the spec, the model or the
// dictionaries, or while writing.
//
//===----------------------------------------------------------------------===//

#include "weir/Pipelines/Compiler.h"
#include "weir/Pipelines/DiagnosticList.h"
#include "weir/Pipelines/PythonTool.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace weir;

namespace {

struct Options {
  CompilerOptions compiler;
  std::string output, engine = "reference";
  bool json = false, remarks = false, printIR = false;
};

/// A line that is rewritten on a terminal and not there in a pipe.
void showProgress(StringRef text) {
  if (!llvm::sys::Process::StandardErrIsDisplayed())
    return;
  llvm::errs() << "\r\x1b[K";
  if (!text.empty())
    llvm::errs() << text << " …";
}

int finish(const Options &options, DiagnosticList &diagnostics, bool succeeded,
           llvm::json::Object result = {}) {
  showProgress("");
  if (options.json) {
    result["ok"] = succeeded;
    result["diagnostics"] = diagnostics.takeJSON();
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(result)))
                 << "\n";
  }
  return succeeded ? 0 : 2;
}

int run(const Options &options, StringRef command, char *argv0) {
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  // Messages are for people who write specs, not for readers of IR.
  context.printOpOnDiagnostic(false);
  CompilerOptions compilerOptions = options.compiler;
  compilerOptions.progress = showProgress;
  Compiler compiler(context, compilerOptions);
  DiagnosticList diagnostics(compiler.sources(), context, options.json,
                             [] { showProgress(""); });
  if (options.remarks) {
    remark::RemarkCategories all{".*", std::nullopt, std::nullopt, std::nullopt,
                                 std::nullopt};
    if (failed(remark::enableOptimizationRemarks(
            context, nullptr,
            std::make_unique<remark::RemarkEmittingPolicyAll>(), all,
            /*printAsEmitRemarks=*/true)))
      return 2;
  }

  bool hasModel = command != "check" || !compilerOptions.model.empty();
  if (failed(compiler.load(hasModel)))
    return finish(options, diagnostics, false);
  if (!hasModel)
    return finish(options, diagnostics, true);
  if (failed(compiler.steer()))
    return finish(options, diagnostics, false);
  if (options.printIR)
    compiler.module().print(llvm::outs(),
                            OpPrintingFlags().elideLargeElementsAttrs());
  if (command == "check")
    return finish(options, diagnostics, true);
  if (command == "explain") {
    if (!options.json) {
      showProgress("");
      printMarkdown(compiler.report(), {}, llvm::outs());
    }
    return finish(options, diagnostics, true,
                  llvm::json::Object{{"report", toJSON(compiler.report())}});
  }

  auto makePackage = [&](StringRef folder) -> LogicalResult {
    showProgress("compiling with AOTInductor, which takes a minute or more");
    return runPythonTool(argv0, context,
                         {"aot", (folder + "/program.pt2").str(), "-o",
                          (folder + "/program.aot.pt2").str()});
  };
  llvm::function_ref<LogicalResult(StringRef)> package = nullptr;
  if (options.engine == "aot")
    package = makePackage;
  bool built = succeeded(compiler.lower()) &&
               succeeded(compiler.write(options.output, package));
  return finish(options, diagnostics, built,
                built ? llvm::json::Object{{"output", options.output},
                                           {"report",
                                            toJSON(compiler.report())}}
                      : llvm::json::Object{});
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"weirc compiles intervention plans for language models.\n\n"
               "A spec (YAML, see docs/spec.md) says which features to change "
               "and how; the result is\na program with the changes inside, for "
               "weir-run or for PyTorch.\n"};
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done; 1 wrong usage; 2 an error in the spec, the "
             "model or the dictionaries.");

  Options options;
  auto addCommon = [&](CLI::App *command, bool needsModel) {
    command->add_option("spec", options.compiler.spec, "the spec, a YAML file")
        ->required();
    command->add_option("--model", options.compiler.model,
                        needsModel ? "the exported model (.pt2), instead of "
                                     "the one that the spec names"
                                   : "check against this exported model (.pt2) "
                                     "and the dictionaries too");
    command->add_flag("--json", options.json,
                      "print the result and all messages as JSON");
    command->add_flag("--remarks", options.remarks,
                      "say what was optimised and why");
  };
  auto *check = app.add_subcommand("check", "Read a spec and report errors");
  addCommon(check, false);
  auto *explain = app.add_subcommand(
      "explain", "Print what would be done at each site, and what it costs");
  addCommon(explain, true);
  explain->add_flag("--ir", options.printIR, "print the patches as MLIR first");
  auto *build = app.add_subcommand("build", "Compile a spec into a program");
  addCommon(build, true);
  build->add_option("-o,--output", options.output,
                    "the folder to make: program.pt2, manifest.json, report.md")
      ->required();
  build
      ->add_option("--engine", options.engine,
                   "aot makes an AOTInductor package as well (needs Python)")
      ->check(CLI::IsMember({"reference", "aot"}))
      ->capture_default_str();
  auto *schema = app.add_subcommand(
      "schema", "Print the JSON schema of specs, for editors");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  if (schema->parsed()) {
    llvm::outs() << spec::schema();
    return 0;
  }
  return run(options, app.get_subcommands().front()->get_name(), argv[0]);
}
