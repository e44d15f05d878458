//===- Scanner.h - Screening by a product ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_SCANNER_H
#define WEIR_LIB_MATCHING_SCANNER_H

#include "Scan.h"

namespace weir::matching {

/// Descending score, ascending column.
struct Scored {
  double score, value;
  int64_t column;
  bool operator<(const Scored &other) const {
    return score != other.score ? score > other.score : column < other.column;
  }
};

/// Writes the best columns of the rows from `begin` on to `result.best` and
/// counts survivors. Returns the row behind the last one that is done, which is
/// the end unless `mayGiveUp` and the screen passes so many pairs that another
/// one is faster (int8 only; rows with a few large numbers and many small ones).
llvm::Expected<int64_t> screenRows(const ScanTask &task, Screen screen,
                                   Device device, int64_t begin, bool mayGiveUp,
                                   ScanResult &result);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_SCANNER_H
