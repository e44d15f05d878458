//===- RowTable.cpp - Norms and repeated rows of a matrix ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowTable.h"

#include "Exact.h"
#include "Product.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <atomic>
#include <cmath>

using namespace weir;
using namespace weir::matching;

llvm::Expected<RowTable> RowTable::make(const Matrix &matrix) {
  RowTable table;
  table.source = &matrix;
  const int64_t n = matrix.rows(), d = matrix.width();
  table.norms.resize(n);
  std::vector<uint64_t> hashes(n);
  std::atomic<bool> finite = true;
  auto load = [&](int64_t row, float *out) {
    matrix.loadRow(row, out);
    for (int64_t k = 0; k < d; ++k)
      out[k] += 0.0f; // -0 becomes 0
  };
  parallelFor(0, n, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(exactLanes * d);
    for (int64_t i = begin; i < end; i += exactLanes) {
      const int64_t count = std::min(exactLanes, end - i);
      const float *pointers[exactLanes];
      double squares[exactLanes];
      for (int64_t t = 0; t < count; ++t) {
        float *row = rows.data() + t * d;
        pointers[t] = row;
        load(i + t, row);
        if (!allFinite(row, d))
          finite = false;
        hashes[i + t] = llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(
            reinterpret_cast<const uint8_t *>(row), d * sizeof(float)));
      }
      squaredNorms(pointers, count, d, squares);
      for (int64_t t = 0; t < count; ++t)
        table.norms[i + t] = std::sqrt(squares[t]);
    }
  });
  if (!finite) {
    llvm::Error error = matrix.checkFinite();
    if (error)
      return std::move(error);
  }

  // Equal hashes are compared number by number; a chain holds the groups of
  // one hash.
  llvm::DenseMap<uint64_t, llvm::SmallVector<int64_t, 1>> chains;
  std::vector<float> left(d), right(d);
  table.group.resize(n);
  for (int64_t i = 0; i < n; ++i) {
    // The two largest keys are reserved by the map.
    llvm::SmallVector<int64_t, 1> &chain = chains[hashes[i] >> 1];
    int64_t found = -1;
    if (!chain.empty())
      load(i, left.data());
    for (int64_t g : chain) {
      load(table.firsts[g], right.data());
      if (std::equal(left.begin(), left.end(), right.begin())) {
        found = g;
        break;
      }
    }
    if (found < 0) {
      found = table.groups();
      chain.push_back(found);
      table.firsts.push_back(i);
    }
    table.group[i] = found;
  }

  table.memberStarts.assign(table.groups() + 1, 0);
  for (int64_t g : table.group)
    ++table.memberStarts[g + 1];
  for (int64_t g = 0; g < table.groups(); ++g)
    table.memberStarts[g + 1] += table.memberStarts[g];
  table.memberRows.resize(n);
  std::vector<int64_t> next(table.memberStarts.begin(),
                            table.memberStarts.end() - 1);
  for (int64_t i = 0; i < n; ++i)
    table.memberRows[next[table.group[i]]++] = i;
  return std::move(table);
}
