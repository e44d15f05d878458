//===- StoredMatch.h - A match as an entry of the cache has it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_STOREDMATCH_H
#define WEIR_LIB_MATCHING_STOREDMATCH_H

#include "weir/Cache/ResultCache.h"

namespace weir::matching {

/// What every match has: indices and values [rows, k], mapped, and the number of
/// columns that indices lie below.
struct StoredMatch {
  TensorView indices, values;
  int64_t columns = 0;

  /// Errors: tensors that are no match, a number that is none.
  static llvm::Expected<StoredMatch> of(const CachedResult &entry);
};

/// A text of an entry that is a number from 0 on.
llvm::Expected<int64_t> wholeNumberOf(const CachedResult &entry,
                                      llvm::StringRef name);

/// An error if an index is neither a column nor -1.
llvm::Error checkIndices(const CachedResult &entry,
                         llvm::ArrayRef<int64_t> indices, int64_t columns);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_STOREDMATCH_H
