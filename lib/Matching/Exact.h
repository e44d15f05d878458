//===- Exact.h - Similarities in float64 ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_EXACT_H
#define WEIR_LIB_MATCHING_EXACT_H

#include "weir/Matching/Matrix.h"

namespace weir::matching {

/// Columns of a transposed panel in exactPanel.
inline constexpr int64_t panelLanes = 16;

bool allFinite(const float *row, int64_t width);

/// sum_k row_k^2 in the order of k.
double squaredNorm(const float *row, int64_t width);

/// The raw sums (dot products, or squared distances) brought to a similarity.
inline double finish(double sum, double normA, double normB, int64_t width,
                     Similarity kind) {
  switch (kind) {
  case Similarity::Cosine: {
    const double norms = normA * normB;
    return norms > 0 ? sum / norms : 0.0;
  }
  case Similarity::Dot:
    return sum;
  case Similarity::MeanSquaredError:
    return -(sum / static_cast<double>(width));
  }
  return 0;
}

/// out[t] = similarity(a, rows[t]) for `count` rows of `width` numbers, eight
/// sums at a time.
void exactSimilarities(const float *a, double normA, const float *const *rows,
                       const double *norms, int64_t count, int64_t width,
                       Similarity kind, double *out);

/// Pairs that exactPairs takes at a time.
inline constexpr int64_t exactLanes = 8;

/// out[t] = similarity(lefts[t], rights[t]) for 1 to exactLanes pairs of rows.
void exactPairs(const float *const *lefts, const double *normsA,
                const float *const *rights, const double *normsB, int64_t count,
                int64_t width, Similarity kind, double *out);

/// out[t] = squaredNorm(rows[t]) for 1 to exactLanes rows.
void squaredNorms(const float *const *rows, int64_t count, int64_t width,
                  double *out);

/// Sums of row `a` against a panel [width, panelLanes] of transposed columns.
void exactPanel(const float *a, const double *panel, int64_t width,
                Similarity kind, double *sums);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_EXACT_H
