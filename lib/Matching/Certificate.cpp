//===- Certificate.cpp - Proving a permutation again ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By weak duality a permutation whose cost is the sum of duals that no pair
// violates is the best one, however they were found. That no pair violates them is
// one screened product: the best column of every row by similarity + v_j.
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Assignment.h"

#include "Product.h"
#include "Scan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace weir;
using namespace weir::matching;

namespace {

/// Rounding of sums and products, relative to the largest number. The solvers
/// keep to 1e-14.
constexpr double relativeTolerance = 1e-12;

template <typename... Args>
llvm::Error wrong(const char *format, Args &&...args) {
  return llvm::createStringError(
      "the proof of the permutation does not hold: " +
      llvm::formatv(format, std::forward<Args>(args)...).str());
}

/// Every row of the smaller side is matched, and no column twice.
llvm::Error checkPermutation(llvm::ArrayRef<int64_t> permutation, int64_t rows,
                             int64_t columns) {
  if (static_cast<int64_t>(permutation.size()) != rows)
    return wrong("it has {0} entries for {1} rows", permutation.size(), rows);
  std::vector<char> taken(columns, 0);
  int64_t matched = 0;
  for (int64_t column : permutation) {
    if (column == -1)
      continue;
    if (column < 0 || column >= columns)
      return wrong("an entry is {0}, of {1} columns", column, columns);
    if (taken[column]++)
      return wrong("column {0} is matched twice", column);
    ++matched;
  }
  if (matched != std::min(rows, columns))
    return wrong("{0} rows are matched, not {1}", matched,
                 std::min(rows, columns));
  return llvm::Error::success();
}

/// The least c_ij - u_i - v_j of all pairs; `few` has at most as many rows.
llvm::Expected<double> worstReducedCost(const RowTable &few,
                                        const RowTable &many, Similarity kind,
                                        llvm::ArrayRef<double> u,
                                        llvm::ArrayRef<double> v,
                                        const Options &options) {
  // Of equal columns the one with the largest dual has the least reduced cost,
  // and of equal rows that with the largest.
  std::vector<double> offsets(many.groups());
  for (int64_t g = 0; g < many.groups(); ++g) {
    llvm::ArrayRef<int64_t> members = many.members(g);
    offsets[g] = v[members.front()];
    for (int64_t j : members)
      offsets[g] = std::max(offsets[g], v[j]);
  }
  ScanTask task{few,  many, few.representatives(), many.representatives(),
                offsets, 1, kind, options.screen, options.device};
  llvm::Expected<ScanResult> result = scan(task);
  if (!result)
    return result.takeError();
  double worst = 0;
  for (int64_t g = 0; g < few.groups(); ++g) {
    const Found &best = result->best[g];
    for (int64_t i : few.members(g))
      worst = std::min(worst, -best.value - offsets[best.column] - u[i]);
  }
  return worst;
}

} // namespace

llvm::Error matching::checkAssignment(const Matrix &a, const Matrix &b,
                                      Similarity kind,
                                      llvm::ArrayRef<int64_t> permutation,
                                      const Certificate &certificate,
                                      double cost, const Options &options) {
  if (llvm::Error error = checkPair(a, b))
    return error;
  const int64_t rows = a.rows(), columns = b.rows();
  if (llvm::Error error = checkPermutation(permutation, rows, columns))
    return error;
  llvm::ArrayRef<double> u = certificate.u, v = certificate.v;
  if (static_cast<int64_t>(u.size()) != rows ||
      static_cast<int64_t>(v.size()) != columns)
    return wrong("it has {0} and {1} duals for {2} and {3} rows", u.size(),
                 v.size(), rows, columns);

  long double sum = 0, dual = 0;
  double scale = 0;
  std::vector<char> isTaken(columns, 0);
  for (auto [i, j] : llvm::enumerate(permutation)) {
    if (j < 0)
      continue;
    isTaken[j] = 1;
    const double value =
        -similarity(a, static_cast<int64_t>(i), b, j, kind);
    sum += value;
    scale = std::max(scale, std::fabs(value));
  }
  for (llvm::ArrayRef<double> side : {u, v})
    for (double value : side) {
      if (!std::isfinite(value))
        return wrong("a dual is not finite");
      dual += value;
      scale = std::max(scale, std::fabs(value));
    }
  const double tolerance = relativeTolerance * scale;
  const double total =
      tolerance * static_cast<double>(std::max<int64_t>({rows, columns, 1}));
  auto differ = [&](long double one, long double other) {
    // NaN differs.
    return !(std::fabs(static_cast<double>(one - other)) <= total);
  };
  if (differ(sum, cost))
    return wrong("the cost is {0}, not {1}", static_cast<double>(sum), cost);
  if (differ(dual, certificate.dualCost))
    return wrong("the duals add up to {0}, not {1}", static_cast<double>(dual),
                 certificate.dualCost);
  if (differ(sum, dual) || differ(certificate.gap, 0))
    return wrong("between the cost and the duals there is a gap of {0}",
                 static_cast<double>(sum - dual));
  if (!(std::fabs(certificate.worstReducedCost) <= tolerance))
    return wrong("a reduced cost is {0}", certificate.worstReducedCost);

  // The duals of the larger side: none above 0, and 0 where nothing is matched.
  auto checkSigns = [&](llvm::ArrayRef<double> duals, auto isMatched) {
    for (auto [i, value] : llvm::enumerate(duals))
      if (value > tolerance || (!isMatched(i) && value < -tolerance))
        return false;
    return true;
  };
  if ((rows < columns &&
       !checkSigns(v, [&](size_t j) { return isTaken[j] != 0; })) ||
      (rows > columns &&
       !checkSigns(u, [&](size_t i) { return permutation[i] >= 0; })))
    return wrong("a dual of a row that may be left free has the wrong sign");
  if (rows == 0 || columns == 0)
    return llvm::Error::success();

  if (llvm::Error error = loadTensorMath())
    return error;
  ThreadScope threads(options.threads);
  llvm::Expected<RowTable> left = RowTable::make(a);
  if (!left)
    return left.takeError();
  llvm::Expected<RowTable> right = RowTable::make(b);
  if (!right)
    return right.takeError();
  const bool swapped = rows > columns;
  llvm::Expected<double> worst =
      swapped ? worstReducedCost(*right, *left, kind, v, u, options)
              : worstReducedCost(*left, *right, kind, u, v, options);
  if (!worst)
    return worst.takeError();
  if (*worst < -tolerance)
    return wrong("a pair is better than its duals by {0}", -*worst);
  return llvm::Error::success();
}
