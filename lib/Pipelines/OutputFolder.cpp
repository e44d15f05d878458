//===- OutputFolder.cpp - A folder that appears whole or not at all ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Pipelines/OutputFolder.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace weir;
namespace fs = llvm::sys::fs;

static llvm::Error problem(const llvm::Twine &what, std::error_code code) {
  return llvm::createStringError(code, what + ": " + code.message());
}

/// Whether a folder may be replaced: an older artefact, or nothing in it.
static llvm::Error checkReplaceable(const std::string &target) {
  if (!fs::exists(target))
    return llvm::Error::success();
  if (!fs::is_directory(target))
    return llvm::createStringError("'" + target + "' is not a folder");
  llvm::SmallString<256> manifest(target);
  llvm::sys::path::append(manifest, "manifest.json");
  if (fs::exists(manifest))
    return llvm::Error::success();
  std::error_code code;
  fs::directory_iterator first(target, code), end;
  if (code)
    return problem("cannot read '" + target + "'", code);
  if (first == end)
    return llvm::Error::success();
  return llvm::createStringError(
      "'" + target +
      "' holds other files and no manifest.json; it is not replaced: choose "
      "another folder");
}

static constexpr llvm::StringLiteral scratchMark = ".weir-part-";

/// A file descriptor that holds a lock on the folder; -1 if another process has
/// it, or the folder is gone.
static int lockFolder(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return -1;
  struct stat locked, named;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &locked) == 0 &&
      ::lstat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
      locked.st_dev == named.st_dev)
    return fd;
  ::close(fd);
  return -1;
}

/// Removes the scratch folders of processes that were killed.
static void removeAbandoned(llvm::StringRef target) {
  llvm::StringRef name = llvm::sys::path::filename(target);
  std::error_code code;
  std::vector<std::string> found;
  for (fs::directory_iterator at(llvm::sys::path::parent_path(target), code),
       end;
       at != end && !code; at.increment(code)) {
    llvm::StringRef other = llvm::sys::path::filename(at->path());
    if (other.consume_front(name) && other.consume_front(scratchMark) &&
        other.size() == 6)
      found.push_back(at->path());
  }
  for (const std::string &path : found) {
    int lock = lockFolder(path);
    if (lock < 0)
      continue;
    (void)fs::remove_directories(path, /*IgnoreErrors=*/true);
    ::close(lock);
  }
}

llvm::Expected<std::unique_ptr<OutputFolder>>
OutputFolder::create(llvm::StringRef target) {
  llvm::SmallString<256> whole(target);
  if (std::error_code code = fs::make_absolute(whole))
    return problem("cannot use '" + target + "'", code);
  llvm::sys::path::remove_dots(whole, /*remove_dot_dot=*/true);
  if (llvm::sys::path::filename(whole).empty() ||
      whole == llvm::sys::path::root_path(whole))
    return llvm::createStringError("'" + target + "' cannot be an output folder");
  std::string name = whole.str().str();
  if (llvm::Error e = checkReplaceable(name))
    return std::move(e);
  if (std::error_code code =
          fs::create_directories(llvm::sys::path::parent_path(name)))
    return problem("cannot make the folder of '" + target + "'", code);
  removeAbandoned(name);
  for (int attempt = 1;; ++attempt) {
    std::string scratch = name + scratchMark.str() + "XXXXXX";
    if (!mkdtemp(scratch.data()))
      return problem("cannot make a folder beside '" + target + "'",
                     std::error_code(errno, std::generic_category()));
    int lock = lockFolder(scratch);
    // Until it is locked another process may take it for abandoned; and there
    // are file systems without locks, where nothing is removed either.
    if (lock >= 0 || attempt == 3)
      return std::unique_ptr<OutputFolder>(
          new OutputFolder(name, scratch, lock));
  }
}

OutputFolder::~OutputFolder() {
  if (lock >= 0)
    ::close(lock);
  if (!scratch.empty())
    (void)fs::remove_directories(scratch, /*IgnoreErrors=*/true);
}

static void syncFolder(llvm::StringRef path) {
  int fd = ::open(path.str().c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return;
  ::fsync(fd);
  ::close(fd);
}

llvm::Error OutputFolder::publish() {
  // mkdtemp makes a private folder; an artefact is for others as well.
  mode_t mask = ::umask(0);
  ::umask(mask);
  ::chmod(scratch.c_str(), 0777 & ~mask);
  syncFolder(scratch);
  if (llvm::Error e = checkReplaceable(target))
    return e;
  // Exchanging the two names leaves either the old folder or the new one under
  // the target's name, whenever the process is stopped.
  bool exchanged =
      ::renameat2(AT_FDCWD, scratch.c_str(), AT_FDCWD, target.c_str(),
                  RENAME_EXCHANGE) == 0;
  if (!exchanged && errno != ENOENT)
    return problem("cannot replace '" + target + "'",
                   std::error_code(errno, std::generic_category()));
  if (!exchanged && ::rename(scratch.c_str(), target.c_str()) != 0)
    return problem("cannot make '" + target + "'",
                   std::error_code(errno, std::generic_category()));
  syncFolder(llvm::sys::path::parent_path(target));
  if (!exchanged)
    scratch.clear(); // else it is the old folder now and goes away
  return llvm::Error::success();
}
