//===- Maps.cpp - Matches over several layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Maps.h"

#include "Scan.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace weir;
using namespace weir::matching;

llvm::Expected<std::vector<int64_t>>
matching::composePermutations(llvm::ArrayRef<int64_t> first,
                              llvm::ArrayRef<int64_t> second) {
  std::vector<int64_t> result(first.size(), -1);
  const int64_t size = static_cast<int64_t>(second.size());
  for (auto [i, j] : llvm::enumerate(first)) {
    if (j < -1 || j >= size)
      return llvm::createStringError(
          "entry " + llvm::Twine(i) + " of the first map is " + llvm::Twine(j) +
          ", but the second map has " + llvm::Twine(size) + " rows");
    if (j >= 0)
      result[i] = second[j];
  }
  return std::move(result);
}

FeatureMap matching::mapOf(int64_t k, llvm::ArrayRef<int64_t> indices,
                           llvm::ArrayRef<double> values, double least) {
  FeatureMap map;
  const int64_t size = static_cast<int64_t>(indices.size());
  for (int64_t row = 0; row < size; row += k) {
    for (int64_t t = row; t < row + k; ++t)
      if (indices[t] >= 0 && values[t] > 0 && values[t] >= least) {
        map.indices.push_back(indices[t]);
        map.weights.push_back(values[t]);
      }
    map.starts.push_back(static_cast<int64_t>(map.indices.size()));
  }
  return map;
}

llvm::Expected<FeatureMap> matching::composeMaps(const FeatureMap &first,
                                                 const FeatureMap &second,
                                                 int64_t keep) {
  if (keep < 1)
    return llvm::createStringError("keep = " + llvm::Twine(keep) +
                                   " is less than 1");
  FeatureMap result;
  llvm::DenseMap<int64_t, double> reached;
  std::vector<std::pair<double, int64_t>> best;
  for (int64_t i = 0; i < first.rows(); ++i) {
    reached.clear();
    for (int64_t s = first.starts[i]; s < first.starts[i + 1]; ++s) {
      const int64_t middle = first.indices[s];
      if (middle < 0 || middle >= second.rows())
        return llvm::createStringError(
            "row " + llvm::Twine(i) + " of the first map leads to " +
            llvm::Twine(middle) + ", but the second map has " +
            llvm::Twine(second.rows()) + " rows");
      for (int64_t t = second.starts[middle]; t < second.starts[middle + 1];
           ++t) {
        double &weight = reached[second.indices[t]];
        weight = std::max(weight, first.weights[s] * second.weights[t]);
      }
    }
    best.clear();
    for (auto [index, weight] : reached)
      best.push_back({-weight, index});
    llvm::sort(best);
    for (auto [weight, index] : llvm::ArrayRef(best).take_front(keep)) {
      result.indices.push_back(index);
      result.weights.push_back(-weight);
    }
    result.starts.push_back(static_cast<int64_t>(result.indices.size()));
  }
  return std::move(result);
}

llvm::Expected<std::vector<int64_t>>
matching::mutualBest(const TopK &forward, const TopK &backward) {
  return mutualBest(forward.indices, forward.k, backward.indices, backward.k);
}

llvm::Expected<std::vector<int64_t>>
matching::mutualBest(llvm::ArrayRef<int64_t> forward, int64_t strideA,
                     llvm::ArrayRef<int64_t> backward, int64_t strideB) {
  const int64_t sizeA = static_cast<int64_t>(forward.size()),
                sizeB = static_cast<int64_t>(backward.size());
  if (strideA < 1 || strideB < 1 || sizeA % strideA != 0 ||
      sizeB % strideB != 0)
    return llvm::createStringError("matches that are no whole rows");
  const int64_t rows = sizeA / strideA, columns = sizeB / strideB;
  std::vector<int64_t> result(rows, -1);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t j = forward[i * strideA];
    if (j < 0 || j >= columns)
      return llvm::createStringError(
          "row " + llvm::Twine(i) + " has match " + llvm::Twine(j) +
          ", but the way back has " + llvm::Twine(columns) + " rows");
    const int64_t back = backward[j * strideB];
    if (back < 0 || back >= rows)
      return llvm::createStringError("row " + llvm::Twine(j) +
                                     " has match back " + llvm::Twine(back) +
                                     ", but there are only " +
                                     llvm::Twine(rows) + " rows");
    if (back == i)
      result[i] = j;
  }
  return std::move(result);
}

llvm::Expected<Quality>
matching::matchQuality(const Matrix &a, const Matrix &b,
                       llvm::ArrayRef<int64_t> match,
                       llvm::ArrayRef<double> quantiles) {
  if (llvm::Error error = checkPair(a, b))
    return std::move(error);
  if (static_cast<int64_t>(match.size()) != a.rows())
    return llvm::createStringError("there are " + llvm::Twine(match.size()) +
                                   " matches, but matrix '" + a.name() +
                                   "' has " + llvm::Twine(a.rows()) + " rows");
  for (auto [i, j] : llvm::enumerate(match))
    if (j < -1 || j >= b.rows())
      return llvm::createStringError(
          "row " + llvm::Twine(i) + " has match " + llvm::Twine(j) +
          ", but matrix '" + b.name() + "' has " + llvm::Twine(b.rows()) +
          " rows");
  for (double quantile : quantiles)
    if (!(quantile >= 0 && quantile <= 1))
      return llvm::createStringError("a quantile is outside 0..1");
  for (const Matrix *matrix : {&a, &b})
    if (llvm::Error error = matrix->checkFinite())
      return std::move(error);

  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  Quality quality;
  quality.cosine.assign(a.rows(), none);
  quality.squaredError.assign(a.rows(), none);
  std::vector<double> errors;
  double cosines = 0, squares = 0;
  for (auto [i, j] : llvm::enumerate(match)) {
    if (j < 0)
      continue;
    quality.cosine[i] = similarity(a, i, b, j, Similarity::Cosine);
    quality.squaredError[i] =
        -similarity(a, i, b, j, Similarity::MeanSquaredError);
    cosines += quality.cosine[i];
    squares += quality.squaredError[i];
    errors.push_back(quality.squaredError[i]);
  }
  quality.pairs = static_cast<int64_t>(errors.size());
  quality.meanCosine = errors.empty() ? none : cosines / quality.pairs;
  quality.meanSquaredError = errors.empty() ? none : squares / quality.pairs;
  llvm::sort(errors);
  for (double quantile : quantiles) {
    if (errors.empty()) {
      quality.errorQuantiles.push_back(none);
      continue;
    }
    const double place = quantile * (quality.pairs - 1);
    const int64_t below = static_cast<int64_t>(place);
    const int64_t above = std::min(below + 1, quality.pairs - 1);
    quality.errorQuantiles.push_back(
        errors[below] + (place - below) * (errors[above] - errors[below]));
  }
  return std::move(quality);
}
