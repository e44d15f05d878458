//===- Solvers.h - Linear assignment ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_SOLVERS_H
#define WEIR_LIB_MATCHING_SOLVERS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace weir::matching {

/// Minimises the sum of cost[i * m + x_i] over one-sided assignments, n <= m,
/// by shortest augmenting paths (Crouse 2016, O(n^2 m)). On return v <= 0, and
/// 0 on columns that are left free.
void solveDense(llvm::ArrayRef<double> cost, int64_t n, int64_t m,
                std::vector<int32_t> &x, std::vector<double> &u,
                std::vector<double> &v);

/// The same on a graph of some of the pairs that grows between calls of solve.
class SparseSolver {
public:
  struct Arc {
    int32_t column;
    double cost;
  };

  /// n <= m. Starting duals of the columns are zero.
  SparseSolver(int64_t n, int64_t m);

  /// Starting duals, for n == m only: with n < m free columns must keep 0.
  void start(std::vector<double> duals) { v = std::move(duals); }

  bool has(int64_t row, int32_t column) const;
  /// False if the pair is there already.
  bool add(int64_t row, int32_t column, double cost);
  llvm::ArrayRef<Arc> arcs(int64_t row) const { return graph[row]; }
  int64_t numArcs() const { return total; }

  /// Assigns as many rows as the graph allows, at the lowest cost if all of
  /// them. Goes on from the duals of the last call where n == m. True if every
  /// row is assigned.
  bool solve();

  /// After solve returned false: the rows that cannot all be assigned without
  /// new pairs, and whether a column is one that only they compete for.
  llvm::ArrayRef<int32_t> stuckRows() const { return stuck; }
  bool isContended(int64_t column) const { return dead[column]; }

  int32_t columnOf(int64_t row) const { return x[row]; }
  double costOf(int64_t row) const { return matchedCost[row]; }
  double rowDual(int64_t row) const { return matchedCost[row] - v[x[row]]; }
  llvm::ArrayRef<double> columnDuals() const { return v; }
  double largestCost() const { return largest; }

private:
  struct Best {
    double first, second;
    int64_t arc, secondArc;
  };
  Best bestOf(int64_t row) const;
  void assign(int64_t row, int32_t column, double cost);
  void release(int64_t row);
  void reduceRows(std::vector<int32_t> &left);
  bool augment(int32_t root);

  int64_t n, m, total = 0;
  double largest = 0;
  std::vector<std::vector<Arc>> graph;
  std::vector<double> v, matchedCost;
  std::vector<int32_t> x, y;
  std::vector<int32_t> stuck;
  std::vector<char> dead;

  /// Of the search for a path, valid where stamp says so: the distance of a
  /// column and the arc that it is reached by.
  struct Node {
    double distance = 0, arcCost = 0;
    int32_t from = 0;
    int64_t stamp = 0;
  };
  std::vector<Node> nodes;
  std::vector<std::pair<double, int32_t>> heap;
  std::vector<int32_t> done;
  int64_t epoch = 0;
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_SOLVERS_H
