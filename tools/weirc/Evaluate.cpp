//===- Evaluate.cpp - weirc evaluate: losses, dictionaries, matches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "TextOptions.h"

#include "../Numbers.h"

#include "weir/Driver/EvaluateJob.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct EvaluateCommand : SpecOptions {
  EvaluateOptions job;
  ResultFiles files;
};
} // namespace

static int runEvaluate(EvaluateCommand &options, const char *argv0) {
  if (llvm::Error error = options.files.check(Evaluation::csvHead)) {
    llvm::errs() << "weirc: " << llvm::toString(std::move(error)) << "\n";
    return 1;
  }
  return runMeasuringJob(options, argv0, "evaluate", evaluate);
}

Command weir::addEvaluate(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<EvaluateCommand>();
  CLI::App *command = app.add_subcommand(
      "evaluate", "Measure plans, dictionaries and matches on a text");
  addSpecOptions(command, *options, /*needsModel=*/true);
  addTextOptions(command, options->job.text, options->job.windows)->required();
  addPromptTokens(command, options->job.promptTokens);
  command
      ->add_option("--record-bytes", options->job.recordBytes,
                   "memory for the activations of a batch")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->capture_default_str();
  addResultFiles(command, options->files);
  addJudge(command, options->job.judge, options->job.judgeSeconds,
           "a command that says of matched features whether they are the SAME; "
           "see docs/evaluation.md");
  command
      ->add_option("--judge-pairs", options->job.judgedPairs,
                   "pairs that it gets, chosen at random")
      ->transform(numberIn<int64_t>(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->job.seed, "of what is chosen at random")
      ->transform(numberIn<uint64_t>(0))
      ->capture_default_str();
  command
      ->add_option("--checkpoint-seconds", options->job.checkpointSeconds,
                   "how often what was counted of activations is kept, for a run "
                   "that goes on after a kill")
      ->transform(numberIn<double>(0, 1e6))
      ->capture_default_str();
  addMatchingOptions(command, *options);
  return {command, [options, argv0] { return runEvaluate(*options, argv0); }};
}
