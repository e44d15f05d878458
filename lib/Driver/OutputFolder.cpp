//===- OutputFolder.cpp - A folder that appears whole or not at all ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/OutputFolder.h"

#include "weir/Runtime/Manifest.h"
#include "weir/Support/FileLock.h"
#include "weir/Support/TemporaryFile.h"
#include "weir/Support/ThreadStop.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace weir;
using llvm::StringRef;
namespace fs = llvm::sys::fs;

/// Of an artefact that is out of the way for a moment.
static constexpr llvm::StringLiteral oldMark = ".weir-old-";
static constexpr size_t numRandom = 6; // of mkdtemp

static llvm::Error problem(const llvm::Twine &what, std::error_code code) {
  return llvm::createStringError(code, what + ": " + code.message());
}

static std::error_code lastError() {
  return std::error_code(errno, std::generic_category());
}

static std::string below(StringRef folder, StringRef name) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

//===----------------------------------------------------------------------===//
// What is in a folder
//===----------------------------------------------------------------------===//

static llvm::Expected<std::vector<std::string>> namesIn(StringRef folder) {
  std::vector<std::string> names;
  std::error_code code;
  fs::directory_iterator at(folder, code, /*follow_symlinks=*/false), end;
  for (; !code && at != end; at.increment(code))
    names.push_back(llvm::sys::path::filename(at->path()).str());
  if (code)
    return problem("cannot read '" + folder + "'", code);
  llvm::sort(names);
  return names;
}

/// "the folder" and so on, or nothing for a regular file.
static StringRef kindUnlessFile(const std::string &path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode))
    return "";
  return S_ISDIR(status.st_mode)   ? "the folder "
         : S_ISLNK(status.st_mode) ? "the link "
                                   : "the special file ";
}

/// The files of an artefact by its manifest. Names below the folder only: no
/// path that leads elsewhere is ever followed.
static std::vector<std::string> filesNamedBy(const Manifest &manifest) {
  std::vector<std::string> names = {Manifest::fileName.str(), "report.md",
                                    "spec.yaml", manifest.program.path};
  for (const auto &file :
       {manifest.aot, manifest.kernels, manifest.table, manifest.spec})
    if (file)
      names.push_back(file->path);
  if (manifest.report)
    names.push_back(*manifest.report);
  return names;
}

/// The names of all files in a folder that may be replaced; none if it is empty
/// or not there. Otherwise an error that says why not.
static llvm::Expected<std::vector<std::string>>
replaceableFiles(const std::string &folder) {
  struct stat status;
  if (::lstat(folder.c_str(), &status) != 0) {
    if (errno == ENOENT)
      return std::vector<std::string>();
    return problem("cannot look at '" + folder + "'", lastError());
  }
  if (!S_ISDIR(status.st_mode))
    return llvm::createStringError("'" + folder + "' is not a folder");
  auto names = namesIn(folder);
  if (!names || names->empty())
    return names;
  auto refuse = [&](const llvm::Twine &why, const llvm::Twine &remedy) {
    return llvm::createStringError("'" + folder + "' " + why +
                                   "; it is not replaced: " + remedy +
                                   "choose another folder");
  };
  std::string manifestPath = below(folder, Manifest::fileName);
  if (!llvm::is_contained(*names, Manifest::fileName))
    return refuse("holds other files and no manifest.json", "");
  if (StringRef kind = kindUnlessFile(manifestPath); !kind.empty())
    return refuse("holds " + kind + "'manifest.json'", "");
  auto manifest = Manifest::read(manifestPath);
  if (!manifest)
    return refuse("holds a manifest.json that is not Weir's (" +
                      llvm::toString(manifest.takeError()) + ")",
                  "remove it yourself if it is an artefact, or ");
  std::vector<std::string> known = filesNamedBy(*manifest);
  for (const std::string &name : *names) {
    StringRef kind = kindUnlessFile(below(folder, name));
    if (!kind.empty() || !llvm::is_contained(known, name))
      return refuse("holds " + kind + "'" + name +
                        "', which is no part of the artefact there",
                    "move '" + name + "' away, or ");
  }
  return names;
}

/// Removes files by name, then the folder. False if something is left.
static bool removeFiles(const std::string &folder,
                        llvm::ArrayRef<std::string> names) {
  int fd = ::open(folder.c_str(),
                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT;
  for (const std::string &name : names)
    ::unlinkat(fd, name.c_str(), 0);
  ::close(fd);
  return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

//===----------------------------------------------------------------------===//
// Scratch folders
//===----------------------------------------------------------------------===//

/// A file descriptor that holds a lock on the folder, one of this user; -1 if
/// another process has it, or the folder is gone.
static int lockFolder(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return -1;
  struct stat locked;
  if (lockNamed(fd, path) == LockState::Held && ::fstat(fd, &locked) == 0 &&
      locked.st_uid == ::geteuid())
    return fd;
  ::close(fd);
  return -1;
}

/// Whether a folder with a scratch folder's name holds what builds write and
/// nothing else; then its files.
static std::optional<std::vector<std::string>>
scratchFiles(const std::string &folder) {
  auto names = namesIn(folder);
  if (!names) {
    llvm::consumeError(names.takeError());
    return std::nullopt;
  }
  std::vector<std::string> known = {Manifest::fileName.str(), "report.md",
                                    "spec.yaml", "program.pt2",
                                    "program.aot.pt2", "kernels.so",
                                    "sites.safetensors"};
  // An older artefact that was about to be removed.
  if (auto older = Manifest::read(below(folder, Manifest::fileName)))
    llvm::append_range(known, filesNamedBy(*older));
  else
    llvm::consumeError(older.takeError());
  for (const std::string &name : *names)
    if (!kindUnlessFile(below(folder, name)).empty() ||
        (!llvm::is_contained(known, name) && !isTemporaryName(name)))
      return std::nullopt;
  return std::move(*names);
}

/// The siblings of a target that are called NAME, mark, six letters.
static std::vector<std::string> siblings(StringRef target, StringRef mark) {
  StringRef name = llvm::sys::path::filename(target);
  std::error_code code;
  std::vector<std::string> found;
  for (fs::directory_iterator at(llvm::sys::path::parent_path(target), code,
                                 /*follow_symlinks=*/false),
       end;
       at != end && !code; at.increment(code)) {
    StringRef other = llvm::sys::path::filename(at->path());
    if (other.consume_front(name) && other.consume_front(mark) &&
        other.size() == numRandom && llvm::all_of(other, llvm::isAlnum))
      found.push_back(at->path());
  }
  return found;
}

/// Removes the scratch folders of processes that were killed, and gives an
/// artefact its name again that one of them had out of the way.
static void tidy(StringRef target) {
  for (const std::string &path : siblings(target, oldMark)) {
    int lock = lockFolder(path);
    if (lock < 0)
      continue;
    auto files = replaceableFiles(path);
    if (!files)
      llvm::consumeError(files.takeError());
    else if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD,
                         target.str().c_str(), RENAME_NOREPLACE) != 0) {
      // Without that flag only an empty folder would be replaced.
      struct stat status;
      if (::lstat(target.str().c_str(), &status) == 0)
        removeFiles(path, *files);
      else
        (void)::rename(path.c_str(), target.str().c_str());
    }
    ::close(lock);
  }
  for (const std::string &path : siblings(target, scratchMark)) {
    int lock = lockFolder(path);
    if (lock < 0)
      continue;
    if (auto files = scratchFiles(path))
      removeFiles(path, *files);
    ::close(lock);
  }
}

llvm::Error weir::removeArtefact(StringRef folder) {
  for (const std::string &path : siblings(folder, scratchMark))
    if (auto files = scratchFiles(path))
      removeFiles(path, *files);
  auto files = replaceableFiles(folder.str());
  if (!files)
    return files.takeError();
  if (!removeFiles(folder.str(), *files))
    return problem("cannot remove '" + folder + "'", lastError());
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// The path without links, '.' and '..'; what is not there yet is its last part.
static llvm::Expected<std::string> resolve(StringRef target) {
  auto cannot = [&](std::error_code code) {
    return problem("cannot use '" + target + "'", code);
  };
  while (target.size() > 1 && target.ends_with("/"))
    target = target.drop_back();
  llvm::SmallString<256> real;
  struct stat status;
  if (::lstat(target.str().c_str(), &status) == 0) {
    if (std::error_code code = fs::real_path(target, real)) {
      if (S_ISLNK(status.st_mode))
        return llvm::createStringError(
            "'" + target + "' is a link that leads nowhere: make the folder "
            "that it names, or choose another one");
      return cannot(code);
    }
    return real.str().str();
  }
  StringRef name = llvm::sys::path::filename(target);
  if (name.empty() || name == "." || name == "..")
    return llvm::createStringError("'" + target +
                                   "' cannot be an output folder");
  StringRef parent = llvm::sys::path::parent_path(target);
  if (parent.empty())
    parent = ".";
  if (std::error_code code = fs::create_directories(parent))
    return problem("cannot make the folder of '" + target + "'", code);
  if (std::error_code code = fs::real_path(parent, real))
    return cannot(code);
  return below(real, name);
}

/// Refuses folders whose names cannot be exchanged.
static llvm::Error checkMovable(const std::string &folder) {
  auto refuse = [&](StringRef what) {
    return llvm::createStringError("'" + folder + "' is " + what +
                                   ", which cannot be replaced: choose a "
                                   "folder inside it");
  };
  struct stat status, other;
  if (llvm::sys::path::filename(folder).empty() || folder == "/")
    return refuse("the root folder");
  if (::lstat(folder.c_str(), &status) != 0)
    return llvm::Error::success();
  if (::stat(".", &other) == 0 && status.st_ino == other.st_ino &&
      status.st_dev == other.st_dev)
    return refuse("the folder that you are in");
  struct statx extended;
  if (::statx(AT_FDCWD, folder.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS,
              &extended) == 0 &&
      (extended.stx_attributes_mask & extended.stx_attributes &
       STATX_ATTR_MOUNT_ROOT))
    return refuse("the root of a mounted file system");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<OutputFolder>>
OutputFolder::create(StringRef target, bool exchange) {
  auto resolved = resolve(target);
  if (!resolved)
    return resolved.takeError();
  const std::string &name = *resolved;
  tidy(name);
  if (llvm::Error e = checkMovable(name))
    return std::move(e);
  if (auto files = replaceableFiles(name); !files)
    return files.takeError();
  for (int attempt = 1;; ++attempt) {
    std::string scratch = name + scratchMark.str() + std::string(numRandom, 'X');
    Unstopped whole;
    if (!mkdtemp(scratch.data()))
      return problem("cannot make a folder beside '" + target + "'",
                     lastError());
    int lock = lockFolder(scratch);
    // Until it is locked another process may take it for abandoned; and there
    // are file systems without locks, where nothing is removed either.
    if (lock >= 0 || attempt == 3)
      return std::unique_ptr<OutputFolder>(
          new OutputFolder(name, scratch, lock, exchange));
    ::rmdir(scratch.c_str());
  }
}

OutputFolder::~OutputFolder() {
  if (lock >= 0)
    ::close(lock);
  if (scratch.empty())
    return;
  // All of it was written by this process and its children.
  if (auto names = namesIn(scratch))
    removeFiles(scratch, *names);
  else
    llvm::consumeError(names.takeError());
}

llvm::Error OutputFolder::checkInput(StringRef input) const {
  llvm::SmallString<256> real;
  if (fs::real_path(input, real) ||
      llvm::sys::path::parent_path(real) != target)
    return llvm::Error::success();
  return llvm::createStringError(
      "'" + input + "' is a part of the artefact that would be replaced; "
      "choose another output folder, or move it away");
}

static void syncFolder(StringRef path) {
  int fd = ::open(path.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  ::fsync(fd);
  ::close(fd);
}

llvm::Expected<std::string> OutputFolder::replace() {
  auto failed = [&] {
    return problem("cannot replace '" + target + "'", lastError());
  };
  // A rename replaces an empty folder, and nothing else that is there.
  if (::rename(scratch.c_str(), target.c_str()) == 0)
    return std::string();
  if (errno != ENOTEMPTY && errno != EEXIST)
    return failed();
  // Exchanging the two names leaves either the old folder or the new one under
  // the target's name, whenever the process is stopped.
  if (exchange && ::renameat2(AT_FDCWD, scratch.c_str(), AT_FDCWD,
                              target.c_str(), RENAME_EXCHANGE) == 0)
    return scratch;
  if (exchange && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    return failed();
  std::string aside = target + oldMark.str() + std::string(numRandom, 'X');
  if (!mkdtemp(aside.data()))
    return failed();
  if (::rename(target.c_str(), aside.c_str()) != 0) {
    llvm::Error error = failed();
    ::rmdir(aside.c_str());
    return std::move(error);
  }
  if (::rename(scratch.c_str(), target.c_str()) != 0) {
    llvm::Error error = failed();
    (void)::rename(aside.c_str(), target.c_str());
    return std::move(error);
  }
  return aside;
}

llvm::Expected<std::string> OutputFolder::publish() {
  // mkdtemp makes a private folder; an artefact is for others as well.
  mode_t mask = ::umask(0);
  ::umask(mask);
  ::chmod(scratch.c_str(), 0777 & ~mask);
  syncFolder(scratch);
  auto files = replaceableFiles(target);
  if (!files)
    return files.takeError();
  // From here on the scratch folder may be the older artefact.
  removal.reset();
  auto older = replace();
  if (!older)
    return older.takeError();
  scratch.clear();
  syncFolder(llvm::sys::path::parent_path(target));
  if (older->empty())
    return std::string();
  // Another build may have been faster; then its files count.
  if (auto now = replaceableFiles(*older))
    files = std::move(now);
  else
    llvm::consumeError(now.takeError());
  return removeFiles(*older, *files) ? std::string() : *older;
}
