//===- DenseSolver.cpp - Linear assignment on the full matrix ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Solvers.h"

#include <limits>

using namespace weir;
using namespace weir::matching;

void matching::solveDense(llvm::ArrayRef<double> cost, int64_t n, int64_t m,
                          std::vector<int32_t> &x, std::vector<double> &u,
                          std::vector<double> &v) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  x.assign(n, -1);
  u.assign(n, 0);
  v.assign(m, 0);
  std::vector<int32_t> y(m, -1), from(m), open(m);
  std::vector<double> distance(m);
  std::vector<char> done(m);
  for (int64_t root = 0; root < n; ++root) {
    std::fill(distance.begin(), distance.end(), infinite);
    std::fill(done.begin(), done.end(), 0);
    int64_t numOpen = m;
    for (int64_t j = 0; j < m; ++j)
      open[j] = static_cast<int32_t>(j);
    int64_t row = root, sink = -1;
    double reached = 0;
    while (sink < 0) {
      const double *costs = cost.data() + row * m;
      const double base = reached - u[row];
      double nearest = infinite;
      int64_t at = -1;
      for (int64_t t = 0; t < numOpen; ++t) {
        const int32_t j = open[t];
        const double through = base + costs[j] - v[j];
        if (through < distance[j]) {
          distance[j] = through;
          from[j] = static_cast<int32_t>(row);
        }
        // Among equals a free column ends the search.
        if (distance[j] < nearest ||
            (distance[j] == nearest && y[j] < 0 && y[open[at]] >= 0)) {
          nearest = distance[j];
          at = t;
        }
      }
      const int32_t j = open[at];
      reached = nearest;
      open[at] = open[--numOpen];
      if (y[j] < 0) {
        sink = j;
      } else {
        done[j] = 1;
        row = y[j];
      }
    }
    u[root] += reached;
    for (int64_t j = 0; j < m; ++j)
      if (done[j]) {
        u[y[j]] += reached - distance[j];
        v[j] -= reached - distance[j];
      }
    for (int32_t j = static_cast<int32_t>(sink);;) {
      const int32_t i = from[j];
      const int32_t next = x[i];
      y[j] = i;
      x[i] = j;
      if (i == root)
        break;
      j = next;
    }
  }
}
