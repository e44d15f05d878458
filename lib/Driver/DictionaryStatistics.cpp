//===- DictionaryStatistics.cpp - How good dictionaries are on a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/DictionaryStatistics.h"

#include "llvm/ADT/STLExtras.h"

#include <cassert>
#include <cmath>

using namespace llvm;
using namespace weir;

/// The span of a token's entries in a record.
static std::pair<ArrayRef<int32_t>, ArrayRef<float>>
entriesOf(const SparseRecord &record, int64_t token) {
  const int64_t begin = record.starts[token];
  const int64_t count = record.starts[token + 1] - begin;
  return {ArrayRef(record.features).slice(begin, count),
          ArrayRef(record.values).slice(begin, count)};
}

DictionaryStatistics::DictionaryStatistics(
    int64_t features, std::optional<Reconstruction> reconstruction)
    : reconstruction(std::move(reconstruction)), counts(features, 0) {}

Error DictionaryStatistics::add(const SparseRecord &activations,
                                const SparseRecord *values) {
  for (auto [feature, strength] :
       zip_equal(activations.features, activations.values))
    if (strength > 0) {
      ++counts[feature];
      ++numActive;
    }
  if (reconstruction) {
    assert(values && "a reconstruction is compared with the site's values");
    if (Error error = addError(activations, *values))
      return error;
  }
  numTokens += static_cast<int64_t>(activations.starts.size()) - 1;
  return Error::success();
}

/// What the normalisation divided x by is multiplied in again.
static void denormalize(Normalization normalization,
                        const Eigen::RowVectorXd &x, Eigen::RowVectorXd &out) {
  const double width = static_cast<double>(x.size());
  if (normalization == Normalization::ConstantNorm) {
    out *= x.norm() / std::sqrt(width);
  } else if (normalization == Normalization::LayerNorm) {
    const double mean = x.mean();
    out *= std::sqrt((x.array() - mean).square().sum() / (width - 1));
    out.array() += mean;
  }
}

Error DictionaryStatistics::addError(const SparseRecord &activations,
                                     const SparseRecord &values) {
  // Only the rows of features that are active here are read.
  std::vector<int64_t> used(activations.features.begin(),
                            activations.features.end());
  llvm::sort(used);
  used.erase(llvm::unique(used), used.end());
  RowMatrix rows;
  if (!used.empty()) { // no feature would mean all of them
    Expected<RowMatrix> read = reconstruction->dictionary->decoder(used);
    if (!read)
      return read.takeError();
    rows = std::move(*read);
  }
  std::vector<Eigen::Index> rowOf(counts.size(), 0);
  for (auto [row, feature] : enumerate(used))
    rowOf[feature] = static_cast<Eigen::Index>(row);

  const int64_t tokens = static_cast<int64_t>(activations.starts.size()) - 1;
  Eigen::RowVectorXd x, built;
  for (int64_t token = 0; token < tokens; ++token) {
    x = Eigen::RowVectorXd::Zero(reconstruction->bias.size());
    auto [places, numbers] = entriesOf(values, token);
    for (auto [place, number] : zip_equal(places, numbers))
      x[place] = number;
    if (reconstruction->isCentred)
      x.array() -= x.mean();
    built = reconstruction->bias.cast<double>();
    auto [features, strengths] = entriesOf(activations, token);
    for (auto [feature, strength] : zip_equal(features, strengths))
      built += static_cast<double>(strength) *
               rows.row(rowOf[feature]).cast<double>();
    denormalize(reconstruction->dictionary->info().normalization, x, built);
    error += (x - built).squaredNorm();
    if (first.size() == 0) {
      first = x;
      sum = Eigen::RowVectorXd::Zero(x.size());
    }
    x -= first;
    sum += x;
    squares += x.squaredNorm();
  }
  return Error::success();
}

DictionaryStatistics::State DictionaryStatistics::state() const {
  State state{counts, {error, squares}};
  state.counts.insert(state.counts.end(), {numTokens, numActive});
  state.sums.insert(state.sums.end(), first.begin(), first.end());
  state.sums.insert(state.sums.end(), sum.begin(), sum.end());
  return state;
}

bool DictionaryStatistics::resume(const State &state) {
  if (state.counts.size() != counts.size() + 2 || state.sums.size() < 2 ||
      state.sums.size() % 2 != 0)
    return false;
  counts.assign(state.counts.begin(), state.counts.end() - 2);
  numTokens = state.counts[counts.size()];
  numActive = state.counts[counts.size() + 1];
  error = state.sums[0];
  squares = state.sums[1];
  const auto width = static_cast<Eigen::Index>(state.sums.size() / 2 - 1);
  first = Eigen::Map<const Eigen::RowVectorXd>(state.sums.data() + 2, width);
  sum = Eigen::Map<const Eigen::RowVectorXd>(state.sums.data() + 2 + width, width);
  return true;
}

double DictionaryStatistics::l0() const {
  return numTokens ? static_cast<double>(numActive) /
                         static_cast<double>(numTokens)
                   : 0;
}

std::optional<double> DictionaryStatistics::explainedVariance() const {
  if (!reconstruction || numTokens == 0)
    return std::nullopt;
  const double variance =
      squares - sum.squaredNorm() / static_cast<double>(numTokens);
  if (!(variance > 1e-12 * squares))
    return std::nullopt;
  return 1 - error / variance;
}

int64_t DictionaryStatistics::silent() const {
  return count(counts, int64_t(0));
}

void MatchStatistics::add(ArrayRef<int32_t> sourceFeatures,
                          ArrayRef<uint8_t> isActive) {
  for (int32_t feature : sourceFeatures)
    if (best[feature] >= 0 && isActive[best[feature]])
      ++both[feature];
}

bool MatchStatistics::resume(ArrayRef<int64_t> counts) {
  if (counts.size() != both.size())
    return false;
  both.assign(counts.begin(), counts.end());
  return true;
}

MatchStatistics::Scores
MatchStatistics::scores(ArrayRef<int64_t> sourceActive,
                        ArrayRef<int64_t> targetActive) const {
  struct Mean {
    double sum = 0;
    int64_t count = 0;
    void add(int64_t part, int64_t whole) {
      if (whole == 0)
        return;
      sum += static_cast<double>(part) / static_cast<double>(whole);
      ++count;
    }
    double value() const { return count ? sum / static_cast<double>(count) : 0; }
  };
  Mean givenFeature, givenMatch, jaccard;
  for (size_t i = 0; i < best.size(); ++i) {
    if (best[i] < 0)
      continue;
    const int64_t a = sourceActive[i], b = targetActive[best[i]];
    givenFeature.add(both[i], a);
    givenMatch.add(both[i], b);
    jaccard.add(both[i], a + b - both[i]);
  }
  return {givenFeature.count, givenFeature.value(), givenMatch.value(),
          jaccard.value()};
}
