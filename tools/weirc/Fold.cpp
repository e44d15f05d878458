//===- Fold.cpp - weirc fold: a plan as weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "../OneOf.h"

#include "weir/Driver/FoldJob.h"
#include "weir/Driver/PythonTool.h"

using namespace mlir;
using namespace weir;

namespace {
struct FoldCommand : SpecOptions {
  FoldOptions job;
};
} // namespace

static int runFold(const FoldCommand &options, const char *argv0) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  llvm::json::Object result;
  auto runPython = [&](ArrayRef<std::string> arguments) {
    showProgress("writing");
    return runPythonTool(argv0, session.context(), arguments);
  };
  bool isFolded = succeeded(
      foldPlan(session.compiler(), options.job, runPython, result));
  return session.finish(isFolded, isFolded ? std::move(result)
                                           : llvm::json::Object());
}

Command weir::addFold(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<FoldCommand>();
  CLI::App *fold = app.add_subcommand(
      "fold", "Write a plan that is the same for every token as weights");
  addSpecOptions(fold, *options, /*needsModel=*/true);
  fold->add_option("-o,--output", options->job.output,
                   "the folder to make; for gguf and gguf-control the file")
      ->required();
  std::vector<std::pair<std::string, FoldTarget>> targets;
  for (FoldTarget target :
       {FoldTarget::Checkpoint, FoldTarget::PT2, FoldTarget::LoRA,
        FoldTarget::GGUFControl, FoldTarget::GGUF})
    targets.emplace_back(nameOf(target).str(), target);
  fold->add_option("--to", options->job.target,
                   "checkpoint: a Hugging Face folder; pt2: a program; lora: a "
                   "PEFT adapter; gguf-control: a control vector of llama.cpp; "
                   "gguf: the model's own GGUF file with changed tensors")
      ->transform(oneOf(std::move(targets)))
      ->required();
  fold->add_option("--plan", options->job.plan,
                   "the plan; not needed where the spec has one only");
  fold->add_option("--knob", options->job.knobs,
                   "the value of a knob, as name=number, for good; repeatable")
      ->allow_extra_args(false);
  fold->add_option("--source", options->job.source,
                   "the folder or GGUF file that the model was exported from; "
                   "the name that it was exported by if not given");
  fold->add_option("--type", options->job.tensorType,
                   "gguf: what changed weights are stored in")
      ->transform(oneOf({"f32", "f16", "bf16", "q8_0"}))
      ->capture_default_str();
  addMatchingOptions(fold, *options);
  return {fold, [=] { return runFold(*options, argv0); }};
}
