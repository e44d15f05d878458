//===- Folding.cpp - Bringing dictionaries to one scale ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Folding.h"

#include "Exact.h"

#include <cmath>

using namespace weir;
using namespace weir::matching;

namespace {

/// Multiplies `count` numbers by `factor`, in float64 and rounded once; with
/// `write` off it only says whether all results are finite.
bool scale(float *numbers, int64_t count, double factor, bool write) {
  for (int64_t k = 0; k < count; ++k) {
    const float scaled = static_cast<float>(numbers[k] * factor);
    if (!std::isfinite(scaled))
      return false;
    if (write)
      numbers[k] = scaled;
  }
  return true;
}

/// Folds s_i into the rows: encoder side times s_i, decoder row over s_i. Rows
/// with s_i = 0 stay. `thresholds` says whether thresholds become 1.
llvm::Error fold(const FoldedRows &rows, llvm::ArrayRef<double> factors,
                 bool thresholdsBecomeOne) {
  for (bool write : {false, true})
    for (int64_t i = 0; i < rows.features; ++i) {
      const double s = factors[i];
      if (s == 0)
        continue;
      const bool fits =
          (!rows.encoder ||
           scale(rows.encoder + i * rows.inputWidth, rows.inputWidth, s,
                 write)) &&
          (!rows.bias || scale(rows.bias + i, 1, s, write)) &&
          (!rows.threshold || thresholdsBecomeOne ||
           scale(rows.threshold + i, 1, s, write)) &&
          scale(rows.decoder + i * rows.width, rows.width, 1 / s, write);
      if (!fits)
        return llvm::createStringError(
            "feature " + llvm::Twine(i) +
            " would leave the range of f32 when it is folded");
      if (write && thresholdsBecomeOne)
        rows.threshold[i] = 1;
    }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<std::vector<int64_t>>
matching::foldThresholds(const FoldedRows &rows) {
  if (!rows.threshold || !rows.decoder)
    return llvm::createStringError(
        "folding thresholds needs thresholds and decoder rows");
  std::vector<int64_t> left;
  std::vector<double> factors(rows.features, 0.0);
  for (int64_t i = 0; i < rows.features; ++i) {
    const double theta = rows.threshold[i];
    if (!std::isfinite(theta))
      return llvm::createStringError("the threshold of feature " +
                                     llvm::Twine(i) + " is not finite");
    if (theta > 0)
      factors[i] = 1 / theta;
    else
      left.push_back(i);
  }
  if (llvm::Error error = fold(rows, factors, true))
    return std::move(error);
  return std::move(left);
}

llvm::Expected<std::vector<int64_t>>
matching::foldDecoderNorms(const FoldedRows &rows) {
  if (!rows.decoder)
    return llvm::createStringError("folding decoder norms needs decoder rows");
  std::vector<int64_t> left;
  std::vector<double> factors(rows.features, 0.0);
  for (int64_t i = 0; i < rows.features; ++i) {
    const float *row = rows.decoder + i * rows.width;
    if (!allFinite(row, rows.width))
      return llvm::createStringError("the decoder row of feature " +
                                     llvm::Twine(i) +
                                     " has NaN or infinity");
    factors[i] = std::sqrt(squaredNorm(row, rows.width));
    if (factors[i] == 0)
      left.push_back(i);
  }
  if (llvm::Error error = fold(rows, factors, false))
    return std::move(error);
  return std::move(left);
}

llvm::Expected<std::vector<int64_t>>
matching::foldMeanActivations(const FoldedRows &rows,
                              llvm::ArrayRef<float> means) {
  if (!rows.decoder)
    return llvm::createStringError(
        "folding mean activations needs decoder rows");
  if (static_cast<int64_t>(means.size()) != rows.features)
    return llvm::createStringError(
        "there are " + llvm::Twine(means.size()) + " mean activations for " +
        llvm::Twine(rows.features) + " features");
  std::vector<int64_t> left;
  std::vector<double> factors(rows.features, 0.0);
  for (int64_t i = 0; i < rows.features; ++i) {
    const double mean = means[i];
    if (!std::isfinite(mean))
      return llvm::createStringError("the mean activation of feature " +
                                     llvm::Twine(i) + " is not finite");
    if (mean > 0)
      factors[i] = 1 / mean;
    else
      left.push_back(i);
  }
  if (llvm::Error error = fold(rows, factors, false))
    return std::move(error);
  return std::move(left);
}
