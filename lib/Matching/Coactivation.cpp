//===- Coactivation.cpp - Similarity of features by their activations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Coactivation.h"

#include "CoactivationTable.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace weir;
using namespace weir::matching;
using llvm::createStringError;
using llvm::Twine;

Coactivations::Coactivations() = default;
Coactivations::Coactivations(Coactivations &&) = default;
Coactivations &Coactivations::operator=(Coactivations &&) = default;
Coactivations::~Coactivations() = default;

llvm::Expected<Coactivations>
Coactivations::make(llvm::ArrayRef<int64_t> features,
                    llvm::ArrayRef<std::pair<size_t, size_t>> pairs) {
  Coactivations result;
  for (auto [index, count] : llvm::enumerate(features)) {
    if (count < 0 || count > INT32_MAX)
      return createStringError("dictionary " + Twine(index) + " has " +
                               Twine(count) + " features");
    Moments &moments = result.dictionaries.emplace_back();
    moments.sum.resize(count);
    moments.squares.resize(count);
    moments.fired.resize(count);
  }
  result.pairList.assign(pairs.begin(), pairs.end());
  for (auto [index, pair] : llvm::enumerate(pairs)) {
    for (size_t dictionary : {pair.first, pair.second})
      if (dictionary >= features.size())
        return createStringError("pair " + Twine(index) + " names dictionary " +
                                 Twine(dictionary) + " of " +
                                 Twine(features.size()));
    size_t earlier = llvm::find(pairs, pair) - pairs.begin();
    if (earlier < index) {
      result.tableIndex.push_back(result.tableIndex[earlier]);
      continue;
    }
    result.tableIndex.push_back(result.tables.size());
    result.tables.emplace_back(features[pair.first], features[pair.second]);
  }
  return std::move(result);
}

//===----------------------------------------------------------------------===//
// Adding tokens
//===----------------------------------------------------------------------===//

llvm::Error
Coactivations::check(llvm::ArrayRef<SparseActivations> batch) const {
  if (batch.size() != dictionaries.size())
    return createStringError(
        "activations of " + Twine(batch.size()) + " dictionaries for " +
        Twine(dictionaries.size()));
  for (auto [index, rows] : llvm::enumerate(batch)) {
    auto fail = [&, index = index](const Twine &what) {
      return createStringError("activations of dictionary " + Twine(index) +
                               ": " + what);
    };
    const int64_t size = static_cast<int64_t>(rows.values.size());
    if (rows.starts.empty() || rows.starts.front() != 0 ||
        rows.starts.back() != size ||
        static_cast<int64_t>(rows.features.size()) != size ||
        !llvm::is_sorted(rows.starts))
      return fail("starts, features and values do not fit each other");
    if (rows.tokens() != batch.front().tokens())
      return fail(Twine(rows.tokens()) + " tokens, where others have " +
                  Twine(batch.front().tokens()));
    for (int64_t token = 0; token < rows.tokens(); ++token) {
      int64_t last = -1;
      for (int64_t at = rows.starts[token]; at < rows.starts[token + 1]; ++at) {
        const int64_t feature = rows.features[at];
        if (feature <= last || feature >= features(index))
          return fail("feature " + Twine(feature) + " at token " +
                      Twine(token) +
                      (feature >= 0 && feature < features(index)
                           ? " is not in ascending order"
                           : " is outside of 0.." +
                                 std::to_string(features(index) - 1)));
        last = feature;
        if (!std::isfinite(rows.values[at]))
          return fail(
              Twine(std::isnan(rows.values[at]) ? "NaN" : "infinity") +
              " at token " + Twine(token) + ", feature " + Twine(feature));
      }
    }
  }
  if (!batch.empty() && batch.front().tokens() > maxTokens - numTokens)
    return createStringError("more than " + Twine(maxTokens) + " tokens");
  return llvm::Error::success();
}

llvm::Error Coactivations::add(llvm::ArrayRef<SparseActivations> batch) {
  if (llvm::Error error = check(batch))
    return error;
  if (batch.empty())
    return llvm::Error::success();

  for (auto [moments, rows] : llvm::zip(dictionaries, batch))
    for (auto [feature, value] : llvm::zip(rows.features, rows.values)) {
      moments.sum[feature] += value;
      moments.squares[feature] += static_cast<double>(value) * value;
      moments.fired[feature] += value > 0;
    }

  // Each cell gets its products in the order of the tokens, whichever loop is
  // the outer one; table by table keeps one table in the caches.
  const int64_t count = batch.front().tokens();
  for (auto [index, pair] : llvm::enumerate(pairList)) {
    CoactivationTable &table = tables[tableIndex[index]];
    // A repeated pair.
    if (llvm::find(tableIndex, tableIndex[index]) - tableIndex.begin() !=
        static_cast<int64_t>(index))
      continue;
    const SparseActivations &a = batch[pair.first], &b = batch[pair.second];
    for (int64_t token = 0; token < count; ++token)
      for (int64_t s = a.starts[token]; s < a.starts[token + 1]; ++s) {
        const double left = a.values[s];
        if (left == 0)
          continue;
        for (int64_t t = b.starts[token]; t < b.starts[token + 1]; ++t) {
          const double right = b.values[t];
          if (right == 0)
            continue;
          CoactivationTable::Cell &cell =
              table.at(a.features[s], b.features[t]);
          cell.products += left * right;
          cell.fired += left > 0 && right > 0;
        }
      }
  }
  numTokens += count;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

llvm::Error Coactivations::checkPairIndex(size_t pair) const {
  if (pair >= pairList.size())
    return createStringError("there is no pair " + Twine(pair) + ", only " +
                             Twine(pairList.size()));
  if (numTokens == 0)
    return createStringError("no token has been seen");
  return llvm::Error::success();
}

const CoactivationTable &Coactivations::tableOf(size_t pair) const {
  return tables[tableIndex[pair]];
}

std::vector<float> Coactivations::meansWhereFired(size_t dictionary) const {
  const Moments &moments = dictionaries[dictionary];
  std::vector<float> means;
  means.reserve(moments.sum.size());
  for (auto [sum, fired] : llvm::zip_equal(moments.sum, moments.fired))
    means.push_back(fired ? static_cast<float>(sum / fired) : 0.0f);
  return means;
}

int64_t Coactivations::coactivePairs(size_t pair) const {
  return tableOf(pair).size();
}

Coactivations::Standard Coactivations::standardOf(size_t dictionary) const {
  const Moments &moments = dictionaries[dictionary];
  const double n = static_cast<double>(numTokens);
  // Each of q and s^2 / n is off by less than (2 n + 4) 2^-53 q: n - 1 additions
  // of each sum, s counting twice (|s|^2 <= n q), and the operations after them.
  const double rounding =
      4 * (n + 2) * (std::numeric_limits<double>::epsilon() / 2);
  Standard result;
  result.deviation.resize(moments.sum.size());
  result.mean.resize(moments.sum.size());
  for (auto [i, sum] : llvm::enumerate(moments.sum)) {
    const double squares = moments.squares[i];
    const double centred = squares - sum * sum / n;
    if (!(centred > rounding * squares))
      continue;
    result.deviation[i] = std::sqrt(centred);
    result.mean[i] = sum / (std::sqrt(n) * result.deviation[i]);
  }
  return result;
}

/// The definition at the top of Coactivation.h. With products = 0 it is
/// -(u v), which falls as v grows (u > 0) even after rounding.
static double correlation(double deviationA, double meanA, double deviationB,
                          double meanB, double products) {
  if (deviationA == 0 || deviationB == 0)
    return 0;
  const double value =
      products / (deviationA * deviationB) - meanA * meanB;
  return std::clamp(value, -1.0, 1.0) + 0.0; // no -0
}

llvm::Expected<double> Coactivations::pearson(size_t pair, int64_t first,
                                              int64_t second) const {
  if (llvm::Error error = checkPairIndex(pair))
    return std::move(error);
  const CoactivationTable &table = tableOf(pair);
  if (first < 0 || first >= table.rows() || second < 0 ||
      second >= table.columns())
    return createStringError("there are no features " + Twine(first) + " and " +
                             Twine(second) + " among " + Twine(table.rows()) +
                             " and " + Twine(table.columns()));
  const Standard a = standardOf(pairList[pair].first);
  const Standard b = standardOf(pairList[pair].second);
  const CoactivationTable::Cell *cell = table.find(first, second);
  return correlation(a.deviation[first], a.mean[first], b.deviation[second],
                     b.mean[second], cell ? cell->products : 0);
}

namespace {

struct Candidate {
  double value;
  int32_t column;
  bool operator<(const Candidate &other) const {
    return value != other.value ? value > other.value : column < other.column;
  }
};

/// The columns of B that a row never fires with, best first. Their correlation
/// is -u_i u_j, so all rows visit them in one of two orders.
class ByMean {
public:
  explicit ByMean(llvm::ArrayRef<double> mean) : mean(mean) {
    order.resize(mean.size());
    for (auto [j, column] : llvm::enumerate(order))
      column = static_cast<int32_t>(j);
    llvm::sort(order, [&](int32_t x, int32_t y) {
      return mean[x] != mean[y] ? mean[x] < mean[y] : x < y;
    });
    for (size_t at = 0; at < order.size(); ++at)
      if (at == 0 || mean[order[at]] != mean[order[at - 1]])
        runs.push_back(at);
    runs.push_back(order.size());
  }

  /// Adds at least the k best of the columns that `skip` does not have, as far
  /// as there are so many and they can be among the k best together with what
  /// `found` has already (k of them sorted, or fewer).
  template <typename Value, typename Skip>
  void collect(double rowMean, int64_t k, Value valueOf, Skip skip,
               std::vector<Candidate> &found) const {
    const bool enough = static_cast<int64_t>(found.size()) >= k;
    const double least = enough ? found[k - 1].value : 0;
    int64_t taken = 0;
    double last = 0;
    if (rowMean == 0) {
      // All values are equal: the lowest columns.
      for (int32_t j = 0; j < static_cast<int32_t>(mean.size()) && taken < k;
           ++j)
        if (!skip(j)) {
          found.push_back({valueOf(j), j});
          ++taken;
        }
      return;
    }
    const size_t count = runs.size() - 1;
    for (size_t step = 0; step < count; ++step) {
      const size_t run = rowMean > 0 ? step : count - 1 - step;
      const double value = valueOf(order[runs[run]]);
      // Different means may give equal products: those go on.
      if ((taken >= k && value < last) || (enough && value < least))
        return;
      int64_t ofRun = 0;
      for (size_t at = runs[run]; at < runs[run + 1] && ofRun < k; ++at)
        if (!skip(order[at])) {
          found.push_back({value, order[at]});
          last = value;
          ++ofRun;
        }
      taken += ofRun;
    }
  }

private:
  llvm::ArrayRef<double> mean;
  std::vector<int32_t> order; ///< columns by ascending mean, then index
  std::vector<size_t> runs;   ///< where equal means begin, and the end
};

} // namespace

llvm::Expected<TopK> Coactivations::pearsonTopK(size_t pair, int64_t k) const {
  if (llvm::Error error = checkPairIndex(pair))
    return std::move(error);
  const CoactivationTable &table = tableOf(pair);
  if (k < 1 || k > table.columns())
    return createStringError("k = " + Twine(k) + " is outside 1.." +
                             Twine(table.columns()));
  const Standard a = standardOf(pairList[pair].first);
  const Standard b = standardOf(pairList[pair].second);
  const ByMean others(b.mean);

  TopK result;
  result.rows = table.rows();
  result.k = k;
  result.distinct = table.columns();
  result.screen = Screen::Automatic;
  result.indices.resize(table.rows() * k);
  result.values.resize(table.rows() * k);
  std::vector<int32_t> coactiveWith(table.columns(), -1);
  std::vector<Candidate> found;
  for (int64_t i = 0; i < table.rows(); ++i) {
    found.clear();
    auto valueOf = [&](int32_t j, double products) {
      return correlation(a.deviation[i], a.mean[i], b.deviation[j], b.mean[j],
                         products);
    };
    if (a.deviation[i] != 0)
      table.row(i).forEach([&](const CoactivationTable::Cell &cell) {
        coactiveWith[cell.column] = static_cast<int32_t>(i);
        found.push_back({valueOf(cell.column, cell.products), cell.column});
      });
    if (static_cast<int64_t>(found.size()) > k) {
      std::nth_element(found.begin(), found.begin() + (k - 1), found.end());
      found.resize(k);
    }
    llvm::sort(found);
    result.survivors += static_cast<int64_t>(found.size());
    others.collect(
        a.mean[i], k, [&](int32_t j) { return valueOf(j, 0); },
        [&](int32_t j) { return coactiveWith[j] == i; }, found);
    llvm::sort(found);
    for (int64_t t = 0; t < k; ++t) {
      result.indices[i * k + t] = found[t].column;
      result.values[i * k + t] = found[t].value;
    }
  }
  return std::move(result);
}

llvm::Expected<FiringTogether>
Coactivations::firingTogether(size_t pair, llvm::ArrayRef<int64_t> first,
                              llvm::ArrayRef<int64_t> second) const {
  if (llvm::Error error = checkPairIndex(pair))
    return std::move(error);
  if (first.size() != second.size())
    return createStringError("lists of " + Twine(first.size()) + " and " +
                             Twine(second.size()) + " features");
  const CoactivationTable &table = tableOf(pair);
  const std::vector<int64_t> &firedA = dictionaries[pairList[pair].first].fired;
  const std::vector<int64_t> &firedB =
      dictionaries[pairList[pair].second].fired;
  auto ratio = [](int64_t part, int64_t whole) {
    return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                      : static_cast<double>(part) / static_cast<double>(whole);
  };
  FiringTogether result;
  for (auto [at, i, j] : llvm::enumerate(first, second)) {
    if (i < 0 || i >= table.rows() || j < -1 || j >= table.columns())
      return createStringError("entry " + Twine(at) + ": there are no features " +
                               Twine(i) + " and " + Twine(j) + " among " +
                               Twine(table.rows()) + " and " +
                               Twine(table.columns()));
    const CoactivationTable::Cell *cell =
        j < 0 ? nullptr : table.find(i, static_cast<int32_t>(j));
    const int64_t both = cell ? cell->fired : 0;
    result.tokens.push_back(both);
    result.givenFirst.push_back(ratio(both, j < 0 ? 0 : firedA[i]));
    result.givenSecond.push_back(ratio(both, j < 0 ? 0 : firedB[j]));
    result.jaccard.push_back(
        ratio(both, j < 0 ? 0 : firedA[i] + firedB[j] - both));
  }
  return std::move(result);
}

llvm::Expected<ActivationMatches> Coactivations::matches(size_t pair,
                                                         int64_t k) const {
  llvm::Expected<TopK> best = pearsonTopK(pair, k);
  if (!best)
    return best.takeError();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < best->rows; ++i)
    rows.insert(rows.end(), k, i);
  llvm::Expected<FiringTogether> together =
      firingTogether(pair, rows, best->indices);
  if (!together)
    return together.takeError();
  return ActivationMatches{std::move(*best), std::move(*together)};
}
