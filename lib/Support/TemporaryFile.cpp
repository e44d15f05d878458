//===- TemporaryFile.cpp - A file before it has its name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/TemporaryFile.h"

#include "weir/Support/FileLock.h"
#include "weir/Support/ThreadStop.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace llvm;
namespace fs = llvm::sys::fs;

namespace weir {

static constexpr size_t numDigits = 8;

/// What stands before the digits. File systems take names of 255 bytes.
static std::string prefixOf(StringRef name) {
  return ("." + name.take_front(200) + scratchMark).str();
}

/// The ending, if it is a short one.
static StringRef endingOf(StringRef name) {
  StringRef ending = sys::path::extension(name);
  return ending.size() <= 20 ? ending : StringRef();
}

bool isTemporaryName(StringRef name) {
  size_t mark = name.rfind(scratchMark);
  if (!name.starts_with(".") || mark == StringRef::npos || mark < 2)
    return false;
  StringRef target = name.slice(1, mark);
  StringRef rest = name.drop_front(mark + scratchMark.size());
  StringRef digits = rest.take_front(numDigits), ending = rest.drop_front(digits.size());
  return digits.size() == numDigits && all_of(digits, isHexDigit) &&
         (ending == endingOf(target) || target.size() == 200);
}

/// A regular file of this user.
static bool isOwn(int fd) {
  struct stat held;
  return ::fstat(fd, &held) == 0 && S_ISREG(held.st_mode) &&
         held.st_uid == ::geteuid();
}

bool removeAbandonedFile(StringRef path) {
  if (!isTemporaryName(sys::path::filename(path)))
    return false;
  int fd = ::open(path.str().c_str(),
                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return false;
  scope_exit close([&] { ::close(fd); });
  return lockNamed(fd, path) == LockState::Held && isOwn(fd) &&
         ::unlink(path.str().c_str()) == 0;
}

static void removeAbandonedOf(StringRef folder, StringRef name) {
  std::string prefix = prefixOf(name);
  std::vector<std::string> found;
  std::error_code code;
  for (fs::directory_iterator at(folder, code, /*follow_symlinks=*/false), end;
       at != end && !code; at.increment(code)) {
    StringRef other = sys::path::filename(at->path());
    if (other.starts_with(prefix) &&
        other.size() == prefix.size() + numDigits + endingOf(name).size())
      found.push_back(at->path());
  }
  for (const std::string &path : found)
    removeAbandonedFile(path);
}

Expected<TemporaryFile> TemporaryFile::beside(StringRef target) {
  StringRef folder = sys::path::parent_path(target);
  StringRef name = sys::path::filename(target);
  if (folder.empty())
    folder = ".";
  removeAbandonedOf(folder, name);
  for (int attempt = 1;; ++attempt) {
    // createUniqueFile would replace a '%' in the folder's name as well.
    std::string digits =
        utohexstr(sys::Process::GetRandomNumber(), /*LowerCase=*/true,
                  /*Width=*/numDigits);
    SmallString<256> path(folder);
    sys::path::append(path, prefixOf(name) + digits + endingOf(name));
    int fd, code = 0;
    {
      Unstopped whole;
      fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd < 0)
        code = errno;
      else
        sys::RemoveFileOnSignal(path);
    }
    if (code == EEXIST && attempt < 100)
      continue;
    if (fd < 0)
      return errorCodeToError(std::error_code(code, std::generic_category()));
    TemporaryFile file(path.str().str(), fd);
    // Until it is locked another process may take it for abandoned. Where there
    // are no locks nothing is removed either.
    LockState state = lockNamed(fd, path);
    if (state == LockState::Held ||
        (state == LockState::Failed && hasName(fd, path)) || attempt >= 3)
      return std::move(file);
  }
}

TemporaryFile::~TemporaryFile() {
  if (!name.empty()) {
    ::unlink(name.c_str());
    sys::DontRemoveFileOnSignal(name);
  }
  if (fd >= 0)
    ::close(fd);
}

std::error_code TemporaryFile::moveTo(StringRef target) {
  if (::rename(name.c_str(), target.str().c_str()) != 0)
    return std::error_code(errno, std::generic_category());
  sys::DontRemoveFileOnSignal(name);
  name.clear();
  return {};
}

} // namespace weir
