//===- SparseSolver.cpp - Linear assignment on a sparse graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Jonker and Volgenant's augmenting row reduction, then shortest augmenting
// paths with a heap. A column's dual only falls while solving; a row's dual is
// min_j c_ij - v_j and is not stored.
//
//===----------------------------------------------------------------------===//

#include "Solvers.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <limits>

using namespace weir;
using namespace weir::matching;

static constexpr double infinite = std::numeric_limits<double>::infinity();

SparseSolver::SparseSolver(int64_t n, int64_t m)
    : n(n), m(m), graph(n), v(m, 0.0), matchedCost(n, 0.0), x(n, -1), y(m, -1),
      dead(m, 0), nodes(m) {}

bool SparseSolver::has(int64_t row, int32_t column) const {
  return std::any_of(graph[row].begin(), graph[row].end(),
                     [&](const Arc &arc) { return arc.column == column; });
}

bool SparseSolver::add(int64_t row, int32_t column, double cost) {
  if (has(row, column))
    return false;
  graph[row].push_back({column, cost});
  largest = std::max(largest, std::abs(cost));
  ++total;
  return true;
}

SparseSolver::Best SparseSolver::bestOf(int64_t row) const {
  Best best{infinite, infinite, -1, -1};
  const std::vector<Arc> &arcs = graph[row];
  for (int64_t t = 0; t < static_cast<int64_t>(arcs.size()); ++t) {
    const double reduced = arcs[t].cost - v[arcs[t].column];
    if (reduced < best.first) {
      best.second = best.first;
      best.secondArc = best.arc;
      best.first = reduced;
      best.arc = t;
    } else if (reduced < best.second) {
      best.second = reduced;
      best.secondArc = t;
    }
  }
  return best;
}

void SparseSolver::assign(int64_t row, int32_t column, double cost) {
  x[row] = column;
  y[column] = static_cast<int32_t>(row);
  matchedCost[row] = cost;
}

void SparseSolver::release(int64_t row) {
  y[x[row]] = -1;
  x[row] = -1;
}

/// Each free row takes its best column. If another row has it, the row lowers
/// its dual to where the second best is as good, and drives the other out, which
/// goes next. Columns that nobody competes for keep their duals, so that rows
/// far from the others' columns stay certified. Bounded, as near ties can make
/// it long. The rows that are left go to `left`.
void SparseSolver::reduceRows(std::vector<int32_t> &left) {
  std::vector<int32_t> free;
  for (int64_t i = n; i-- > 0;)
    if (x[i] < 0)
      free.push_back(static_cast<int32_t>(i));
  int64_t budget = 20 * static_cast<int64_t>(free.size()) + 1000;
  while (!free.empty() && budget-- > 0) {
    const int32_t row = free.back();
    free.pop_back();
    Best best = bestOf(row);
    if (best.arc < 0) {
      left.push_back(row);
      continue;
    }
    const Arc *arc = &graph[row][best.arc];
    if (y[arc->column] >= 0) {
      if (best.second == best.first && best.secondArc >= 0 &&
          y[graph[row][best.secondArc].column] < 0) {
        arc = &graph[row][best.secondArc];
      } else {
        const double lowered = v[arc->column] - (best.second - best.first);
        // Without a change in float64 the row would come back for ever.
        if (best.second == infinite || lowered == v[arc->column]) {
          left.push_back(row);
          continue;
        }
        v[arc->column] = lowered;
        const int32_t driven = y[arc->column];
        x[driven] = -1;
        free.push_back(driven);
      }
    }
    assign(row, arc->column, arc->cost);
  }
  left.insert(left.end(), free.begin(), free.end());
}

/// A shortest path from a free row to a free column. Without one, the rows and
/// columns that were met are set aside for the rest of this solve: no free
/// column can be reached from them.
bool SparseSolver::augment(int32_t root) {
  epoch += 2; // stamp: epoch where a distance is known, epoch + 1 if it is final
  heap.clear();
  done.clear();
  int32_t sink = -1;
  double reached = 0;
  double nearestFree = infinite;
  auto relax = [&](int32_t row, double base) {
    for (const Arc &arc : graph[row]) {
      const int32_t j = arc.column;
      const double through = std::max(base + (arc.cost - v[j]), reached);
      // No shorter way to the end leads over it. (Of free columns at the same
      // distance the first that was met is taken.)
      if (through >= nearestFree || dead[j])
        continue;
      Node &node = nodes[j];
      if (node.stamp == epoch + 1 ||
          (node.stamp == epoch && through >= node.distance))
        continue;
      node = {through, arc.cost, row, epoch};
      if (y[j] < 0) {
        nearestFree = through;
        sink = j;
        if (through <= reached)
          return;
        continue;
      }
      heap.push_back({through, j});
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  };
  const double rootDual = bestOf(root).first;
  if (rootDual < infinite)
    relax(root, -rootDual);
  while (!heap.empty() && heap.front().first < nearestFree) {
    auto [nearest, j] = heap.front();
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    Node &node = nodes[j];
    if (node.stamp == epoch + 1 || nearest != node.distance)
      continue;
    node.stamp = epoch + 1;
    reached = nearest;
    done.push_back(j);
    const int32_t row = y[j];
    relax(row, reached - (matchedCost[row] - v[j]));
  }
  if (sink < 0) {
    stuck.push_back(root);
    for (int32_t j : done) {
      dead[j] = 1;
      stuck.push_back(y[j]);
    }
    return false;
  }
  for (int32_t j : done)
    v[j] += nodes[j].distance - nearestFree;
  for (int32_t j = sink;;) {
    const int32_t row = nodes[j].from, next = x[row];
    assign(row, j, nodes[j].arcCost);
    if (row == root)
      break;
    j = next;
  }
  return true;
}

bool SparseSolver::solve() {
  std::fill(dead.begin(), dead.end(), 0);
  stuck.clear();
  if (n < m) {
    // A column that becomes free would have to get its dual back to 0, so the
    // solver starts anew.
    std::fill(v.begin(), v.end(), 0.0);
    std::fill(x.begin(), x.end(), -1);
    std::fill(y.begin(), y.end(), -1);
  } else {
    for (int64_t i = 0; i < n; ++i)
      if (x[i] >= 0 && rowDual(i) > bestOf(i).first)
        release(i);
  }
  std::vector<int32_t> left;
  reduceRows(left);
  // The order in which rows entered, not the one in which they were driven out.
  llvm::sort(left);
  for (int32_t row : left)
    augment(row);
  return stuck.empty();
}
