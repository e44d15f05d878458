//===- FileLock.cpp - Locks on files that others know by name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/FileLock.h"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

namespace weir {

bool hasName(int descriptor, StringRef path) {
  struct stat held, named;
  return ::fstat(descriptor, &held) == 0 &&
         ::lstat(path.str().c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

LockState lockNamed(int descriptor, StringRef path, bool wait) {
  while (::flock(descriptor, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0)
    if (errno == EWOULDBLOCK)
      return LockState::Busy;
    else if (errno != EINTR)
      return LockState::Failed;
  return hasName(descriptor, path) ? LockState::Held : LockState::Gone;
}

Expected<FileLock> FileLock::take(StringRef path, bool wait) {
  while (true) {
    int fd = ::open(path.str().c_str(),
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    LockState state = fd < 0 ? LockState::Failed : lockNamed(fd, path, wait);
    if (state == LockState::Held)
      return FileLock(fd);
    std::error_code code(errno, std::generic_category());
    if (fd >= 0)
      ::close(fd);
    if (state == LockState::Busy)
      return FileLock(-1);
    if (state == LockState::Failed)
      return createStringError(code, "cannot lock '" + path + "': " +
                                         code.message());
  }
}

FileLock::~FileLock() {
  if (fd >= 0)
    ::close(fd);
}

} // namespace weir
