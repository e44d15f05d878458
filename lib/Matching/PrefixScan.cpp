//===- PrefixScan.cpp - The best column by the first numbers of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With a and b cut in two, a b <= a_1 b_1 + |a_2| |b_2|. The product over the
// first parts gives each pair an upper bound. A row's column of the largest
// bound is computed in float64; if that is above the second largest bound, the
// column is the row's best one, and the only one.
//
//===----------------------------------------------------------------------===//

#include "PrefixScan.h"

#include "Exact.h"
#include "Packing.h"
#include "RowState.h"

using namespace weir;
using namespace weir::matching;

namespace {

/// A row while it meets the columns: the two largest upper bounds, and the
/// position in rowsB of the first.
struct Bounds {
  float first = -INFINITY, second = -INFINITY;
  int64_t column = -1;
};

template <typename T> class PrefixScanner {
public:
  PrefixScanner(const ScanTask &task, int64_t prefix)
      : task(task), packing(task, Device::Processor, prefix) {}
  PrefixResult run();

private:
  void meet(int64_t rows, int64_t columnBegin);
  void decide(int64_t begin, int64_t end, PrefixResult &result);

  const ScanTask &task;
  Packing<T> packing;
  std::vector<Bounds> states;
};

template <typename T>
void PrefixScanner<T>::meet(int64_t rows, int64_t columnBegin) {
  const int64_t padded = packing.paddedColumns();
  const auto *products = packing.multiply();
  parallelFor(0, rows, 16, [&](int64_t first, int64_t last) {
    float upper[columnsPerBlock];
    for (int64_t local = first; local < last; ++local) {
      const float rest = static_cast<float>(packing.left.rest[local] *
                                            packing.normA[local] * 1.0001);
      const TwoLargest here =
          upperBounds(products + local * padded, packing.termsOf(local), rest,
                      packing.restB.data(), padded, upper);
      Bounds &bounds = states[local];
      if (here.first > bounds.first) {
        bounds.second = std::max(bounds.first, here.second);
        bounds.first = here.first;
        bounds.column =
            columnBegin + (std::find(upper, upper + padded, here.first) - upper);
      } else {
        bounds.second = std::max(bounds.second, here.first);
      }
    }
  });
}

/// The rows [begin, end) of the task, which have met all columns.
template <typename T>
void PrefixScanner<T>::decide(int64_t begin, int64_t end,
                              PrefixResult &result) {
  const int64_t width = packing.width;
  parallelFor(begin, end, 64, [&](int64_t first, int64_t last) {
    constexpr int64_t group = exactLanes;
    std::vector<float> buffers(2 * group * width);
    auto load = [&](const RowTable &table, int64_t row, int64_t slot) {
      return table.matrix().rowOrCopy(row, buffers.data() + slot * width);
    };
    for (int64_t at = first; at < last; at += group) {
      const int64_t count = std::min(group, last - at);
      const float *lefts[group], *rights[group];
      double normsA[group], normsB[group], values[group];
      for (int64_t t = 0; t < count; ++t) {
        const int64_t row = task.rowsA[at + t],
                      column = task.rowsB[states[at + t - begin].column];
        lefts[t] = load(task.a, row, t);
        rights[t] = load(task.b, column, group + t);
        normsA[t] = task.a.norm(row);
        normsB[t] = task.b.norm(column);
      }
      exactPairs(lefts, normsA, rights, normsB, count, width, task.kind, values);
      for (int64_t t = 0; t < count; ++t) {
        const int64_t row = task.rowsA[at + t], local = at + t - begin;
        const double unit = packing.unitOf(row), shift = packing.shiftOf(row);
        const double others =
            up(up(states[local].second) + packing.absoluteOf(local, row));
        const bool isBest = unit * (values[t] + shift) > others;
        result.best[at + t] = {values[t], isBest ? states[local].column : -1};
        // One rounding of the division and one of the difference.
        const double value = others / unit - shift;
        result.others[at + t] =
            value + 0x1p-50 * (std::fabs(value) + std::fabs(shift));
      }
    }
  });
}

template <typename T> PrefixResult PrefixScanner<T>::run() {
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t columns = static_cast<int64_t>(task.rowsB.size());
  PrefixResult result;
  result.best.resize(rows);
  result.others.resize(rows);
  for (int64_t begin = 0; begin < rows; begin += rowsPerBlock) {
    const int64_t end = std::min(rows, begin + rowsPerBlock);
    packing.packRows(begin, end);
    states.assign(end - begin, {});
    for (int64_t j = 0; j < columns; j += columnsPerBlock) {
      packing.packColumns(j, std::min(columns, j + columnsPerBlock));
      meet(end - begin, j);
    }
    decide(begin, end, result);
  }
  for (int64_t row = 0; row < rows; ++row)
    if (result.best[row].column < 0)
      result.open.push_back(row);
  return result;
}

} // namespace

llvm::Expected<PrefixResult> matching::scanPrefixes(const ScanTask &task,
                                                    int64_t prefix) {
  try {
    switch (screenFor(task.a.matrix().width())) {
    case Screen::Int8:
      return PrefixScanner<int8_t>(task, prefix).run();
    case Screen::BFloat16:
      return PrefixScanner<uint16_t>(task, prefix).run();
    default:
      return PrefixScanner<float>(task, prefix).run();
    }
  } catch (const TensorError &error) {
    return llvm::createStringError(std::string("the matrix product failed: ") +
                                   error.what());
  }
}

bool matching::mayScanPrefixes(const ScanTask &task) {
  return task.k == 1 && task.offsets.empty() &&
         task.screen == Screen::Automatic && task.device == Device::Processor;
}

llvm::Expected<PrefixChoice> matching::choosePrefix(const ScanTask &task) {
  constexpr int64_t sampled = 96, least = 2048;
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t width = task.a.matrix().width();
  PrefixChoice choice;
  if (rows < least || static_cast<int64_t>(task.rowsB.size()) < least ||
      width < 128)
    return choice;
  std::vector<int64_t> sample;
  for (int64_t t = 0; t < sampled; ++t)
    sample.push_back(task.rowsA[t * rows / sampled]);
  ScanTask judged = task;
  judged.rowsA = sample;
  // Besides its share of the product, a scan costs about a tenth of one.
  double cheapest = 0.9;
  for (double share : {0.5, 0.375, 0.25, 0.1875}) {
    const int64_t prefix = static_cast<int64_t>(share * width) / 16 * 16;
    llvm::Expected<PrefixResult> result = scanPrefixes(judged, prefix);
    if (!result)
      return result.takeError();
    const double open = static_cast<double>(result->open.size()) / sampled;
    if (share + open >= cheapest)
      break; // less numbers leave more open
    cheapest = share + open;
    choice = {prefix, open};
  }
  return choice;
}
