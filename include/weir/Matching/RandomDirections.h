//===- RandomDirections.h - What similarity chance reaches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cosine says little by itself: among many features of few dimensions the best one
// is similar to anything. How similar, random directions tell.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_RANDOMDIRECTIONS_H
#define WEIR_MATCHING_RANDOMDIRECTIONS_H

#include "weir/Matching/DictionaryMatch.h"
#include "weir/Matching/TopK.h"

namespace weir::matching {

/// Directions that are drawn. Up to the quantile of 0.999 at least two are better.
inline constexpr int64_t randomDirections = 2048;

/// For `randomDirections` directions, the same in every run, with independent
/// normal coordinates: the cosine with the most similar of `rows`, ascending. Errors:
/// those of topK.
llvm::Expected<std::vector<double>>
bestOfRandomDirections(const Matrix &rows, const Options &options = {});

/// The same, kept in the cache under the hash of the rows. A damaged entry is made
/// anew, with a word to `warn`.
llvm::Expected<std::vector<double>>
bestOfRandomDirections(const FeatureRows &rows, const ResultCache &cache,
                       const Options &options,
                       llvm::function_ref<void(llvm::StringRef)> warn);

/// The q-quantile of ascending numbers, q in 0..1, linear between order statistics.
double quantileOf(llvm::ArrayRef<double> ascending, double q);

} // namespace weir::matching

#endif // WEIR_MATCHING_RANDOMDIRECTIONS_H
