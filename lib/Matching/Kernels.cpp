//===- Kernels.cpp - Inner loops of the screen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "Simd.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

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

WEIR_MATCHING_CLONES static float largestOf(const float *in, int64_t width) {
  float lanes[16] = {};
  int64_t k = 0;
  for (; k + 16 <= width; k += 16)
    for (int64_t l = 0; l < 16; ++l) {
      const float value = __builtin_fabsf(in[k + l]);
      lanes[l] = value > lanes[l] ? value : lanes[l];
    }
  float largest = 0;
  for (; k < width; ++k)
    largest = std::max(largest, __builtin_fabsf(in[k]));
  for (float lane : lanes)
    largest = std::max(largest, lane);
  return largest;
}

WEIR_MATCHING_CLONES static float quantizeRow(const float *in, int64_t width,
                                              float scale, float inverse,
                                              float step, int8_t *out) {
#pragma clang fp reassociate(on)
  float lost = 0;
  for (int64_t k = 0; k < width; ++k) {
    const float value = in[k] * scale;
    // At most 127.00002 in size before it is rounded.
    const float level = __builtin_rintf(value * inverse);
    out[k] = static_cast<int8_t>(static_cast<int32_t>(level));
    const float error = value - level * step;
    lost += error * error;
  }
  return lost;
}

double matching::packBytes(const float *in, int64_t width, float scale,
                           int8_t *out, double &step) {
  const float largest = largestOf(in, width) * scale;
  if (largest == 0) {
    std::fill(out, out + width, int8_t(0));
    step = 0;
    return 0;
  }
  const float unit = largest / 127;
  step = unit;
  const double squares =
      quantizeRow(in, width, scale, 127 / largest, unit, out);
  // Beside the sum's own rounding: level * step is rounded, by at most 2^-24 of
  // the row's norm of at most 1 and a bit.
  return std::sqrt(squares + width * 0x1p-120) *
             (1.001 + static_cast<double>(width) * 0x1p-23) +
         0x1p-22;
}

WEIR_MATCHING_CLONES static float sumOfSquares(const float *in, int64_t width,
                                               float scale) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (int64_t k = 0; k < width; ++k) {
    const float value = in[k] * scale;
    sum += value * value;
  }
  return sum;
}

double matching::normBound(const float *in, int64_t width, float scale) {
  const double squares = sumOfSquares(in, width, scale);
  return std::sqrt(squares + width * 0x1p-120) *
         (1.0001 + static_cast<double>(width) * 0x1p-23);
}

WEIR_MATCHING_CLONES static void dotSums(const float *a, const float *b,
                                         int64_t width, float *out) {
#pragma clang fp contract(fast)
  float sums[dotLanes] = {};
  int64_t k = 0;
  for (; k + dotLanes <= width; k += dotLanes)
    for (int64_t l = 0; l < dotLanes; ++l)
      sums[l] += a[k + l] * b[k + l];
  for (int64_t l = 0; k < width; ++k, ++l)
    sums[l] += a[k] * b[k];
  for (int64_t l = 0; l < dotLanes; ++l)
    out[l] = sums[l];
}

float matching::dotFloat(const float *a, const float *b, int64_t width) {
  float sums[dotLanes];
  dotSums(a, b, width, sums);
  for (int64_t half = dotLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l)
      sums[l] += sums[l + half];
  return sums[0];
}

template <typename T>
[[gnu::always_inline]] static inline int64_t
collectFrom(const T *products, const BoundTerms &terms, int64_t count,
            float bar, int32_t *out) {
  const float row = terms.row, slack = terms.slack, spread = terms.spread,
              beta = terms.beta;
  int64_t found = 0;
  for (int64_t j = 0; j < count; j += chunk) {
    float upper[chunk];
    int hit = 0;
    for (int64_t l = 0; l < chunk; ++l) {
      const float p = widen(products[j + l]) * terms.scale[j + l] * row;
      upper[l] = p + __builtin_fabsf(p) * beta + terms.offset[j + l] +
                 slack * terms.weight[j + l] + spread * terms.loss[j + l];
      hit |= upper[l] >= bar;
    }
    if (!hit)
      continue;
    for (int64_t l = 0; l < chunk; ++l) {
      out[found] = static_cast<int32_t>(j + l);
      found += upper[l] >= bar;
    }
  }
  return found;
}

template <typename T>
[[gnu::always_inline]] static inline void
lowerFrom(const T *products, const BoundTerms &terms, int64_t count,
          float *out) {
  const float row = terms.row, slack = terms.slack, spread = terms.spread,
              beta = terms.beta;
  for (int64_t l = 0; l < count; ++l) {
    const float p = widen(products[l]) * terms.scale[l] * row;
    out[l] = p + terms.offset[l] - __builtin_fabsf(p) * beta -
             slack * terms.weight[l] - spread * terms.loss[l];
  }
}

/// Into lanes: the two largest of every chunk-th bound.
template <typename T>
[[gnu::always_inline]] static inline void
upperFrom(const T *products, const BoundTerms &terms, float rest,
          const float *rests, int64_t count, float *__restrict out,
          float *__restrict first, float *__restrict second) {
  const float row = terms.row, slack = terms.slack, spread = terms.spread,
              beta = terms.beta;
  for (int64_t j = 0; j < count; j += chunk)
    for (int64_t l = 0; l < chunk; ++l) {
      const float p = widen(products[j + l]) * terms.scale[j + l] * row;
      const float upper = p + __builtin_fabsf(p) * beta + terms.offset[j + l] +
                          slack * terms.weight[j + l] +
                          spread * terms.loss[j + l] + rest * rests[j + l];
      out[j + l] = upper;
      const float lesser = upper < first[l] ? upper : first[l];
      second[l] = lesser > second[l] ? lesser : second[l];
      first[l] = upper > first[l] ? upper : first[l];
    }
}

static TwoLargest largestOfLanes(const float *first, const float *second) {
  TwoLargest largest{-INFINITY, -INFINITY};
  for (int64_t l = 0; l < chunk; ++l) {
    largest.second = std::max(
        {largest.second, second[l], std::min(largest.first, first[l])});
    largest.first = std::max(largest.first, first[l]);
  }
  return largest;
}

// Function versions cannot be templates.
#define WEIR_SCREEN_KERNELS(Type, Suffix)                                      \
  WEIR_MATCHING_CLONES static int64_t collect##Suffix(                         \
      const Type *products, const BoundTerms &terms, int64_t count, float bar, \
      int32_t *out) {                                                          \
    return collectFrom(products, terms, count, bar, out);                      \
  }                                                                            \
  WEIR_MATCHING_CLONES static void lower##Suffix(                              \
      const Type *products, const BoundTerms &terms, int64_t count,            \
      float *__restrict out) {                                                 \
    lowerFrom(products, terms, count, out);                                    \
  }                                                                            \
  WEIR_MATCHING_CLONES static void upper##Suffix(                              \
      const Type *products, const BoundTerms &terms, float rest,               \
      const float *rests, int64_t count, float *__restrict out,                \
      float *__restrict first, float *__restrict second) {                     \
    upperFrom(products, terms, rest, rests, count, out, first, second);        \
  }                                                                            \
  TwoLargest matching::upperBounds(const Type *products,                       \
                                   const BoundTerms &terms, float rest,        \
                                   const float *rests, int64_t count,          \
                                   float *out) {                               \
    float first[chunk], second[chunk];                                         \
    std::fill(first, first + chunk, -INFINITY);                                \
    std::fill(second, second + chunk, -INFINITY);                              \
    upper##Suffix(products, terms, rest, rests, count, out, first, second);    \
    return largestOfLanes(first, second);                                      \
  }                                                                            \
  int64_t matching::collect(const Type *products, const BoundTerms &terms,     \
                            int64_t count, float bar, int32_t *out) {          \
    return collect##Suffix(products, terms, count, bar, out);                  \
  }                                                                            \
  void matching::lowerBounds(const Type *products, const BoundTerms &terms,    \
                             int64_t count, float *out) {                      \
    lower##Suffix(products, terms, count, out);                                \
  }
WEIR_SCREEN_KERNELS(float, Float)
WEIR_SCREEN_KERNELS(uint16_t, BFloat)
WEIR_SCREEN_KERNELS(int32_t, Bytes)
#undef WEIR_SCREEN_KERNELS

static constexpr int64_t maximaLanes = 64;

WEIR_MATCHING_CLONES static void laneMaxima(const float *numbers, int64_t count,
                                            float *maxima) {
  for (int64_t j = maximaLanes; j + maximaLanes <= count; j += maximaLanes)
    for (int64_t l = 0; l < maximaLanes; ++l)
      maxima[l] = numbers[j + l] > maxima[l] ? numbers[j + l] : maxima[l];
}

float matching::aboutTheLargest(float *numbers, int64_t count, int64_t k) {
  // Each lane's maximum is one of the numbers, so k of them are no smaller than
  // the k-th largest maximum.
  float maxima[maximaLanes];
  if (k <= maximaLanes / 2 && count >= 4 * maximaLanes) {
    std::copy_n(numbers, maximaLanes, maxima);
    laneMaxima(numbers, count, maxima);
    numbers = maxima;
    count = maximaLanes;
  }
  std::nth_element(numbers, numbers + (k - 1), numbers + count,
                   std::greater<>());
  return numbers[k - 1];
}
