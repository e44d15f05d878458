//===- Files.cpp - Checked input, atomic output ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/Files.h"

#include "weir/Support/Hashing.h"
#include "weir/Support/TemporaryFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ErrorHandling.h"

#include <array>
#include <cerrno>
#include <cinttypes>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace llvm;

namespace weir {

static Error failedOn(StringRef path, StringRef action, int code) {
  return createStringError(std::error_code(code, std::generic_category()),
                           "%s: cannot %s: %s", path.str().c_str(),
                           action.str().c_str(),
                           std::generic_category().message(code).c_str());
}

//===----------------------------------------------------------------------===//
// Input
//===----------------------------------------------------------------------===//

Expected<std::shared_ptr<InputFile>> InputFile::open(StringRef path,
                                                     uint64_t limit) {
  std::string name = path.str();
  // A name with a NUL would open another file than the one it shows.
  if (path.contains('\0'))
    return createStringError(std::errc::invalid_argument,
                             "file name contains a NUL byte");
  // Opening alone can set a device going, or wake who waits at a pipe.
  struct stat status;
  auto checkKind = [&]() -> Error {
    if (S_ISREG(status.st_mode))
      return Error::success();
    return createStringError(std::errc::invalid_argument,
                             "%s: not a regular file", name.c_str());
  };
  if (::stat(name.c_str(), &status) != 0)
    return failedOn(path, "open", errno);
  if (Error error = checkKind())
    return std::move(error);
  // What has taken the name since is refused below: O_NONBLOCK keeps a pipe
  // from blocking, O_NOCTTY a terminal from becoming this process's own.
  int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return failedOn(path, "open", errno);
  std::shared_ptr<InputFile> file(new InputFile(name, fd, 0));
  if (::fstat(fd, &status) != 0)
    return failedOn(path, "inspect", errno);
  if (Error error = checkKind())
    return std::move(error);
  file->bytes = static_cast<uint64_t>(status.st_size);
  if (file->bytes > limit)
    return createStringError(std::errc::file_too_large,
                             "%s: %" PRIu64 " bytes, more than the %" PRIu64
                             " that are accepted here",
                             file->name.c_str(), file->bytes, limit);
  return file;
}

InputFile::~InputFile() { ::close(fd); }

/// Calls `take` with all bytes, piece by piece.
static Error readThrough(const InputFile &file, MutableArrayRef<char> piece,
                         function_ref<void(StringRef)> take) {
  for (uint64_t at = 0; at < file.size();) {
    size_t wanted = std::min<uint64_t>(piece.size(), file.size() - at);
    ssize_t got =
        ::pread(file.descriptor(), piece.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return failedOn(file.path(), "read", errno);
    if (got == 0)
      return createStringError(std::errc::io_error,
                               "%s: became shorter while it was read",
                               file.path().str().c_str());
    take(StringRef(piece.data(), static_cast<size_t>(got)));
    at += static_cast<uint64_t>(got);
  }
  return Error::success();
}

/// Bytes that are read at once.
static constexpr size_t readSize = size_t(1) << 20;

Expected<std::string> InputFile::text() const {
  std::string out;
  out.reserve(bytes);
  std::vector<char> piece(std::min<uint64_t>(readSize, bytes));
  if (Error error =
          readThrough(*this, piece, [&](StringRef part) { out += part; }))
    return std::move(error);
  return out;
}

Expected<std::string> InputFile::sha256() const {
  Sha256 hash;
  std::vector<char> piece(std::min<uint64_t>(readSize, bytes));
  if (Error error =
          readThrough(*this, piece, [&](StringRef part) { hash.update(part); }))
    return std::move(error);
  return hash.finish();
}

Expected<std::shared_ptr<FileMapping>> InputFile::map() const {
  std::shared_ptr<FileMapping> mapping(new FileMapping());
  mapping->name = name;
  mapping->size = bytes;
  if (bytes == 0)
    return mapping;
  void *address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED)
    return failedOn(name, "map", errno);
  mapping->data = static_cast<std::byte *>(address);
  return mapping;
}

Expected<std::unique_ptr<MemoryBuffer>> InputFile::buffer() const {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getOpenFile(fd, name, bytes);
  if (!buffer)
    return failedOn(name, "read", buffer.getError().value());
  return std::move(*buffer);
}

Expected<std::shared_ptr<FileMapping>> FileMapping::open(StringRef path,
                                                         uint64_t limit) {
  Expected<std::shared_ptr<InputFile>> file = InputFile::open(path, limit);
  if (!file)
    return file.takeError();
  return (*file)->map();
}

FileMapping::~FileMapping() {
  if (data)
    ::munmap(data, size);
}

void FileMapping::releasePages(ArrayRef<std::byte> part) const {
  // Other memory would lose its content.
  uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  uintptr_t first = reinterpret_cast<uintptr_t>(part.data());
  if (first < begin || first - begin > size ||
      part.size() > size - (first - begin))
    return;
  // Only pages that lie wholly inside: neighbours may be in use.
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t last = (first + part.size()) / page * page;
  first = (first + page - 1) / page * page;
  if (first < last)
    ::madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
}

Expected<std::string> readText(StringRef path, size_t limit) {
  Expected<std::shared_ptr<InputFile>> file = InputFile::open(path, limit);
  if (!file)
    return file.takeError();
  return (*file)->text();
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

/// Flushes a file or a folder to the disk.
static Error syncPath(const std::string &path, int flags) {
  int fd = ::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failedOn(path, "open", errno);
  scope_exit closeFile([&] { ::close(fd); });
  // Some file systems cannot sync a folder and say EINVAL; the rename is then
  // as durable as they make it.
  if (::fsync(fd) != 0 && !((flags & O_DIRECTORY) && errno == EINVAL))
    return failedOn(path, "sync", errno);
  return Error::success();
}

bool holdsSomething(StringRef path) {
  uint64_t size = 0;
  return llvm::sys::fs::is_regular_file(path) &&
         (llvm::sys::fs::file_size(path, size) || size > 0);
}

Error writeAtomically(StringRef path, function_ref<Error(StringRef)> write) {
  // Follow links, so that a link is kept and its target is replaced.
  SmallString<256> target(path);
  if (sys::fs::is_symlink_file(path)) {
    if (std::error_code code = sys::fs::real_path(path, target))
      return failedOn(path, "follow the link", code.value());
  }
  sys::fs::file_status status;
  bool exists = !sys::fs::status(target, status) && sys::fs::exists(status);
  // Renaming over a device or a folder would destroy it, or fail late.
  if (exists && !sys::fs::is_regular_file(status))
    return createStringError(std::errc::invalid_argument,
                             "%s: exists and is not a regular file",
                             path.str().c_str());

  SmallString<256> folder = sys::path::parent_path(target);
  if (folder.empty())
    folder = ".";
  Expected<TemporaryFile> temporary = TemporaryFile::beside(target);
  if (!temporary)
    return failedOn(path, "create a temporary file beside it",
                    errorToErrorCode(temporary.takeError()).value());
  if (Error error = write(temporary->path()))
    return error;
  if (exists)
    sys::fs::setPermissions(temporary->path(), status.permissions());
  if (Error error = syncPath(temporary->path().str(), 0))
    return error;
  if (std::error_code code = temporary->moveTo(target))
    return failedOn(path, "move the finished file here", code.value());
  return syncPath(std::string(folder), O_DIRECTORY);
}

OutputFile::~OutputFile() {
  if (fd >= 0)
    ::close(fd);
}

Expected<std::unique_ptr<OutputFile>> OutputFile::open(StringRef path) {
  int fd = ::open(path.str().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                  0666);
  if (fd < 0)
    return failedOn(path, "open for writing", errno);
  return std::unique_ptr<OutputFile>(new OutputFile(path.str(), fd));
}

Error OutputFile::write(ArrayRef<std::byte> bytes) {
  while (!bytes.empty()) {
    // Linux writes at most 2 GiB at once.
    ssize_t done =
        ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (done < 0 && errno == EINTR)
      continue;
    // The kernel reads the bytes; those of a mapped file may be gone.
    if (done < 0 && errno == EFAULT)
      return createStringError(
          std::errc::io_error,
          "%s: cannot write: a file that it is made from was cut short "
          "meanwhile",
          name.c_str());
    if (done <= 0)
      return failedOn(name, "write", done < 0 ? errno : ENOSPC);
    bytes = bytes.drop_front(static_cast<size_t>(done));
    written += static_cast<size_t>(done);
  }
  return Error::success();
}

Error OutputFile::rewrite(uint64_t position, ArrayRef<std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(),
                            static_cast<off_t>(position));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return failedOn(name, "write", done < 0 ? errno : ENOSPC);
    bytes = bytes.drop_front(static_cast<size_t>(done));
    position += static_cast<uint64_t>(done);
  }
  return Error::success();
}

Error OutputFile::close() {
  int closing = std::exchange(fd, -1);
  if (::close(closing) != 0)
    return failedOn(name, "close", errno);
  return Error::success();
}

Error writeTextAtomically(StringRef path, StringRef text) {
  return writeAtomically(path, [&](StringRef temporary) -> Error {
    Expected<std::unique_ptr<OutputFile>> file = OutputFile::open(temporary);
    if (!file)
      return file.takeError();
    if (Error error = (*file)->write(text))
      return error;
    return (*file)->close();
  });
}

Expected<std::string> sha256OfFile(StringRef path) {
  Expected<std::shared_ptr<InputFile>> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  return (*file)->sha256();
}

} // namespace weir
