//===- TemporaryFile.h - A file before it has its name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file NAME.EXT is written as ".NAME.EXT.weir-part-0123abcd.EXT" beside it: it
// keeps the ending, since writers look at it. The process that writes it holds a
// lock (flock) on it, so that others know one that was left by a killed process.
// python/weir/files.py does the same.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_TEMPORARYFILE_H
#define WEIR_SUPPORT_TEMPORARYFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <system_error>
#include <utility>

namespace weir {

/// Part of the names of all scratch files and folders.
inline constexpr llvm::StringLiteral scratchMark = ".weir-part-";

/// An empty file beside the one that it will replace. It is removed with the
/// object, unless it has been moved, and when a signal ends the process.
class TemporaryFile {
public:
  /// Also removes what killed processes left of the same target.
  static llvm::Expected<TemporaryFile> beside(llvm::StringRef target);
  TemporaryFile(TemporaryFile &&other)
      : name(std::exchange(other.name, "")), fd(std::exchange(other.fd, -1)) {}
  TemporaryFile &operator=(TemporaryFile &&) = delete;
  ~TemporaryFile();

  llvm::StringRef path() const { return name; }
  /// Gives it the target's name, in one step.
  std::error_code moveTo(llvm::StringRef target);

private:
  TemporaryFile(std::string name, int fd) : name(std::move(name)), fd(fd) {}
  std::string name; ///< empty once it has been moved
  int fd;           ///< holds the lock
};

/// Whether a file name is one that `TemporaryFile` gives.
bool isTemporaryName(llvm::StringRef name);

/// Removes a file with such a name if it is a regular one of this user that no
/// process is writing. False if it stays; also where the file system has no locks.
bool removeAbandonedFile(llvm::StringRef path);

} // namespace weir

#endif // WEIR_SUPPORT_TEMPORARYFILE_H
