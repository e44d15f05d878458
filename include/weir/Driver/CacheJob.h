//===- CacheJob.h - The commands about the cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_CACHEJOB_H
#define WEIR_DRIVER_CACHEJOB_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <optional>
#include <string>

namespace weir {

/// What `weirc cache ls`, `gc` and `verify` do. Each writes lines for people, or
/// one JSON object. None makes the folder: one that is named has to be there, a
/// default one that is not there yet is empty.
struct CacheJob {
  std::string folder; ///< empty for the default
  bool json = false;

  llvm::Error list(llvm::raw_ostream &os) const;
  /// Reads every entry; `damaged` receives how many are not what was written.
  /// With `remove` these are removed.
  llvm::Error verify(bool remove, int64_t &damaged,
                     llvm::raw_ostream &os) const;
  /// Removes what is unused for longest until the rest takes at most
  /// `maxBytes`, and what is unused for longer than `unusedFor`.
  llvm::Error collect(std::optional<uint64_t> maxBytes,
                      std::optional<std::chrono::seconds> unusedFor,
                      llvm::raw_ostream &os) const;

private:
  llvm::Error nothingYet(llvm::StringRef path, llvm::raw_ostream &os) const;
};

/// "10G", "512M", "0": a number of bytes with an optional K, M, G or T (powers
/// of 1000).
llvm::Expected<uint64_t> parseBytes(llvm::StringRef text);
/// "30d", "12h", "15m", "20s".
llvm::Expected<std::chrono::seconds> parseDuration(llvm::StringRef text);

} // namespace weir

#endif // WEIR_DRIVER_CACHEJOB_H
