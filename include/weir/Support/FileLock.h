//===- FileLock.h - Locks on files that others know by name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Locks (flock) that the system gives up when a process dies. Who holds one may
// remove the file, so a lock counts only if the file still has its name: one on a
// file without a name would keep nobody out.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_FILELOCK_H
#define WEIR_SUPPORT_FILELOCK_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <utility>

namespace weir {

/// Whether an open file or folder is the one that has the name now, which is no
/// link.
bool hasName(int descriptor, llvm::StringRef path);

enum class LockState {
  Held,
  Busy,   ///< another process holds it
  Gone,   ///< the name is another file's now, or none's
  Failed, ///< no locks on this file system, …; errno says why
};

/// Locks an open file or folder until it is closed. With `wait`, until whoever
/// holds it gives it up, and never Busy.
LockState lockNamed(int descriptor, llvm::StringRef path, bool wait = false);

/// A lock file of one name, made if it is not there.
class FileLock {
public:
  /// Errors: it cannot be made or locked. Without `wait`, a lock that another
  /// process holds is no error, but `isHeld` is false.
  static llvm::Expected<FileLock> take(llvm::StringRef path, bool wait);
  FileLock(FileLock &&other) : fd(std::exchange(other.fd, -1)) {}
  FileLock &operator=(FileLock &&) = delete;
  ~FileLock();

  bool isHeld() const { return fd >= 0; }

private:
  explicit FileLock(int fd) : fd(fd) {}
  int fd;
};

} // namespace weir

#endif // WEIR_SUPPORT_FILELOCK_H
