//===- Sweep.cpp - weirc sweep: a plan under many values of a knob ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "TextOptions.h"

#include "../Numbers.h"

#include "weir/Driver/SweepJob.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct SweepCommand : SpecOptions {
  std::vector<std::string> knobs;
  SweepOptions job;
  ResultFiles files;
};
} // namespace

static llvm::Error checkUsage(SweepCommand &options) {
  for (const std::string &text : options.knobs) {
    auto knob = SweptKnob::parse(text);
    if (!knob)
      return llvm::createStringError("--knob: " +
                                     llvm::toString(knob.takeError()));
    options.job.knobs.push_back(std::move(*knob));
  }
  if (llvm::Error error = options.job.check())
    return error;
  return options.files.check(Sweep::csvHead);
}

static int runSweep(SweepCommand &options, const char *argv0) {
  if (llvm::Error error = checkUsage(options)) {
    llvm::errs() << "weirc: " << llvm::toString(std::move(error)) << "\n";
    return 1;
  }
  return runMeasuringJob(options, argv0, "sweep", sweep);
}

static void addTexts(CLI::App *command, SweepOptions &job) {
  command
      ->add_option("-p,--prompt", job.prompts,
                   "a prompt to go on with; repeatable")
      ->allow_extra_args(false);
  command->add_option("--prompts", job.promptsFile,
                      "a file of prompts: one a line, or .jsonl with a key "
                      "\"prompt\" in every line");
  command->add_option("--samples", job.samples, "texts of each prompt")
      ->transform(numberIn<int64_t>(1, 100000))
      ->capture_default_str();
  command->add_option("-n,--max-new-tokens", job.maxNewTokens)
      ->transform(numberIn<int64_t>(1, mostItems))
      ->capture_default_str();
  command
      ->add_option("--temperature", job.temperature,
                   "0 takes the most likely token")
      ->transform(numberIn<double>(0))
      ->capture_default_str();
  command->add_option("--top-p", job.topP)
      ->transform(numberIn<double>(0, 1))
      ->capture_default_str();
  command->add_option("--top-k", job.topK, "0 is all")
      ->transform(numberIn<int64_t>(0))
      ->capture_default_str();
  command
      ->add_option("--seed", job.seed,
                   "text t of every setting uses seed + t")
      ->transform(numberIn<uint64_t>(0))
      ->capture_default_str();

  command
      ->add_option("--words", job.words,
                   "rate texts by the share of their words that are these, "
                   "separated by commas")
      ->delimiter(',');
  command->add_option("--regex", job.regex,
                      "rate texts by whether this regular expression (PCRE2) is "
                      "in them");
  command->add_option("--feature", job.feature,
                      "rate texts by how active this feature, such as "
                      "12/res/411, is when the unsteered model reads them");
  addJudge(command, job.judge, job.judgeSeconds,
           "rate texts by a command that gets and answers JSON lines; see "
           "docs/evaluation.md");
}

Command weir::addSweep(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<SweepCommand>();
  CLI::App *command = app.add_subcommand(
      "sweep", "Measure a plan under many values of a knob, in one batch");
  addSpecOptions(command, *options, /*needsModel=*/true);
  command
      ->add_option("--knob", options->knobs,
                   "NAME=FIRST:LAST:COUNT is swept; NAME=NUMBER is set; "
                   "repeatable")
      ->allow_extra_args(false)
      ->required();
  command->add_option("--plan", options->job.plan,
                      "the plan; the spec's first if not given");
  command->add_option("--schedules", options->job.policy,
                      "compare forms of this policy, an addition, at equal "
                      "budget: its own layer, and cumulative with each "
                      "schedule");
  addTextOptions(command, options->job.text, options->job.windows);
  addPromptTokens(command, options->job.promptTokens);
  addTexts(command, options->job);
  command
      ->add_option("--max-loss-increase", options->job.maxLossIncrease,
                   "nats a token that the best setting may add to the loss")
      ->transform(
          numberIn<double>(std::numeric_limits<double>::lowest()))
      ->capture_default_str();
  command
      ->add_option("--max-repetition", options->job.maxRepetition,
                   "share of repeated 4-grams that it may have")
      ->transform(numberIn<double>(0, 1))
      ->capture_default_str();
  command->add_option("--write", options->job.output,
                      "write the spec with the best setting, the knobs' defaults and "
                      "with --schedules the form: a new file in the spec's folder");
  addResultFiles(command, options->files);
  addMatchingOptions(command, *options);
  return {command, [options, argv0] { return runSweep(*options, argv0); }};
}
