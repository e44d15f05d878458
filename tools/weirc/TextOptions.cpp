//===- TextOptions.cpp - Options of commands over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TextOptions.h"

#include "../Numbers.h"

using namespace weir;

CLI::Option *weir::addTextOptions(CLI::App *command, std::string &text,
                                  WindowOptions &windows) {
  CLI::Option *option = command->add_option(
      "--text", text,
      "the text: .txt, .jsonl with a key \"text\" in every line, or token ids "
      "in an .npy");
  command
      ->add_option("--context", windows.context,
                   "tokens of a window; 128 if not given, or as many as the "
                   "program holds")
      ->transform(numberIn<int64_t>(1, mostItems));
  command->add_flag("--bos", windows.beginWithBos,
                    "begin each window with the model's beginning-of-sequence "
                    "token");
  command
      ->add_option("--skip-first", windows.skipFirst,
                   "tokens at the beginning of a window that do not count")
      ->transform(numberIn<int64_t>(0, mostItems))
      ->capture_default_str();
  command
      ->add_option("--max-tokens", windows.maxTokens,
                   "stop after this many tokens that count")
      ->transform(numberIn<int64_t>(1, mostItems));
  return option;
}

void weir::addPromptTokens(CLI::App *command,
                           std::optional<int64_t> &promptTokens) {
  command
      ->add_option("--prompt-tokens", promptTokens,
                   "tokens of a window that are a prompt to policies, for those "
                   "of `tokens: generated`; all of them if not given")
      ->transform(numberIn<int64_t>(0, mostItems));
}

void weir::addJudge(CLI::App *command, std::string &judge, double &seconds,
                    const char *what) {
  command->add_option("--judge", judge, what);
  command->add_option("--judge-seconds", seconds, "the time that it has")
      ->transform(numberIn<double>(0.001, 1e6))
      ->capture_default_str();
}

void weir::addResultFiles(CLI::App *command, ResultFiles &files) {
  command->add_option("--csv", files.table,
                      "write the numbers into a table too (.csv)");
  command
      ->add_option("--plot", files.plots,
                   "draw them into this file: .svg or .png; repeatable (needs "
                   "Python)")
      ->allow_extra_args(false);
}
