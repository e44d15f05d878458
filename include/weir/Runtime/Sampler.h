//===- Sampler.h - Choosing the next token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_SAMPLER_H
#define WEIR_RUNTIME_SAMPLER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace weir {

struct SamplingOptions {
  double temperature = 0.0; ///< 0: greedy
  double topP = 1.0;        ///< in (0, 1]
  uint64_t seed = 0;
  int64_t topK = 0;               ///< the most likely tokens only; 0: all
  double repetitionPenalty = 1.0; ///< above 0
  double frequencyPenalty = 0.0;

  /// An error that names the option that is out of its range.
  llvm::Error check() const;
};

/// What a row says before the token that is chosen.
struct TokensBefore {
  llvm::ArrayRef<int64_t> prompt, generated;
};

/// Makes tokens less likely that were there before, as transformers and
/// inference servers define it, in f32: each token of the prompt or the generated
/// text has its logit divided by the repetition penalty where it is above 0 and
/// multiplied elsewhere, however often it was there; then each generated token
/// has its logit lowered by the frequency penalty times how often it was
/// generated. Ids outside of the logits are left out.
void penalize(llvm::MutableArrayRef<float> logits,
              const SamplingOptions &options, const TokensBefore &before);

/// The number in [0, 1) that decides a row's `step`-th token: 53 bits of
/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at position `step` of the stream
/// that begins at mix(seed). It depends on nothing else, so a row gives the same
/// tokens in any batch, as far as its logits are the same.
double uniformAt(uint64_t seed, uint64_t step);

/// The next token for logits [V], after `penalize`.
/// Greedy: the largest, the lowest id of equals. Otherwise softmax(logits /
/// temperature) in f64, with topK restricted to the topK most likely tokens; with
/// topP < 1 restricted to the smallest set of most likely ones of these (ties:
/// lower ids first) whose probabilities reach topP of theirs, and the first token
/// whose cumulated probability exceeds uniformAt(seed, step) times the set's
/// total. Errors: no logits; NaN or +infinity among them.
llvm::Expected<int64_t> sampleToken(llvm::ArrayRef<float> logits,
                                    const SamplingOptions &options,
                                    uint64_t step,
                                    const TokensBefore &before = {});

} // namespace weir

#endif // WEIR_RUNTIME_SAMPLER_H
