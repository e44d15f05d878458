//===- Scan.h - The best columns of each row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_SCAN_H
#define WEIR_LIB_MATCHING_SCAN_H

#include "RowTable.h"

#include "weir/Matching/TopK.h"

namespace weir::matching {

/// For each of `rowsA` the k columns j of `rowsB` with the largest
/// score = similarity + offset_j, exact in float64, equal scores by ascending
/// position in `rowsB`.
struct ScanTask {
  const RowTable &a;
  const RowTable &b;
  llvm::ArrayRef<int64_t> rowsA, rowsB;
  llvm::ArrayRef<double> offsets; ///< one for each of rowsB, or none (zeros)
  int64_t k = 1;                  ///< 1..rowsB.size()
  Similarity kind = Similarity::Cosine;
  Screen screen = Screen::Automatic;
  Device device = Device::Processor;
};

struct Found {
  double value;   ///< the similarity, without the offset
  int64_t column; ///< position in rowsB
};

struct ScanResult {
  /// [rowsA, k], best first.
  std::vector<Found> best;
  int64_t survivors = 0; ///< pairs computed in float64
  int64_t refined = 0;   ///< pairs computed in f32 after a coarser screen
  Screen screen = Screen::Float32;
};

llvm::Expected<ScanResult> scan(const ScanTask &task);

/// Sets LibTorch's number of threads for a scope; 0 leaves it.
class ThreadScope {
public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope &) = delete;
  ThreadScope &operator=(const ThreadScope &) = delete;

private:
  int before = 0;
};

/// Errors of inputs that do not fit together.
llvm::Error checkPair(const Matrix &a, const Matrix &b);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_SCAN_H
