//===- RunJob.h - What weir-run does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_RUNJOB_H
#define WEIR_RUNTIME_RUNJOB_H

#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// The command line of weir-run.
struct RunOptions {
  std::string program;
  std::string engine = "auto";
  std::string kernels; ///< a file of them, for a program whose manifest names none
  int threads = 0; ///< 0: as many as the tensor library likes
  bool verify = true;
  std::vector<std::string> allowedOperators;
  /// See EngineOptions.
  std::optional<uint64_t> maxMemory;

  std::vector<std::string> prompts;
  std::string promptsFile;
  bool chat = false;
  std::string system;
  bool continueMessage = false;
  std::string chatTemplate; ///< its name; empty for the default one

  std::string idsFile;
  std::vector<int64_t> promptLengths;
  std::optional<int64_t> prefill;
  std::string logitsFile;

  std::vector<std::string> plans;
  std::vector<std::string> knobs;
  std::string recordFile;
  bool stats = false;         ///< tell which tokens were edited
  bool assertSteered = false; ///< fail if a plan that edits edited none

  int64_t maxNewTokens = 128;
  double temperature = 0;
  double topP = 1;
  uint64_t seed = 0;
  int64_t topK = 0;
  double repetitionPenalty = 1;
  double frequencyPenalty = 0;
  std::vector<std::string> stop;
  bool ignoreEndOfSequence = false;

  bool json = false;
  bool quiet = false;
};

/// Runs the job, writing results to `out` and everything else to `err`. Text is
/// streamed if `out` shows a terminal. Returns the exit code: 0 done, 1 wrong
/// usage or input, 2 a failure while running.
int runJob(const RunOptions &options, llvm::raw_fd_ostream &out,
           llvm::raw_fd_ostream &err);

} // namespace weir

#endif // WEIR_RUNTIME_RUNJOB_H
