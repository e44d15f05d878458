//===- CaseProgram.h - Recomputing single tokens of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a CaseRunner is told of its program, is asked for and gives. Torch-free to
// include. The program reads windows of a text once and records activations,
// values and caches; slices of it (Dialect/FX/Transforms/Slice.h) then compute
// what becomes of a few tokens when features are taken away from one of them. A
// row of a slice's batch is one such case.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_CASEPROGRAM_H
#define WEIR_RUNTIME_CASEPROGRAM_H

#include "weir/Runtime/ActivationBatch.h"

#include <optional>

namespace weir {

/// The parts of a program by the numbers of its outputs and the names of its
/// inputs.
struct CaseProgram {
  /// What an input of a slice is made of.
  enum class Source : uint8_t {
    Positions, ///< [n, t] int64: where the tokens stand
    Recorded,  ///< [n, t, ..]: of an output [b, S, ..], at the rows and tokens
    Value,     ///< the same, or what the slice before has computed
    Rows,      ///< [n] int64: rows of the caches
    Cache,     ///< [rows, slots, ..]: an output
    Features,  ///< [n, 1, k] int64: which features are taken away at an edit
    Kept,      ///< [n, 1, k] bool: which of these are meant
    Tokens,    ///< [n, t, 1] bool: the token that is edited, the first
  };
  struct Input {
    std::string name;
    Source source = Source::Positions;
    /// The output that was recorded, or which of the slice's edits.
    size_t index = 0;
  };
  struct Slice {
    std::vector<Input> inputs;
    /// Outputs: activations [n, t, F] and value [n, t, d] of the site that it
    /// ends at, or logits [n, t, V].
    std::optional<size_t> activations, value, logits;
  };

  /// Outputs with the activations [b, S, F] of each dictionary.
  std::vector<size_t> activations;
  /// The output with the logits [b, S, V], where losses are asked for.
  std::optional<size_t> logits;
  std::vector<Slice> slices;
  /// Features that an edit can take away at once.
  int64_t removed = 1;
  /// Rows that the program reads together.
  int64_t windows = 1;
};

/// What was recorded of some windows.
struct RecordedWindows {
  size_t firstWindow = 0, windows = 0;
  /// Of each dictionary, at all tokens of the windows, one window after another.
  std::vector<SparseRecord> activations;
  /// Of each token the loss of the next one in nats, NaN at the end of a window;
  /// empty unless asked for.
  std::vector<float> losses;
};

/// Cases that are computed together, n of them.
struct CaseBatch {
  /// What is run: the first slice takes features away, each further one goes on
  /// from the value that the one before gave.
  std::vector<size_t> slices;
  /// Tokens that are computed from the edited one on, t.
  int64_t tokens = 1;
  /// Rows among the windows that were recorded last, and the edited tokens.
  std::vector<int64_t> rows, positions;
  /// For each edit of the first slice [n, k].
  std::vector<std::vector<int64_t>> features;
  std::vector<std::vector<uint8_t>> kept;
};

struct CaseResults {
  /// [n, width]: activations at the edited token, valid until the next call.
  const float *activations = nullptr;
  int64_t width = 0;
  /// [n, t]: losses of the tokens behind, of a chain that ends with logits.
  std::vector<float> losses;
};

} // namespace weir

#endif // WEIR_RUNTIME_CASEPROGRAM_H
