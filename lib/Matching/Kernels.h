//===- Kernels.h - Inner loops of the screen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_KERNELS_H
#define WEIR_LIB_MATCHING_KERNELS_H

#include <cstdint>

namespace weir::matching {

/// Columns that are tested together; blocks are padded to a multiple.
inline constexpr int64_t chunk = 64;

/// out = scale * in; nothing is lost but what underflows.
void packFloat(const float *in, int64_t width, float scale, float *out);

/// out = scale * in rounded to bf16 (to nearest, ties to even). Returns a bound
/// of |scale * in - out|.
double packBFloat(const float *in, int64_t width, float scale, uint16_t *out);

/// What turns products g of a row into upper bounds of its scores:
/// p = g * scale[j] * row;
/// upper = p + |p| * beta + offset[j] + slack * weight[j].
struct BoundTerms {
  const float *scale, *offset, *weight;
  float row, slack, beta;
};

/// The first chunk at or after column `from` (a multiple of `chunk`) with an
/// upper bound of `threshold` or more, or `count`.
int64_t nextChunk(const float *products, const BoundTerms &terms, int64_t from,
                  int64_t count, float threshold);
int64_t nextChunk(const uint16_t *products, const BoundTerms &terms,
                  int64_t from, int64_t count, float threshold);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_KERNELS_H
