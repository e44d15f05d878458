//===- Gather.cpp - Reading some rows of a mapped matrix ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Gather.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"

#include <cmath>
#include <numeric>

#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;

namespace weir::dictionary {

static Error notFinite(StringRef path, const NamedTensor &tensor,
                       const Twine &index, double value) {
  return fail(path, tensor.name + "[" + index + "] is " +
                        (std::isnan(value) ? "NaN" : "infinite"));
}

/// madvise on the pages that hold `bytes`. Only advice: errors do not matter.
static void advise(ArrayRef<std::byte> bytes, int advice) {
  uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t begin = reinterpret_cast<uintptr_t>(bytes.begin()) / page * page;
  uintptr_t end = reinterpret_cast<uintptr_t>(bytes.end());
  ::madvise(reinterpret_cast<void *>(begin), end - begin, advice);
}

/// Few rows of a large matrix: without the advice the system reads megabytes
/// around each of them.
static void gatherRows(const TensorView &view, ArrayRef<int64_t> features,
                       RowMatrix &out) {
  int64_t width = view.shape[1];
  ArrayRef<std::byte> bytes(view.data, view.numBytes());
  size_t rowBytes = width * sizeOf(view.dtype);
  bool few = static_cast<int64_t>(features.size()) < view.shape[0] / 4;
  if (few) {
    advise(bytes, MADV_RANDOM);
    for (int64_t feature : features)
      advise(bytes.slice(feature * rowBytes, rowBytes), MADV_WILLNEED);
  }
  auto restore = llvm::scope_exit([&] {
    if (few)
      advise(bytes, MADV_NORMAL);
  });
  for (auto [row, feature] : enumerate(features))
    view.copyTo(out.row(row).data(), feature * width, width);
}

/// A stored row holds one element of every feature. Stored rows are walked
/// once, in order, so that a page is visited once however many features it
/// serves; neighbouring features are widened together.
static void gatherColumns(const TensorView &view, ArrayRef<int64_t> features,
                          RowMatrix &out) {
  int64_t height = view.shape[0], stride = view.shape[1];
  int64_t count = features.size();
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(features[a], a) < std::pair(features[b], b);
  });
  struct Run {
    int64_t first, length, position;
  };
  SmallVector<Run> runs;
  for (auto [position, index] : enumerate(order)) {
    int64_t feature = features[index];
    if (!runs.empty() && runs.back().first + runs.back().length == feature)
      ++runs.back().length;
    else
      runs.push_back({feature, 1, static_cast<int64_t>(position)});
  }

  // A block of stored rows is turned round in memory: about 1 MB at a time.
  int64_t blockRows =
      std::clamp<int64_t>((int64_t(1) << 18) / std::max<int64_t>(count, 1), 8,
                          std::max<int64_t>(height, 8));
  std::vector<float> block(static_cast<size_t>(blockRows * count));
  for (int64_t begin = 0; begin < height; begin += blockRows) {
    int64_t rows = std::min(blockRows, height - begin);
    for (int64_t row = 0; row < rows; ++row)
      for (const Run &run : runs)
        view.copyTo(block.data() + row * count + run.position,
                    (begin + row) * stride + run.first, run.length);
    for (auto [position, index] : enumerate(order)) {
      float *to = out.row(index).data() + begin;
      for (int64_t row = 0; row < rows; ++row)
        to[row] = block[row * count + position];
    }
  }
}

Expected<RowMatrix> gather(StringRef path, const NamedTensor &matrix,
                           bool byRow, ArrayRef<int64_t> features) {
  int64_t width = matrix.view.shape[byRow ? 1 : 0];
  RowMatrix out(features.size(), width);
  if (byRow)
    gatherRows(matrix.view, features, out);
  else
    gatherColumns(matrix.view, features, out);
  for (auto [row, feature] : enumerate(features)) {
    if (out.row(row).allFinite())
      continue;
    for (int64_t i = 0; i < width; ++i)
      if (float value = out(row, i); !std::isfinite(value))
        return byRow ? notFinite(path, matrix, Twine(feature) + ", " + Twine(i),
                                 value)
                     : notFinite(path, matrix, Twine(i) + ", " + Twine(feature),
                                 value);
  }
  return out;
}

Expected<std::vector<double>> gatherElements(StringRef path,
                                             const NamedTensor &vector,
                                             ArrayRef<int64_t> features) {
  std::vector<double> out;
  out.reserve(features.size());
  for (int64_t feature : features) {
    double value = vector.view.at(feature);
    if (!std::isfinite(value))
      return notFinite(path, vector, Twine(feature), value);
    out.push_back(value);
  }
  return out;
}

} // namespace weir::dictionary
