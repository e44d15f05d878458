//===- Maps.h - Matches over several layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is done with matches once they are found: composing them over layers,
// keeping those that agree in both directions, and judging them without text.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_MAPS_H
#define WEIR_MATCHING_MAPS_H

#include "weir/Matching/TopK.h"

namespace weir::matching {

/// P(A -> C) = P(B -> C) P(A -> B) (SAE Match, arXiv 2410.07656): entry i is
/// second[first[i]]; -1 where either step has no match (-1). Errors: an entry
/// of `first` outside -1..second.size() - 1.
llvm::Expected<std::vector<int64_t>>
composePermutations(llvm::ArrayRef<int64_t> first,
                    llvm::ArrayRef<int64_t> second);

/// A sparse map of features: row i leads to indices[starts[i] .. starts[i + 1])
/// with positive weights, largest first, equal weights by ascending index.
struct FeatureMap {
  std::vector<int64_t> starts = {0}; ///< [F + 1]
  std::vector<int64_t> indices;
  std::vector<double> weights;

  int64_t rows() const { return static_cast<int64_t>(starts.size()) - 1; }
};

/// The transition of the k best matches, T = [similarity > 0] (arXiv
/// 2502.03032), with the similarities as weights: of `indices` and `values`, [F, k]
/// each, where an index of -1 stands for no match. `least` drops those below it.
FeatureMap mapOf(int64_t k, llvm::ArrayRef<int64_t> indices,
                 llvm::ArrayRef<double> values, double least = 0);
inline FeatureMap mapOf(const TopK &matches, double least = 0) {
  return mapOf(matches.k, matches.indices, matches.values, least);
}

/// Two steps: the weight of (i, j) is the largest product of weights over the
/// paths from i to j; the `keep` heaviest stay. Errors: keep < 1, an index of
/// `first` that `second` has no row for.
llvm::Expected<FeatureMap> composeMaps(const FeatureMap &first,
                                       const FeatureMap &second, int64_t keep);

/// [F]: the best match j of row i if i is the best match of j, else -1. Takes
/// the k = 1 (or first of k) matches in both directions. Errors: sizes that do
/// not belong together.
llvm::Expected<std::vector<int64_t>> mutualBest(const TopK &forward,
                                                const TopK &backward);
/// The same for index arrays [F, strideA] and [F', strideB] of which the first
/// column counts. Errors: also an array that is no multiple of its stride.
llvm::Expected<std::vector<int64_t>>
mutualBest(llvm::ArrayRef<int64_t> forward, int64_t strideA,
           llvm::ArrayRef<int64_t> backward, int64_t strideB);

/// How well the matched pairs (i, match[i]) agree; rows with -1 are left out.
struct Quality {
  int64_t pairs = 0;
  double meanCosine = 0;
  double meanSquaredError = 0; ///< mean over the pairs of |a_i - b_j|^2 / d
  std::vector<double> cosine;       ///< [F], NaN where match[i] is -1
  std::vector<double> squaredError; ///< [F], NaN where match[i] is -1
  /// The squared errors at the quantiles asked for, interpolated linearly
  /// between order statistics. A row above a quantile is one that SAE Match's
  /// substitution leaves unmatched.
  std::vector<double> errorQuantiles;
};

/// Errors: widths that differ, match.size() != F, an index outside
/// -1..F' - 1, a quantile outside 0..1, NaN or infinity. Means and quantiles
/// are NaN without a pair.
llvm::Expected<Quality> matchQuality(const Matrix &a, const Matrix &b,
                                     llvm::ArrayRef<int64_t> match,
                                     llvm::ArrayRef<double> quantiles = {});

} // namespace weir::matching

#endif // WEIR_MATCHING_MAPS_H
