//===- Files.h - Checked input, atomic output ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_FILES_H
#define WEIR_SUPPORT_FILES_H

#include "llvm/ADT/ArrayRef.h"

#include "weir/Support/Hashing.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace llvm {
class MemoryBuffer;
} // namespace llvm

namespace weir {

class FileMapping;

/// A regular file that is open for reading. Whatever Weir reads by a name goes
/// through here: named pipes, devices, sockets and folders are refused without
/// waiting for them, and a file above the limit before a byte of it is read.
/// What is hashed, read and mapped through one InputFile is the same file,
/// whatever its name comes to stand for in between.
class InputFile {
public:
  static constexpr uint64_t unlimited = UINT64_MAX;

  /// Errors name the file: it is not there, is not a regular file, or has more
  /// than `limit` bytes.
  static llvm::Expected<std::shared_ptr<InputFile>>
  open(llvm::StringRef path, uint64_t limit = unlimited);
  ~InputFile();
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;

  llvm::StringRef path() const { return name; }
  /// Bytes it had when it was opened.
  uint64_t size() const { return bytes; }
  /// For callers that map in their own way; it stays this object's.
  int descriptor() const { return fd; }

  /// All of it, in memory. A file that became shorter is an error.
  llvm::Expected<std::string> text() const;
  /// SHA-256 of its bytes as 64 lower-case hexadecimal digits. They are read
  /// and not mapped, so a large file does not count as memory of the process.
  llvm::Expected<std::string> sha256() const;
  llvm::Expected<std::shared_ptr<FileMapping>> map() const;
  /// For LLVM's parsers: followed by a NUL, mapped where that is possible.
  llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> buffer() const;

private:
  InputFile(std::string name, int fd, uint64_t bytes)
      : name(std::move(name)), fd(fd), bytes(bytes) {}
  std::string name;
  int fd;
  uint64_t bytes;
};

/// A file mapped read-only and private. An empty file maps to an empty span.
/// Replacing the file (as writeAtomically does) leaves the mapping as it is;
/// cutting it short in place would end the process when the pages are read.
class FileMapping {
public:
  /// Opens and maps, without keeping a descriptor. Errors as InputFile's.
  static llvm::Expected<std::shared_ptr<FileMapping>>
  open(llvm::StringRef path, uint64_t limit = InputFile::unlimited);
  ~FileMapping();
  FileMapping(const FileMapping &) = delete;
  FileMapping &operator=(const FileMapping &) = delete;

  llvm::ArrayRef<std::byte> bytes() const { return {data, size}; }
  llvm::StringRef text() const {
    return {reinterpret_cast<const char *>(data), size};
  }
  llvm::StringRef path() const { return name; }

  /// Tells the system that these bytes of the mapping will not be read soon, so
  /// that walking through a large file does not fill memory. They stay
  /// readable.
  void releasePages(llvm::ArrayRef<std::byte> part) const;

private:
  friend class InputFile;
  FileMapping() = default;
  std::string name;
  std::byte *data = nullptr;
  size_t size = 0;
};

/// Reads a whole (small) text file; refuses files above `limit` bytes.
llvm::Expected<std::string> readText(llvm::StringRef path,
                                     size_t limit = 64u << 20);

/// Whether a regular file of that name is there and has a byte, or cannot be asked:
/// what a command replaces only if it is its own. Everything else is left to who
/// writes, who says what is wrong, if anything.
bool holdsSomething(llvm::StringRef path);

/// Writes a file so that the path holds either its old content or all of the
/// new: `write` fills a temporary file in the same folder, which is synced and
/// renamed over `path`. The temporary is removed on any error.
llvm::Error writeAtomically(
    llvm::StringRef path,
    llvm::function_ref<llvm::Error(llvm::StringRef temporaryPath)> write);

/// A plain file for output that reports every failed write, as the temporary
/// of `writeAtomically` needs.
class OutputFile {
public:
  static llvm::Expected<std::unique_ptr<OutputFile>> open(llvm::StringRef path);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  llvm::Error write(llvm::ArrayRef<std::byte> bytes);
  llvm::Error write(llvm::StringRef text) {
    return write(llvm::ArrayRef<std::byte>(
        reinterpret_cast<const std::byte *>(text.data()), text.size()));
  }
  /// Puts other bytes in the place of some that were written before.
  llvm::Error rewrite(uint64_t position, llvm::ArrayRef<std::byte> bytes);
  /// Bytes written so far.
  size_t position() const { return written; }
  /// To be called last; without it the file counts as given up.
  llvm::Error close();

private:
  OutputFile(std::string name, int fd) : name(std::move(name)), fd(fd) {}
  std::string name;
  int fd = -1;
  size_t written = 0;
};

/// `writeAtomically` for a text that is already in memory.
llvm::Error writeTextAtomically(llvm::StringRef path, llvm::StringRef text);

/// InputFile::sha256 of a file that nothing else is read from.
llvm::Expected<std::string> sha256OfFile(llvm::StringRef path);

} // namespace weir

#endif // WEIR_SUPPORT_FILES_H
