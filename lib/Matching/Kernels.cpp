//===- Kernels.cpp - Inner loops of the screen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "Simd.h"

#include <bit>
#include <cmath>

using namespace weir;
using namespace weir::matching;

WEIR_MATCHING_CLONES static void scaleRow(const float *in, int64_t width,
                                          float scale, float *out) {
  for (int64_t k = 0; k < width; ++k)
    out[k] = in[k] * scale;
}

void matching::packFloat(const float *in, int64_t width, float scale,
                         float *out) {
  scaleRow(in, width, scale, out);
}

WEIR_MATCHING_CLONES static float roundRow(const float *in, int64_t width,
                                           float scale, uint16_t *out) {
#pragma clang fp reassociate(on)
  float lost = 0;
  for (int64_t k = 0; k < width; ++k) {
    const float value = in[k] * scale;
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
    out[k] = static_cast<uint16_t>(rounded >> 16);
    const float error = value - std::bit_cast<float>(rounded);
    lost += error * error;
  }
  return lost;
}

double matching::packBFloat(const float *in, int64_t width, float scale,
                            uint16_t *out) {
  const double squares = roundRow(in, width, scale, out);
  // The sum is in f32; what underflowed in it is less than 2^-126 a term.
  return std::sqrt(squares + width * 0x1p-120) *
         (1.001 + static_cast<double>(width) * 0x1p-23);
}

namespace {
inline float widen(float value) { return value; }
inline float widen(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
} // namespace

template <typename T>
[[gnu::always_inline]] static inline int64_t
search(const T *products, const BoundTerms &terms, int64_t from, int64_t count,
       float threshold) {
  const float row = terms.row, slack = terms.slack, beta = terms.beta;
  for (int64_t j = from; j < count; j += chunk) {
    int hit = 0;
    for (int64_t l = j; l < j + chunk; ++l) {
      const float p = widen(products[l]) * terms.scale[l] * row;
      const float upper = p + __builtin_fabsf(p) * beta + terms.offset[l] +
                          slack * terms.weight[l];
      hit |= upper >= threshold;
    }
    if (hit)
      return j;
  }
  return count;
}

WEIR_MATCHING_CLONES static int64_t
searchFloat(const float *products, const BoundTerms &terms, int64_t from,
            int64_t count, float threshold) {
  return search(products, terms, from, count, threshold);
}

WEIR_MATCHING_CLONES static int64_t
searchBFloat(const uint16_t *products, const BoundTerms &terms, int64_t from,
             int64_t count, float threshold) {
  return search(products, terms, from, count, threshold);
}

int64_t matching::nextChunk(const float *products, const BoundTerms &terms,
                            int64_t from, int64_t count, float threshold) {
  return searchFloat(products, terms, from, count, threshold);
}

int64_t matching::nextChunk(const uint16_t *products, const BoundTerms &terms,
                            int64_t from, int64_t count, float threshold) {
  return searchBFloat(products, terms, from, count, threshold);
}
