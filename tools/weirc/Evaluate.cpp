//===- Evaluate.cpp - weirc evaluate: losses, dictionaries, matches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"
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
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  options.job.threads = options.compiler.threads;
  options.job.progress = showProgress;
  FailureOr<Evaluation> found =
      evaluate(session.context(), session.compiler(), options.job);
  if (failed(found))
    return session.finish(false);
  showProgress("");
  if (failed(options.files.write(session.context(), argv0, "evaluate",
                                 found->toCSV(), found->toJSON())))
    return session.finish(false);
  if (!options.json)
    found->print(llvm::outs());
  return session.finish(true, found->toJSON());
}

Command weir::addEvaluate(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<EvaluateCommand>();
  CLI::App *command = app.add_subcommand(
      "evaluate", "Measure plans, dictionaries and matches on a text");
  addSpecOptions(command, *options, /*needsModel=*/true);
  addTextOptions(command, options->job.text, options->job.windows,
                 options->job.promptTokens)
      ->required();
  command
      ->add_option("--record-bytes", options->job.recordBytes,
                   "memory for the activations of a batch")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->capture_default_str();
  addResultFiles(command, options->files);
  command->add_option("--judge", options->job.judge,
                      "a command that says of matched features whether they "
                      "are the SAME; see docs/evaluation.md");
  command
      ->add_option("--judge-seconds", options->job.judgeSeconds,
                   "the time that it has")
      ->transform(numberIn<double>(0.001, 1e6))
      ->capture_default_str();
  command
      ->add_option("--judge-pairs", options->job.judgedPairs,
                   "pairs that it gets, chosen at random")
      ->transform(numberIn<int64_t>(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->job.seed, "of what is chosen at random")
      ->transform(numberIn<uint64_t>(0))
      ->capture_default_str();
  addMatchingOptions(command, *options);
  return {command, [options, argv0] { return runEvaluate(*options, argv0); }};
}
