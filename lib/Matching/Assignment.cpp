//===- Assignment.cpp - Permutations of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The large problem works on groups of equal rows: a pair of groups has one
// similarity, so screened products run over the groups' representatives, and
// the column of a group with the largest dual stands for it when prices are looked
// for. The solver itself sees rows and columns.
//
// For every row a bound is kept: all pairs of the row that are not in the graph
// had c_ij - v_j of at least that when it was computed. Column duals only fall
// (F == F'), so as long as the row's dual is not above its bound, no product is
// needed to know that none of its pairs violates the duals.
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Assignment.h"

#include "Exact.h"
#include "PrefixScan.h"
#include "Product.h"
#include "Scan.h"
#include "Solvers.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace weir;
using namespace weir::matching;

static constexpr double infinite = std::numeric_limits<double>::infinity();

namespace {

/// A fixed permutation-like scramble (splitmix64).
uint64_t scramble(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// What the two ways of solving give, for n <= m.
struct Solution {
  std::vector<int32_t> columns;
  std::vector<double> costs, u, v;
  double worst = 0;
};

class GrowingProblem {
public:
  GrowingProblem(const RowTable &a, const RowTable &b, Similarity kind,
                 const AssignmentOptions &options, Assignment &stats)
      : a(a), b(b), kind(kind), options(options), stats(stats), n(a.rows()),
        m(b.rows()), solver(n, m), bounds(n, infinite) {}

  /// False if growing has taken too many rounds.
  llvm::Expected<bool> run(Solution &solution);

private:
  llvm::Error seed();
  llvm::Expected<int64_t> chooseCandidates(llvm::ArrayRef<int64_t> open);
  llvm::Error seedByPrefix(llvm::ArrayRef<int64_t> groups,
                           std::vector<int64_t> &left);
  llvm::Error connect();
  llvm::Expected<int64_t> price();
  llvm::Error grow(llvm::ArrayRef<int64_t> groups,
                   llvm::ArrayRef<int64_t> columnGroups,
                   llvm::ArrayRef<double> offsets, int64_t k,
                   llvm::function_ref<void(int64_t, llvm::ArrayRef<Found>)>);
  double pairCost(int64_t row, int64_t column) const;
  /// Members of B's groups by descending dual, ties by row.
  void orderMembers();
  llvm::ArrayRef<int64_t> ordered(int64_t g) const {
    if (b.members(g).size() == 1)
      return b.members(g);
    return sortedMembers[g];
  }

  const RowTable &a, &b;
  Similarity kind;
  const AssignmentOptions &options;
  Assignment &stats;
  int64_t n, m;
  SparseSolver solver;
  std::vector<double> bounds;
  std::vector<std::vector<int64_t>> sortedMembers;
  int64_t connections = 0;
  double worst = 0;
};

double GrowingProblem::pairCost(int64_t row, int64_t column) const {
  const int64_t width = a.matrix().width();
  std::vector<float> left(width), right(width);
  a.matrix().loadRow(row, left.data());
  b.matrix().loadRow(column, right.data());
  const float *rows[] = {right.data()};
  const double norm = b.norm(column);
  double value;
  exactSimilarities(left.data(), a.norm(row), rows, &norm, 1, width, kind,
                    &value);
  return -value;
}

/// Scans groups of A against groups of B and hands out the results.
llvm::Error GrowingProblem::grow(
    llvm::ArrayRef<int64_t> groups, llvm::ArrayRef<int64_t> columnGroups,
    llvm::ArrayRef<double> offsets, int64_t k,
    llvm::function_ref<void(int64_t, llvm::ArrayRef<Found>)> use) {
  std::vector<int64_t> rowsA, rowsB;
  for (int64_t g : groups)
    rowsA.push_back(a.representatives()[g]);
  for (int64_t g : columnGroups)
    rowsB.push_back(b.representatives()[g]);
  ScanTask task{a, b, rowsA, rowsB, offsets, k, kind, options.screen, options.device};
  llvm::Expected<ScanResult> result = scan(task);
  if (!result)
    return result.takeError();
  stats.survivors += result->survivors;
  for (auto [index, g] : llvm::enumerate(groups))
    use(g, llvm::ArrayRef(result->best).slice(index * k, k));
  return llvm::Error::success();
}

void GrowingProblem::orderMembers() {
  llvm::ArrayRef<double> v = solver.columnDuals();
  sortedMembers.resize(b.groups());
  for (int64_t g = 0; g < b.groups(); ++g) {
    if (b.members(g).size() == 1)
      continue;
    sortedMembers[g].assign(b.members(g).begin(), b.members(g).end());
    llvm::sort(sortedMembers[g], [&](int64_t x, int64_t y) {
      return v[x] != v[y] ? v[x] > v[y] : x < y;
    });
  }
}

/// Where most rows have one column that is much better than all others, and
/// no two the same, that column alone: found by the rows' first numbers. The
/// groups of rows that this leaves go to `left`.
llvm::Error GrowingProblem::seedByPrefix(llvm::ArrayRef<int64_t> groups,
                                         std::vector<int64_t> &left) {
  ScanTask task{a,  b, a.representatives(), b.representatives(), {}, 1,
                kind, options.screen, options.device};
  left = groups.vec();
  if (!mayScanPrefixes(task))
    return llvm::Error::success();
  llvm::Expected<PrefixChoice> choice = choosePrefix(task);
  if (!choice)
    return choice.takeError();
  if (!choice->prefix || choice->open > 0.25)
    return llvm::Error::success();
  llvm::Expected<PrefixResult> told = scanPrefixes(task, choice->prefix);
  if (!told)
    return told.takeError();
  stats.survivors += static_cast<int64_t>(groups.size());
  std::vector<int32_t> wanted(b.groups(), 0);
  for (const Found &found : told->best)
    if (found.column >= 0)
      ++wanted[found.column];
  left.clear();
  for (int64_t g : groups) {
    const Found found = told->best[g];
    if (found.column < 0 || wanted[found.column] > 1 ||
        a.members(g).size() > 1 || b.members(found.column).size() > 1) {
      left.push_back(g);
      continue;
    }
    const int64_t row = a.representatives()[g];
    solver.add(row, static_cast<int32_t>(b.representatives()[found.column]),
               -found.value);
    bounds[row] = -told->others[g];
  }
  return llvm::Error::success();
}

/// How many columns a row should start with: where most rows' similarities drop
/// sharply behind the first ones, as behind the columns of a row's cluster, the
/// list reaches past that, since all that is not in it is then far below. Judged by
/// a sample of the groups of rows.
llvm::Expected<int64_t>
GrowingProblem::chooseCandidates(llvm::ArrayRef<int64_t> open) {
  constexpr int64_t sampled = 64;
  const int64_t least = std::min(std::max<int64_t>(options.candidates, 2),
                                 b.groups());
  const int64_t most = std::min<int64_t>({4 * least, maxTopK, b.groups()});
  if (static_cast<int64_t>(open.size()) < 16 * sampled || most <= least)
    return least;
  std::vector<int64_t> groups, columnGroups(b.groups());
  for (int64_t t = 0; t < sampled; ++t)
    groups.push_back(open[t * open.size() / sampled]);
  std::iota(columnGroups.begin(), columnGroups.end(), 0);
  // Of the sampled rows: behind how many columns the drop was.
  std::vector<int64_t> behind;
  llvm::Error error = grow(
      groups, columnGroups, {}, most,
      [&](int64_t, llvm::ArrayRef<Found> best) {
        const double last = best.back().value;
        for (int64_t t = least; t < most; ++t)
          if (best[least - 1].value - best[t].value >
              (best[0].value - last) / 2) {
            behind.push_back(t + 1);
            return;
          }
      });
  if (error)
    return std::move(error);
  if (static_cast<int64_t>(behind.size()) < sampled * 3 / 4)
    return least;
  // Other clusters may be larger than those of the sample.
  const int64_t largest = *std::max_element(behind.begin(), behind.end());
  return std::min(most, largest + largest / 5);
}

/// The first graph: each row's best columns. Where these crowd in few columns
/// (as those of the largest norms do under the dot product) and F == F', the
/// columns' best rows join, the best similarity becomes the column's starting
/// dual, and rows take their best columns under these duals.
llvm::Error GrowingProblem::seed() {
  std::vector<int64_t> all(a.groups()), columnGroups(b.groups()), groups;
  std::iota(all.begin(), all.end(), 0);
  std::iota(columnGroups.begin(), columnGroups.end(), 0);
  if (llvm::Error error = seedByPrefix(all, groups))
    return error;
  llvm::Expected<int64_t> chosen = chooseCandidates(groups);
  if (!chosen)
    return chosen.takeError();
  const int64_t k = *chosen;
  std::vector<double> offsets(b.groups(), 0.0);
  std::vector<Found> lists;
  lists.reserve(groups.size() * k);
  auto keepList = [&](int64_t g, llvm::ArrayRef<Found> best) {
    lists.insert(lists.end(), best.begin(), best.end());
  };
  if (llvm::Error error = grow(groups, columnGroups, {}, k, keepList))
    return error;
  std::vector<char> wanted(b.groups(), 0);
  for (const Found &found : lists)
    wanted[found.column] = 1;
  const bool crowded =
      groups.size() == all.size() &&
      2 * std::count(wanted.begin(), wanted.end(), 1) < b.groups();
  if (crowded && n == m) {
    const int64_t kB = std::min<int64_t>(
        std::max<int64_t>(options.candidates / 4, 1), a.groups());
    ScanTask task{b,  a,  b.representatives(), a.representatives(), {},
                  kB, kind, options.screen, options.device};
    llvm::Expected<ScanResult> result = scan(task);
    if (!result)
      return result.takeError();
    stats.survivors += result->survivors;
    std::vector<double> duals(m, 0.0);
    for (int64_t g = 0; g < b.groups(); ++g) {
      const Found *best = result->best.data() + g * kB;
      offsets[g] = -best[0].value;
      for (int64_t column : b.members(g)) {
        duals[column] = -best[0].value;
        for (int64_t t = 0; t < kB; ++t) {
          // Another member of the group for every column.
          llvm::ArrayRef<int64_t> rows = a.members(best[t].column);
          const int64_t row =
              rows[rows.size() == 1 ? 0 : scramble(column) % rows.size()];
          solver.add(row, static_cast<int32_t>(column), -best[t].value);
        }
      }
    }
    solver.start(std::move(duals));
    lists.clear();
    if (llvm::Error error = grow(groups, columnGroups, offsets, k, keepList))
      return error;
  }
  for (auto [at, g] : llvm::enumerate(groups)) {
    llvm::ArrayRef<Found> best = llvm::ArrayRef(lists).slice(at * k, k);
    for (int64_t row : a.members(g)) {
      double bound = k == b.groups()
                         ? infinite
                         : -(best[k - 1].value + offsets[best[k - 1].column]);
      for (const Found &found : best) {
        llvm::ArrayRef<int64_t> columns = b.members(found.column);
        const size_t size = columns.size();
        const size_t take = std::min<size_t>(size, size > 1 ? k : 1);
        const size_t first = size > take ? scramble(row) % size : 0;
        for (size_t t = 0; t < take; ++t)
          solver.add(row, static_cast<int32_t>(columns[(first + t) % size]),
                     -found.value);
        if (take < size)
          bound = std::min(bound, -(found.value + offsets[found.column]));
      }
      bounds[row] = bound;
    }
  }
  return llvm::Error::success();
}

/// Gives the rows that cannot all be assigned pairs with columns that others do
/// not compete for: the best of them by price, and some at random, which makes
/// a graph of similar rows connected soon.
llvm::Error GrowingProblem::connect() {
  std::vector<int64_t> free;
  for (int64_t j = 0; j < m; ++j)
    if (!solver.isContended(j))
      free.push_back(j);
  llvm::ArrayRef<int32_t> rows = solver.stuckRows();
  llvm::ArrayRef<double> v = solver.columnDuals();
  if (connections < 3) {
    // The best column that is free of contention stands for its group.
    std::vector<int64_t> columnGroups, standIn(b.groups(), -1), groups;
    for (int64_t j : free) {
      int64_t &best = standIn[b.groupOf(j)];
      if (best < 0)
        columnGroups.push_back(b.groupOf(j));
      if (best < 0 || v[j] > v[best])
        best = j;
    }
    std::vector<double> offsets;
    for (int64_t g : columnGroups)
      offsets.push_back(v[standIn[g]]);
    std::vector<std::vector<int32_t>> members(a.groups());
    for (int32_t row : rows) {
      if (members[a.groupOf(row)].empty())
        groups.push_back(a.groupOf(row));
      members[a.groupOf(row)].push_back(row);
    }
    const int64_t k = std::min<int64_t>(8, columnGroups.size());
    llvm::Error error = grow(
        groups, columnGroups, offsets, k,
        [&](int64_t g, llvm::ArrayRef<Found> best) {
          for (int32_t row : members[g])
            for (const Found &found : best)
              solver.add(row,
                         static_cast<int32_t>(
                             standIn[columnGroups[found.column]]),
                         -found.value);
        });
    if (error)
      return error;
  }
  const int64_t random = int64_t(4) << std::min<int64_t>(connections, 6);
  for (int32_t row : rows)
    for (int64_t t = 0; t < random; ++t) {
      const int64_t column =
          free[scramble(row * 1009 + t + connections * 7919) % free.size()];
      if (!solver.has(row, static_cast<int32_t>(column))) {
        solver.add(row, static_cast<int32_t>(column), pairCost(row, column));
        ++stats.survivors;
      }
    }
  ++connections;
  return llvm::Error::success();
}

/// Looks for pairs that violate the duals and adds them. Returns how many.
llvm::Expected<int64_t> GrowingProblem::price() {
  llvm::ArrayRef<double> v = solver.columnDuals();
  double scale = solver.largestCost();
  for (double dual : v)
    scale = std::max(scale, std::fabs(dual));
  const double tolerance = 1e-14 * scale;

  worst = 0;
  std::vector<std::vector<int64_t>> open(a.groups());
  std::vector<int64_t> groups;
  for (int64_t i = 0; i < n; ++i) {
    const double u = solver.rowDual(i);
    for (const SparseSolver::Arc &arc : solver.arcs(i))
      worst = std::min(worst, arc.cost - v[arc.column] - u);
    if (u <= bounds[i])
      continue;
    if (open[a.groupOf(i)].empty())
      groups.push_back(a.groupOf(i));
    open[a.groupOf(i)].push_back(i);
  }
  stats.pricedRows += static_cast<int64_t>(groups.size());
  if (groups.empty())
    return 0;

  orderMembers();
  std::vector<int64_t> columnGroups(b.groups());
  std::iota(columnGroups.begin(), columnGroups.end(), 0);
  std::vector<double> offsets(b.groups());
  for (int64_t g = 0; g < b.groups(); ++g)
    offsets[g] = v[ordered(g).front()];
  const int64_t k = std::min(std::max<int64_t>(options.candidates, 2),
                             b.groups());
  int64_t added = 0;
  llvm::Error error = grow(
      groups, columnGroups, offsets, k,
      [&](int64_t g, llvm::ArrayRef<Found> best) {
        for (int64_t row : open[g]) {
          const double u = solver.rowDual(row);
          double bound = k == b.groups()
                             ? infinite
                             : -(best[k - 1].value +
                                 offsets[best[k - 1].column]);
          for (const Found &found : best) {
            worst = std::min(worst, -found.value - offsets[found.column] - u);
            int64_t room = std::max<int64_t>(k, 8);
            for (int64_t column : ordered(found.column)) {
              const double reduced = -found.value - v[column];
              // Later members of the group have no lower reduced cost.
              const bool violates = reduced - u < -tolerance;
              if (!violates && column != ordered(found.column).front()) {
                bound = std::min(bound, reduced);
                break;
              }
              if (solver.has(row, static_cast<int32_t>(column)))
                continue;
              if (room-- == 0) {
                bound = std::min(bound, reduced);
                break;
              }
              solver.add(row, static_cast<int32_t>(column), -found.value);
              added += violates;
            }
          }
          if (n == m)
            bounds[row] = std::max(bounds[row], bound);
        }
      });
  if (error)
    return std::move(error);
  return added;
}

llvm::Expected<bool> GrowingProblem::run(Solution &solution) {
  if (llvm::Error error = seed())
    return std::move(error);
  const bool mayBeDense = m <= options.denseLimit;
  for (int64_t round = 0;; ++round) {
    if (mayBeDense && round > options.roundsBeforeDense)
      return false;
    if (!solver.solve()) {
      if (llvm::Error error = connect())
        return std::move(error);
      continue;
    }
    ++stats.rounds;
    llvm::Expected<int64_t> added = price();
    if (!added)
      return added.takeError();

    if (*added == 0)
      break;
  }
  stats.arcs = solver.numArcs();
  solution.worst = worst;
  solution.v.assign(solver.columnDuals().begin(), solver.columnDuals().end());
  for (int64_t i = 0; i < n; ++i) {
    solution.columns.push_back(solver.columnOf(i));
    solution.costs.push_back(solver.costOf(i));
    solution.u.push_back(solver.rowDual(i));
  }
  return true;
}

void solveFully(const Matrix &a, const Matrix &b, Similarity kind,
                Solution &solution) {
  const int64_t n = a.rows(), m = b.rows();
  std::vector<double> cost = similarityMatrix(a, b, kind);
  for (double &value : cost)
    value = -value;
  solution = {};
  solveDense(cost, n, m, solution.columns, solution.u, solution.v);
  for (int64_t i = 0; i < n; ++i) {
    solution.costs.push_back(cost[i * m + solution.columns[i]]);
    for (int64_t j = 0; j < m; ++j)
      solution.worst = std::min(
          solution.worst, cost[i * m + j] - solution.u[i] - solution.v[j]);
  }
}

} // namespace

llvm::Expected<Assignment> matching::assign(const Matrix &a, const Matrix &b,
                                            Similarity kind,
                                            const AssignmentOptions &options) {
  if (llvm::Error error = checkPair(a, b))
    return std::move(error);
  for (const Matrix *matrix : {&a, &b})
    if (matrix->rows() > std::numeric_limits<int32_t>::max())
      return llvm::createStringError("matrix '" + matrix->name() +
                                     "' has 2^31 rows or more");
  if (llvm::Error error = loadTensorMath())
    return std::move(error);
  ThreadScope threads(options.threads);
  llvm::Expected<RowTable> left = RowTable::make(a);
  if (!left)
    return left.takeError();
  llvm::Expected<RowTable> right = RowTable::make(b);
  if (!right)
    return right.takeError();

  const bool swapped = a.rows() > b.rows();
  const RowTable &few = swapped ? *right : *left;
  const RowTable &many = swapped ? *left : *right;
  Assignment result;
  Solution solution;
  result.dense = many.rows() <= options.denseSize || few.rows() == 0;
  if (!result.dense) {
    llvm::Expected<bool> solved =
        GrowingProblem(few, many, kind, options, result).run(solution);
    if (!solved)
      return solved.takeError();
    result.dense = !*solved;
  }
  if (result.dense) {
    solveFully(few.matrix(), many.matrix(), kind, solution);
    result.survivors += few.rows() * many.rows();
  }

  Certificate &certificate = result.certificate;
  // Sums in extended precision, so that the gap shows the duals' errors only.
  long double cost = 0, dual = 0;
  result.permutation.assign(a.rows(), -1);
  std::vector<double> costs(a.rows());
  for (int64_t i = 0; i < few.rows(); ++i) {
    const int64_t j = solution.columns[i];
    result.permutation[swapped ? j : i] = swapped ? i : j;
    costs[swapped ? j : i] = solution.costs[i];
  }
  for (double value : costs)
    cost += value;
  for (double value : solution.u)
    dual += value;
  for (double value : solution.v)
    dual += value;
  result.cost = static_cast<double>(cost);
  certificate.dualCost = static_cast<double>(dual);
  certificate.gap = static_cast<double>(cost - dual);
  certificate.worstReducedCost = solution.worst;
  certificate.u = std::move(solution.u);
  certificate.v = std::move(solution.v);
  if (swapped)
    std::swap(certificate.u, certificate.v);
  return std::move(result);
}
