//===- SteeredRows.h - Many settings of one program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a SteeredRunner is asked for and gives. Torch-free to include.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_STEEREDROWS_H
#define WEIR_RUNTIME_STEEREDROWS_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// What steers a row: a plan as an index, -1 for none, and a number for each knob
/// of the program.
struct RowSetting {
  int64_t plan = -1;
  std::vector<float> knobs;
};

/// How well windows of a text are predicted under each of some settings.
struct WindowLosses {
  /// Sums of -log p(token | tokens before it) in nats: [settings][windows].
  std::vector<std::vector<double>> sums;
  /// Tokens of each window that are predicted, [windows].
  std::vector<int64_t> predicted;
};

struct LossOptions {
  /// Tokens at the beginning of a window that count as its prompt; all of them
  /// unless given.
  std::optional<int64_t> promptTokens;
  /// Rows go through the program together as far as its batch and this limit of
  /// their logits allow.
  int64_t logitBytes = 256 << 20;
  /// Called with rows done and rows in all; may be empty.
  std::function<void(int64_t done, int64_t total)> progress;
  /// Rows that are known already, and left out: their sums are 0. Rows are counted
  /// by window, and in each by setting.
  int64_t firstRow = 0;
  /// Called with the sums of the rows from `first` on, after each batch. What it
  /// returns ends the run as an error unless it is empty. May be empty.
  std::function<std::string(int64_t first, const std::vector<double> &sums)>
      finished;
};

/// A text to go on with.
struct PromptRow {
  std::vector<int64_t> prompt; ///< at least one token
  RowSetting setting;
  uint64_t seed = 0;
};

struct ContinueOptions {
  int64_t maxNewTokens = 64;
  double temperature = 0; ///< 0: greedy
  double topP = 1;
  int64_t topK = 0;
  bool ignoreEndOfSequence = false;
  /// Called with new tokens so far; may be empty.
  std::function<void(int64_t tokens)> progress;
};

/// A text that is read to see how active a feature is.
struct ReadRow {
  std::vector<int64_t> tokens;
  size_t from = 0; ///< the first token that counts
};

} // namespace weir

#endif // WEIR_RUNTIME_STEEREDROWS_H
