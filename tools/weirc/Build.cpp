//===- Build.cpp - weirc build: compile a spec into a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "../OneOf.h"

#include "weir/Driver/PythonTool.h"

#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace weir;

namespace {
struct BuildOptions : SpecOptions {
  std::string output, engine = "reference", fixed;
  std::vector<std::string> knobs;
};
} // namespace

static int runBuild(const BuildOptions &options, const char *argv0) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  Compiler &compiler = session.compiler();
  auto makePackage = [&](StringRef folder) -> LogicalResult {
    showProgress("compiling with AOTInductor, which takes a minute or more");
    std::vector<std::string> arguments = {
        "aot", (folder + "/program.pt2").str(), "-o",
        (folder + "/program.aot.pt2").str()};
    for (const std::string &name : options.allowedOperators)
      arguments.insert(arguments.end(), {"--allow-operator", name});
    std::string kernels = (folder + "/kernels.so").str();
    if (llvm::sys::fs::exists(kernels))
      arguments.insert(arguments.end(), {"--kernels", kernels});
    return runPythonTool(argv0, session.context(), arguments);
  };
  llvm::function_ref<LogicalResult(StringRef)> package = nullptr;
  if (options.engine == "aot")
    package = makePackage;
  if (failed(compiler.load()) || failed(compiler.steer()) ||
      failed(compiler.lower()) ||
      failed(compiler.write(options.output, package)))
    return session.finish(false);
  return session.finish(
      true, llvm::json::Object{{"output", options.output},
                               {"report", toJSON(compiler.report())}});
}

Command weir::addBuild(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<BuildOptions>();
  CLI::App *build = app.add_subcommand("build", "Compile a spec into a program");
  addSpecOptions(build, *options, /*needsModel=*/true);
  build
      ->add_option("-o,--output", options->output,
                   "the folder to make: program.pt2, manifest.json, spec.yaml, "
                   "report.md, with --engine aot program.aot.pt2, with --lower "
                   "kernel or auto kernels.so")
      ->required();
  build->add_flag("--stats", options->compiler.count,
                  "let the program say which tokens each policy edits, for "
                  "weir-run --stats and --assert-steered");
  auto *fixed = build->add_option(
      "--fixed", options->fixed,
      "compile this one plan in for every row: a program without inputs for "
      "plans and knobs, and without what the plan does not need");
  build
      ->add_option("--knob", options->knobs,
                   "with --fixed, the value of a knob, as name=number; its "
                   "default if not given; repeatable")
      ->allow_extra_args(false)
      ->needs(fixed);
  build
      ->add_option("--engine", options->engine,
                   "aot makes an AOTInductor package as well (needs Python)")
      ->transform(oneOf({"reference", "aot"}))
      ->capture_default_str();
  build
      ->add_option("--lower", options->compiler.lower,
                   "what the edits of a site become: calls of PyTorch's operators "
                   "(aten), a kernel of its own in kernels.so wherever there is "
                   "one (kernel), or what is estimated to be faster for the "
                   "engine (auto)")
      ->transform(oneOf<steer::LoweringChoice>(
          {{"aten", steer::LoweringChoice::Aten},
           {"kernel", steer::LoweringChoice::Kernel},
           {"auto", steer::LoweringChoice::Auto}}))
      ->default_str("aten");
  addMatchingOptions(build, *options);
  return {build, [=] {
            if (fixed->count())
              options->compiler.fixed = {options->fixed, options->knobs};
            options->compiler.compiled = options->engine == "aot";
            return runBuild(*options, argv0);
          }};
}
