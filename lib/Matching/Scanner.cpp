//===- Scanner.cpp - Screening by a product ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of A are taken some thousand at a time, and against them all blocks of
// B. Of a block's product `collect` finds the pairs whose upper bound reaches
// the row's threshold: the k-th largest lower bound that the row has seen. After
// a coarse product (bf16, int8) these are first computed anew in f32, best bound
// first, which soon brings the threshold close to the k-th largest score. What
// still passes waits, and is computed in float64 when the row has met all of B
// or when too many wait.
//
//===----------------------------------------------------------------------===//

#include "Scanner.h"

#include "Exact.h"
#include "Packing.h"
#include "RowState.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>

using namespace weir;
using namespace weir::matching;

namespace {

/// T is what rows are packed into.
template <typename T> class Scanner {
public:
  Scanner(const ScanTask &task, Device device)
      : task(task), width(task.a.matrix().width()),
        packing(task, device, width) {}
  llvm::Expected<int64_t> run(int64_t firstRow, bool mayGiveUp,
                              ScanResult &result);

private:
  static constexpr bool coarse = Packing<T>::coarse;
  using Result = typename Packing<T>::Result;

  void meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
            int64_t columnEnd);
  void meetRow(int64_t local, int64_t row, const Result *products,
               int64_t columnBegin, int64_t count, Scratch &scratch);
  void settle(int64_t first, int64_t last);
  void finishRows(int64_t begin, int64_t end, ScanResult &result);

  const ScanTask &task;
  int64_t width;
  int64_t blockBegin = 0; ///< first of the block in rowsA
  Packing<T> packing;
  std::vector<RowState> states;
  std::vector<std::vector<Scored>> exact; ///< settled before the end
  std::atomic<bool> broken = false;
};

template <typename T>
void Scanner<T>::meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
                      int64_t columnEnd) {
  const int64_t rows = rowEnd - rowBegin;
  const int64_t padded = packing.paddedColumns();
  const Result *products = packing.multiply();
  parallelFor(0, rows, 16, [&](int64_t first, int64_t last) {
    Scratch scratch;
    for (int64_t local = first; local < last; ++local)
      meetRow(local, rowBegin + local, products + local * padded,
              columnBegin, columnEnd - columnBegin, scratch);
  });
}

template <typename T>
void Scanner<T>::meetRow(int64_t local, int64_t row, const Result *rowProducts,
                         int64_t columnBegin, int64_t count, Scratch &scratch) {
  RowState &state = states[local];
  const BoundTerms terms = packing.termsOf(local);
  const float absolute = packing.absoluteOf(local, task.rowsA[row]);
  const float refineSlack = packing.refinedSlackOf(local);
  const int64_t padded = packing.paddedColumns();
  const size_t k = task.k;
  // Until the row has seen k pairs, a block's own lower bounds tell what can be
  // left out of it.
  scratch.candidates.clear();
  if (state.threshold == -FLT_MAX && count >= task.k) {
    lowerBounds(rowProducts, terms, count, scratch.lower);
    state.threshold =
        down(aboutTheLargest(scratch.lower, count, task.k) - absolute);
  }
  const int64_t passed =
      collect(rowProducts, terms, padded, down(state.threshold - absolute),
              scratch.columns);
  for (int64_t t = 0; t < passed; ++t) {
    const int32_t l = scratch.columns[t];
    if (l >= count)
      break; // padding
    const float p = widen(rowProducts[l]) * terms.scale[l] * terms.row;
    const float margin = std::fabs(p) * terms.beta +
                         terms.slack * terms.weight[l] +
                         terms.spread * terms.loss[l];
    const float middle = p + terms.offset[l];
    scratch.candidates.push_back({up(middle + margin + absolute),
                                  down(middle - margin - absolute), l});
  }
  if (coarse)
    llvm::sort(scratch.candidates,
               [](const Candidate &x, const Candidate &y) {
                 return x.upper != y.upper ? x.upper > y.upper
                                           : x.inBlock < y.inBlock;
               });

  const size_t limit = std::max<size_t>(4 * k, 256);
  for (Candidate candidate : scratch.candidates) {
    if (candidate.upper < state.threshold) {
      if (coarse)
        break; // the others are below it as well
      continue;
    }
    const int32_t l = candidate.inBlock;
    if constexpr (coarse) {
      ++state.refined;
      const float p = dotFloat(packing.left.rows[local],
                               packing.right.rows[l], width) *
                      packing.right.refineScale[l] *
                      packing.left.refineScale[local];
      const float margin = refineSlack * terms.weight[l];
      const float middle = p + terms.offset[l];
      candidate.upper = up(middle + margin + absolute);
      candidate.lower = down(middle - margin - absolute);
      if (candidate.upper < state.threshold)
        continue;
    }
    const int64_t column = columnBegin + l;
    state.pending.push_back(
        {candidate.upper, static_cast<int32_t>(column / columnsPerBlock),
         static_cast<int32_t>(column % columnsPerBlock)});
    state.lowers.push(candidate.lower, k);
    state.threshold = std::max(state.threshold, state.lowers.threshold(k));
    if (state.pending.size() < limit)
      continue;
    llvm::erase_if(state.pending, [&](const Pending &pending) {
      return pending.upper < state.threshold;
    });
    if (state.pending.size() < limit / 2)
      continue;
    const int64_t matrixRow = task.rowsA[row];
    settle(local, local + 1);
    if (exact[local].size() == k) {
      // The k-th exact score bounds too, one rounding below.
      const double scaled =
          packing.unitOf(matrixRow) *
          (exact[local].back().score + packing.shiftOf(matrixRow));
      state.threshold = std::max(
          state.threshold, down(static_cast<float>(scaled) - absolute));
    }
  }
}

/// Computes what waits for the rows [first, last) of the block in float64 and
/// keeps the k best of each, best first.
template <typename T> void Scanner<T>::settle(int64_t first, int64_t last) {
  struct Pair {
    int64_t local;
    Pending pending;
  };
  constexpr int64_t group = exactLanes;
  Pair pairs[group];
  int64_t count = 0;
  std::vector<float> buffers(2 * group * width);
  auto flush = [&] {
    if (count == 0)
      return;
    const float *lefts[group], *rights[group];
    double normsA[group], normsB[group], values[group];
    auto load = [&](const RowTable &table, int64_t row, int64_t slot) {
      return table.matrix().rowOrCopy(row, buffers.data() + slot * width);
    };
    for (int64_t t = 0; t < count; ++t) {
      const int64_t row = task.rowsA[blockBegin + pairs[t].local],
                    column = task.rowsB[pairs[t].pending.column()];
      lefts[t] = t > 0 && pairs[t].local == pairs[t - 1].local
                     ? lefts[t - 1]
                     : load(task.a, row, t);
      rights[t] = load(task.b, column, group + t);
      normsA[t] = task.a.norm(row);
      normsB[t] = task.b.norm(column);
    }
    exactPairs(lefts, normsA, rights, normsB, count, width, task.kind, values);
    for (int64_t t = 0; t < count; ++t) {
      const int64_t local = pairs[t].local,
                    row = task.rowsA[blockBegin + local],
                    column = pairs[t].pending.column();
      const double score =
          values[t] + (task.offsets.empty() ? 0 : task.offsets[column]);
      if (packing.unitOf(row) * (score + packing.shiftOf(row)) >
          pairs[t].pending.upper)
        broken = true;
      exact[local].push_back({score, values[t], column});
    }
    count = 0;
  };
  for (int64_t local = first; local < last; ++local) {
    RowState &state = states[local];
    for (const Pending &pending : state.pending) {
      pairs[count++] = {local, pending};
      if (count == group)
        flush();
    }
    state.survivors += static_cast<int64_t>(state.pending.size());
    state.pending.clear();
  }
  flush();
  for (int64_t local = first; local < last; ++local) {
    std::vector<Scored> &kept = exact[local];
    const size_t keep = std::min<size_t>(kept.size(), task.k);
    std::partial_sort(kept.begin(), kept.begin() + keep, kept.end());
    kept.resize(keep);
  }
}

template <typename T>
void Scanner<T>::finishRows(int64_t begin, int64_t end, ScanResult &result) {
  parallelFor(0, end - begin, 64, [&](int64_t first, int64_t last) {
    for (int64_t local = first; local < last; ++local) {
      RowState &state = states[local];
      llvm::erase_if(state.pending, [&](const Pending &pending) {
        return pending.upper < state.threshold;
      });
    }
    settle(first, last);
    for (int64_t local = first; local < last; ++local) {
      if (static_cast<int64_t>(exact[local].size()) != task.k) {
        broken = true;
        continue;
      }
      Found *out = result.best.data() + (begin + local) * task.k;
      for (const Scored &scored : exact[local])
        *out++ = {scored.value, scored.column};
    }
  });
  for (int64_t local = 0; local < end - begin; ++local)
    result.survivors += states[local].survivors;
}

template <typename T>
llvm::Expected<int64_t> Scanner<T>::run(int64_t firstRow, bool mayGiveUp,
                                        ScanResult &result) {
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t columns = static_cast<int64_t>(task.rowsB.size());
  int64_t refined = 0;
  try {
    for (int64_t begin = firstRow; begin < rows; begin += rowsPerBlock) {
      const int64_t end = std::min(rows, begin + rowsPerBlock);
      blockBegin = begin;
      packing.packRows(begin, end);
      states.assign(end - begin, {});
      exact.assign(end - begin, {});
      for (int64_t j = 0; j < columns; j += columnsPerBlock) {
        const int64_t last = std::min(columns, j + columnsPerBlock);
        packing.packColumns(j, last);
        meet(begin, end, j, last);
        if (!mayGiveUp)
          continue;
        // An f32 product is about four times as long as one of bytes, and a
        // pair in f32 takes as long as some fifty in a product.
        int64_t now = 0;
        for (const RowState &state : states)
          now += state.refined;
        if (now > (end - begin) * (8 * task.k + 0.06 * last + 64))
          return begin;
      }
      finishRows(begin, end, result);
      for (const RowState &state : states)
        refined += state.refined;
    }
  } catch (const TensorError &error) {
    return llvm::createStringError(
        std::string("the matrix product failed: ") +
        error.what());
  }
  result.refined += refined;
  if (broken)
    return llvm::createStringError(
        "this processor's matrix product in %s breaks its error bound",
        !coarse               ? "f32"
        : sizeof(Result) == 2 ? "bf16"
                              : "int8");
  return rows;
}

} // namespace

llvm::Expected<int64_t> matching::screenRows(const ScanTask &task,
                                             Screen screen, Device device,
                                             int64_t begin, bool mayGiveUp,
                                             ScanResult &result) {
  if (screen == Screen::Int8)
    return Scanner<int8_t>(task, device).run(begin, mayGiveUp, result);
  if (screen == Screen::BFloat16)
    return Scanner<uint16_t>(task, device).run(begin, false, result);
  return Scanner<float>(task, device).run(begin, false, result);
}
