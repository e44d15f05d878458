//===- weir-run.cpp - Run a program without Python ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exit codes: 0 done; 1 wrong usage or input (nothing ran); 2 a failure while
// running or writing; 3 --assert-steered, and nothing was.
//
//===----------------------------------------------------------------------===//

#include "Numbers.h"

#include "weir/Runtime/RunJob.h"
#include "weir/Support/ToolProcess.h"
#include "weir/Torch/TorchRuntime.h"

#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

namespace {

void addOptions(CLI::App &app, weir::RunOptions &options) {
  app.add_option("program", options.program,
                 "a folder with manifest.json, or a .pt2 file")
      ->required();
  app.add_option("--engine", options.engine,
                 "reference (graph walk), aot (AOTInductor package, which is "
                 "native code), or auto: aot if the manifest names a package")
      ->check(CLI::IsMember({"auto", "reference", "aot"}))
      ->capture_default_str();
  app.add_option("--kernels", options.kernels,
                 "the kernels.so of a program without its folder; it is native "
                 "code, and compared with nothing");
  app.add_option("--threads", options.threads, "threads of the tensor library")
      ->transform(weir::numberIn<int>(1, weir::mostThreads));
  app.add_flag("!--no-verify", options.verify,
               "do not compare the files with their hashes");
  app.add_option("--allow-operator", options.allowedOperators,
                 "let the program call this operator, such as "
                 "aten.fft_rfft.default, although nobody checks what it does; "
                 "repeatable")
      ->allow_extra_args(false);
  app.add_option("--max-memory", options.maxMemory,
                 "bytes of tensors that the reference engine may hold at once, "
                 "such as 8G (default: 512M and 64 times the program's own, "
                 "within three quarters of the machine's memory)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      // It would count from the other end.
      ->transform(CLI::Validator(
          [](std::string &text) {
            return text.find('-') == std::string::npos
                       ? std::string()
                       : "must not be negative, found " + text;
          },
          ""));

  auto *text = app.add_option_group("Prompts");
  text->add_option("-p,--prompt", options.prompts,
                   "a prompt; several make a batch")
      ->allow_extra_args(false);
  text->add_option("--prompts", options.promptsFile,
                   "a batch: one prompt a line, or .jsonl with "
                   "prompt or messages, tools, plan, knobs, "
                   "temperature, top_p, top_k, repetition_penalty, "
                   "frequency_penalty, stop and seed a row; a row's own wins");
  text->add_flag("--chat", options.chat,
                 "each prompt is a user's message of a conversation");
  text->add_option("--system", options.system,
                   "the system message, with --chat");
  text->add_flag("--continue", options.continueMessage,
                 "go on with the last of a row's messages, an assistant's, "
                 "instead of answering it");
  text->add_option("--chat-template", options.chatTemplate,
                   "which of the model's chat templates, by name");

  auto *forward = app.add_option_group("Logits of given ids");
  forward->add_option("--ids", options.idsFile,
                      "token ids [b, S] int64 (.npy); -1 pads short rows on "
                      "the right");
  forward->add_option("--prompt-length", options.promptLengths,
                      "tokens of the prompt: one number, or one a row; no "
                      "row may have fewer (default: the whole row)")
      ->delimiter(',')
      ->transform(weir::numberIn<int64_t>(0));
  forward->add_option("--prefill", options.prefill,
                      "feed this many tokens of a row at once and the others "
                      "one by one (default: all at once)")
      ->transform(weir::numberIn<int64_t>(1));
  forward->add_option("--logits", options.logitsFile,
                      "where the logits [b, S, V] float32 go (.npy)");

  auto *steering = app.add_option_group("Steering");
  steering->add_option("--plan", options.plans,
                       "a plan, or one a row; 'none' is unsteered (default: "
                       "the program's first plan)")
      ->delimiter(',');
  steering->add_option("--knob", options.knobs,
                       "name=number, or name=number,number,… with one a row; "
                       "once for each knob")
      ->allow_extra_args(false);
  steering->add_option("--record", options.recordFile,
                       "where the program's records go (.npz)");
  steering->add_flag("--stats", options.stats,
                     "how many tokens each policy edited at each site, of a "
                     "program built with --stats; with --json in its object");
  steering->add_flag("--assert-steered", options.assertSteered,
                     "end with 3 if a row's plan, which has something to edit, "
                     "edited nothing, or if no row has such a plan");

  auto *sampling = app.add_option_group("Sampling");
  sampling->add_option("-n,--max-new-tokens", options.maxNewTokens)
      ->transform(weir::numberIn<int64_t>(1, weir::mostItems))
      ->capture_default_str();
  sampling->add_option("--temperature", options.temperature,
                       "0 takes the most likely token")
      ->transform(weir::numberIn<double>(0))
      ->capture_default_str();
  sampling->add_option("--top-p", options.topP,
                       "sample from the most likely tokens that make up this "
                       "probability")
      ->transform(weir::numberIn<double>(0, 1))
      ->capture_default_str();
  sampling->add_option("--top-k", options.topK,
                       "sample from this many most likely tokens; 0 is all")
      ->transform(weir::numberIn<int64_t>(0))
      ->capture_default_str();
  sampling->add_option("--repetition-penalty", options.repetitionPenalty,
                       "above 1, tokens of the prompt and the new text are less "
                       "likely: their logits are divided by it where they are "
                       "above 0, and multiplied elsewhere")
      ->transform(weir::numberIn<double>(0))
      ->capture_default_str();
  sampling->add_option("--frequency-penalty", options.frequencyPenalty,
                       "taken from a token's logit for each time that it is in "
                       "the new text")
      ->transform(
          weir::numberIn<double>(std::numeric_limits<double>::lowest()))
      ->capture_default_str();
  sampling->add_option("--stop", options.stop,
                       "end a text where this comes, which is left out; "
                       "repeatable")
      ->allow_extra_args(false);
  sampling->add_option("--seed", options.seed, "row r of a batch uses seed + r")
      ->transform(weir::numberIn<uint64_t>(0))
      ->capture_default_str();
  sampling->add_flag("--ignore-eos", options.ignoreEndOfSequence,
                     "do not stop at an end-of-sequence token");

  app.add_flag("--json", options.json, "write one JSON object");
  app.add_flag("-q,--quiet", options.quiet, "no tokens/s on standard error");
}

} // namespace

static int runTool(int argc, char **argv) {
  weir::beginTool("weir-run");
  CLI::App app("Runs a program: generates text, or the logits of given token "
               "ids.");
  app.name("weir-run");
  app.set_version_flag("--version", "weir-run " WEIR_VERSION);
  app.footer("Exit codes: 0 done, 1 wrong usage or input, 2 a failure while "
             "running,\n3 --assert-steered found nothing steered.\nSee "
             "docs/running.md.");
  weir::RunOptions options;
  addOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  auto runtime = weir::TorchRuntime::load();
  if (!runtime) {
    llvm::errs() << "weir-run: " << llvm::toString(runtime.takeError()) << "\n";
    return 2;
  }
  return runtime->runJob("weir-run", options, llvm::outs(), llvm::errs());
}

int main(int argc, char **argv) { weir::endTool(runTool(argc, argv)); }
