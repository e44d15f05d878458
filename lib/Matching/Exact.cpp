//===- Exact.cpp - Similarities in float64 ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of two f32 numbers are exact in float64, so a fused multiply-add and
// a multiplication with an addition agree and the dot products may use either.
// The squares of differences are not exact: there, fusing is switched off, so
// that every processor gives the same sum.
//
//===----------------------------------------------------------------------===//

#include "Exact.h"
#include "Simd.h"

#include <algorithm>
#include <cmath>

using namespace weir;
using namespace weir::matching;

WEIR_MATCHING_CLONES static float zeros(const float *row, int64_t width) {
#pragma clang fp reassociate(on)
  // 0 x is 0 for finite x and NaN otherwise.
  float sum = 0;
  for (int64_t k = 0; k < width; ++k)
    sum += 0.0f * row[k];
  return sum;
}

bool matching::allFinite(const float *row, int64_t width) {
  return zeros(row, width) == 0;
}

double matching::squaredNorm(const float *row, int64_t width) {
  double sum = 0;
  for (int64_t k = 0; k < width; ++k)
    sum += static_cast<double>(row[k]) * row[k];
  return sum;
}

static constexpr int64_t chains = 8;

WEIR_MATCHING_CLONES static void dots(const float *a, const float *const *rows,
                                      int64_t width, double *out) {
#pragma clang fp contract(fast)
  double sums[chains] = {};
  for (int64_t k = 0; k < width; ++k)
    for (int64_t t = 0; t < chains; ++t)
      sums[t] += static_cast<double>(a[k]) * static_cast<double>(rows[t][k]);
  for (int64_t t = 0; t < chains; ++t)
    out[t] = sums[t];
}

WEIR_MATCHING_CLONES static void distances(const float *a,
                                           const float *const *rows,
                                           int64_t width, double *out) {
#pragma clang fp contract(off)
  double sums[chains] = {};
  for (int64_t k = 0; k < width; ++k)
    for (int64_t t = 0; t < chains; ++t) {
      const double difference =
          static_cast<double>(a[k]) - static_cast<double>(rows[t][k]);
      const double square = difference * difference;
      sums[t] += square;
    }
  for (int64_t t = 0; t < chains; ++t)
    out[t] = sums[t];
}

void matching::exactSimilarities(const float *a, double normA,
                                 const float *const *rows, const double *norms,
                                 int64_t count, int64_t width, Similarity kind,
                                 double *out) {
  for (int64_t t = 0; t < count; t += chains) {
    const int64_t here = std::min(chains, count - t);
    const float *group[chains];
    for (int64_t s = 0; s < chains; ++s)
      group[s] = rows[t + std::min(s, here - 1)];
    double sums[chains];
    if (kind == Similarity::MeanSquaredError)
      distances(a, group, width, sums);
    else
      dots(a, group, width, sums);
    for (int64_t s = 0; s < here; ++s)
      out[t + s] = finish(sums[s], normA, norms[t + s], width, kind);
  }
}

// Eight columns of each row at a time are laid side by side, which leaves the
// order of every sum as it is.
static constexpr int64_t tile = 8;

[[gnu::always_inline]] static inline void
layTile(const float *const *rows, int64_t k, float (*out)[exactLanes]) {
  for (int64_t t = 0; t < exactLanes; ++t)
    for (int64_t s = 0; s < tile; ++s)
      out[s][t] = rows[t][k + s];
}

WEIR_MATCHING_CLONES static void pairDots(const float *const *lefts,
                                          const float *const *rights,
                                          int64_t width, double *out) {
#pragma clang fp contract(fast)
  double sums[exactLanes] = {};
  float a[tile][exactLanes], b[tile][exactLanes];
  int64_t k = 0;
  for (; k + tile <= width; k += tile) {
    layTile(lefts, k, a);
    layTile(rights, k, b);
    for (int64_t s = 0; s < tile; ++s)
      for (int64_t t = 0; t < exactLanes; ++t)
        sums[t] += static_cast<double>(a[s][t]) * static_cast<double>(b[s][t]);
  }
  for (; k < width; ++k)
    for (int64_t t = 0; t < exactLanes; ++t)
      sums[t] += static_cast<double>(lefts[t][k]) *
                 static_cast<double>(rights[t][k]);
  for (int64_t t = 0; t < exactLanes; ++t)
    out[t] = sums[t];
}

WEIR_MATCHING_CLONES static void pairDistances(const float *const *lefts,
                                               const float *const *rights,
                                               int64_t width, double *out) {
#pragma clang fp contract(off)
  double sums[exactLanes] = {};
  float a[tile][exactLanes], b[tile][exactLanes];
  auto add = [&](int64_t t, float x, float y) {
    const double difference = static_cast<double>(x) - static_cast<double>(y);
    const double square = difference * difference;
    sums[t] += square;
  };
  int64_t k = 0;
  for (; k + tile <= width; k += tile) {
    layTile(lefts, k, a);
    layTile(rights, k, b);
    for (int64_t s = 0; s < tile; ++s)
      for (int64_t t = 0; t < exactLanes; ++t)
        add(t, a[s][t], b[s][t]);
  }
  for (; k < width; ++k)
    for (int64_t t = 0; t < exactLanes; ++t)
      add(t, lefts[t][k], rights[t][k]);
  for (int64_t t = 0; t < exactLanes; ++t)
    out[t] = sums[t];
}

void matching::exactPairs(const float *const *lefts, const double *normsA,
                          const float *const *rights, const double *normsB,
                          int64_t count, int64_t width, Similarity kind,
                          double *out) {
  const float *a[exactLanes], *b[exactLanes];
  for (int64_t t = 0; t < exactLanes; ++t) {
    a[t] = lefts[std::min(t, count - 1)];
    b[t] = rights[std::min(t, count - 1)];
  }
  double sums[exactLanes];
  if (kind == Similarity::MeanSquaredError)
    pairDistances(a, b, width, sums);
  else
    pairDots(a, b, width, sums);
  for (int64_t t = 0; t < count; ++t)
    out[t] = finish(sums[t], normsA[t], normsB[t], width, kind);
}

void matching::squaredNorms(const float *const *rows, int64_t count,
                            int64_t width, double *out) {
  const double none[exactLanes] = {};
  exactPairs(rows, none, rows, none, count, width, Similarity::Dot, out);
}

WEIR_MATCHING_CLONES static void panelDots(const float *a, const double *panel,
                                           int64_t width, double *sums) {
#pragma clang fp contract(fast)
  double local[panelLanes] = {};
  for (int64_t k = 0; k < width; ++k)
    for (int64_t l = 0; l < panelLanes; ++l)
      local[l] += static_cast<double>(a[k]) * panel[k * panelLanes + l];
  for (int64_t l = 0; l < panelLanes; ++l)
    sums[l] = local[l];
}

WEIR_MATCHING_CLONES static void panelDistances(const float *a,
                                                const double *panel,
                                                int64_t width, double *sums) {
#pragma clang fp contract(off)
  double local[panelLanes] = {};
  for (int64_t k = 0; k < width; ++k)
    for (int64_t l = 0; l < panelLanes; ++l) {
      const double difference =
          static_cast<double>(a[k]) - panel[k * panelLanes + l];
      const double square = difference * difference;
      local[l] += square;
    }
  for (int64_t l = 0; l < panelLanes; ++l)
    sums[l] = local[l];
}

void matching::exactPanel(const float *a, const double *panel, int64_t width,
                          Similarity kind, double *sums) {
  if (kind == Similarity::MeanSquaredError)
    panelDistances(a, panel, width, sums);
  else
    panelDots(a, panel, width, sums);
}
