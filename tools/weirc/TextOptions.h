//===- TextOptions.h - Options of commands over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TOOLS_WEIRC_TEXTOPTIONS_H
#define WEIR_TOOLS_WEIRC_TEXTOPTIONS_H

#include "SpecCommand.h"

#include "weir/Driver/ResultFiles.h"
#include "weir/Runtime/TokenWindows.h"

#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace weir {

/// --text, and how it is cut into windows: --context, --bos, --skip-first,
/// --max-tokens.
CLI::Option *addTextOptions(CLI::App *command, std::string &text,
                            WindowOptions &windows);

/// --prompt-tokens, of commands that run plans over a text.
void addPromptTokens(CLI::App *command, std::optional<int64_t> &promptTokens);

/// --judge, which is for `what`, and --judge-seconds.
void addJudge(CLI::App *command, std::string &judge, double &seconds,
              const char *what);

/// --csv and --plot.
void addResultFiles(CLI::App *command, ResultFiles &files);

/// Runs a job that measures a spec on texts, writes its files and shows what it
/// found. `options` are SpecOptions with `job` and `files`.
template <typename Options, typename JobOptions, typename Result>
int runMeasuringJob(Options &options, const char *argv0, llvm::StringRef command,
                    mlir::FailureOr<Result> (*job)(mlir::MLIRContext &,
                                                   Compiler &,
                                                   const JobOptions &)) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  options.job.threads = options.compiler.threads;
  options.job.progress = showProgress;
  auto found = job(session.context(), session.compiler(), options.job);
  if (failed(found))
    return session.finish(false);
  showProgress("");
  if (failed(options.files.write(session.context(), argv0, command,
                                 found->toCSV(), found->toJSON())))
    return session.finish(false);
  if (!options.json)
    found->print(llvm::outs());
  return session.finish(found->isWhole(), found->toJSON());
}

} // namespace weir

#endif // WEIR_TOOLS_WEIRC_TEXTOPTIONS_H
