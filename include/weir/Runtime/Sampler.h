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
};

/// The number in [0, 1) that decides a row's `step`-th token: 53 bits of
/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at position `step` of the stream
/// that begins at mix(seed). It depends on nothing else, so a row gives the same
/// tokens in any batch, as far as its logits are the same.
double uniformAt(uint64_t seed, uint64_t step);

/// The next token for logits [V].
/// Greedy: the largest, the lowest id of equals. Otherwise softmax(logits /
/// temperature) in f64; with topP < 1 restricted to the smallest set of most
/// likely tokens (ties: lower ids first) whose probabilities reach topP, and the
/// first token whose cumulated probability exceeds uniformAt(seed, step) times
/// the set's total. Errors: no logits; NaN or +infinity among them.
llvm::Expected<int64_t> sampleToken(llvm::ArrayRef<float> logits,
                                    const SamplingOptions &options,
                                    uint64_t step);

} // namespace weir

#endif // WEIR_RUNTIME_SAMPLER_H
