//===- Kernels.h - Inner loops of the screen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_KERNELS_H
#define WEIR_LIB_MATCHING_KERNELS_H

#include <bit>
#include <cstdint>

namespace weir::matching {

/// Columns that are tested together; blocks are padded to a multiple.
inline constexpr int64_t chunk = 64;

/// out = scale * in; nothing is lost but what underflows.
void packFloat(const float *in, int64_t width, float scale, float *out);

/// out = scale * in rounded to bf16 (to nearest, ties to even). Returns a bound
/// of |scale * in - out|.
double packBFloat(const float *in, int64_t width, float scale, uint16_t *out);

/// out = scale * in / step rounded to integers in -127..127, where step is the
/// largest |scale * in| / 127. Returns a bound of |scale * in - step * out|.
double packBytes(const float *in, int64_t width, float scale, int8_t *out,
                 double &step);

/// Not less than the norm of scale * in, and hardly more.
double normBound(const float *in, int64_t width, float scale);

/// Sums that dotFloat keeps side by side: an error of a sum is that of
/// width / dotLanes + dotLanes additions.
inline constexpr int64_t dotLanes = 64;

/// sum_k a_k b_k in f32.
float dotFloat(const float *a, const float *b, int64_t width);

/// A product as f32.
inline float widen(float value) { return value; }
inline float widen(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
inline float widen(int32_t value) { return static_cast<float>(value); }

/// What turns products g of a row into upper bounds of its scores:
/// p = g * scale[j] * row;
/// upper = p + |p| * beta + offset[j] + slack * weight[j] + spread * loss[j].
struct BoundTerms {
  const float *scale, *offset, *weight, *loss;
  float row, slack, spread, beta;
};

/// The columns of [0, count) whose upper bound is `bar` or more, ascending, to
/// `out` (room for count + 1); count is a multiple of `chunk`. Returns how many.
int64_t collect(const float *products, const BoundTerms &terms, int64_t count,
                float bar, int32_t *out);
int64_t collect(const uint16_t *products, const BoundTerms &terms,
                int64_t count, float bar, int32_t *out);
int64_t collect(const int32_t *products, const BoundTerms &terms, int64_t count,
                float bar, int32_t *out);

/// Upper bounds of `count` pairs (a multiple of `chunk`) into `out`, with
/// rest * rests[j] added to each; the two largest of them are returned.
struct TwoLargest {
  float first, second;
};
TwoLargest upperBounds(const float *products, const BoundTerms &terms,
                       float rest, const float *rests, int64_t count,
                       float *out);
TwoLargest upperBounds(const uint16_t *products, const BoundTerms &terms,
                       float rest, const float *rests, int64_t count,
                       float *out);
TwoLargest upperBounds(const int32_t *products, const BoundTerms &terms,
                       float rest, const float *rests, int64_t count,
                       float *out);

/// The lower bounds of the columns [0, count): out[j] = p + offset[j] - what the
/// upper bound adds to it.
void lowerBounds(const float *products, const BoundTerms &terms, int64_t count,
                 float *out);
void lowerBounds(const uint16_t *products, const BoundTerms &terms,
                 int64_t count, float *out);
void lowerBounds(const int32_t *products, const BoundTerms &terms,
                 int64_t count, float *out);

/// The k-th largest number, or one that is not far below it; `numbers` are
/// reordered. 1 <= k <= count.
float aboutTheLargest(float *numbers, int64_t count, int64_t k);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_KERNELS_H
