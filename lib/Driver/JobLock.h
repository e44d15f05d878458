//===- JobLock.h - One process for a job ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_JOBLOCK_H
#define WEIR_LIB_DRIVER_JOBLOCK_H

#include "weir/Support/FileLock.h"

#include "llvm/Support/FileSystem.h"

#include <memory>
#include <string>

namespace weir {

/// Keeps other processes from the same job. The lock's file goes with it.
class JobLock {
public:
  /// Errors: it cannot be locked, or another process is `doing` the job.
  static llvm::Expected<std::unique_ptr<JobLock>> take(std::string path,
                                                       llvm::StringRef doing) {
    auto lock = FileLock::take(path, /*wait=*/false);
    if (!lock)
      return lock.takeError();
    if (!lock->isHeld())
      return llvm::createStringError("'" + path + "': another process is " +
                                     doing + "; wait for it or end it");
    return std::unique_ptr<JobLock>(
        new JobLock(std::move(path), std::move(*lock)));
  }
  ~JobLock() { llvm::sys::fs::remove(path); }

private:
  JobLock(std::string path, FileLock lock)
      : path(std::move(path)), lock(std::move(lock)) {}
  std::string path;
  FileLock lock; ///< given up after the name is gone
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_JOBLOCK_H
