//===- PrefixScan.h - The best column by the first numbers of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row whose best column is much better than all others, as in dictionaries
// that match well, shows it in the first numbers already: what the rest of the
// numbers can add to a pair is bounded by the product of the rests' norms. Then
// only a part of the product is needed.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_PREFIXSCAN_H
#define WEIR_LIB_MATCHING_PREFIXSCAN_H

#include "Scan.h"

namespace weir::matching {

/// How many of a row's first numbers to look at, and the share of rows that are
/// then expected to stay open, judged by a sample of the rows. 0 numbers if
/// looking at all of them at once is expected to be as fast.
struct PrefixChoice {
  int64_t prefix = 0;
  double open = 1;
};

struct PrefixResult {
  /// Of each row of the task: the best column, and what no other column's
  /// similarity exceeds. Column -1 where the prefix does not tell.
  std::vector<Found> best;
  std::vector<double> others;
  std::vector<int64_t> open; ///< positions in rowsA of those rows
};

/// Whether a task is one for this: k = 1, no offsets, an automatic screen on the
/// processor.
bool mayScanPrefixes(const ScanTask &task);

llvm::Expected<PrefixChoice> choosePrefix(const ScanTask &task);
llvm::Expected<PrefixResult> scanPrefixes(const ScanTask &task, int64_t prefix);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_PREFIXSCAN_H
