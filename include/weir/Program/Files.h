//===- Files.h - Checked input, atomic output, content hashes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_FILES_H
#define WEIR_PROGRAM_FILES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

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

/// A running SHA-256 (libcrypto's: it counts bytes in 64 bits, where
/// llvm::SHA256 is wrong from 2^29 bytes on, and uses the processor's
/// instructions).
class Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256 &) = delete;
  Sha256 &operator=(const Sha256 &) = delete;

  void update(llvm::ArrayRef<std::byte> bytes);
  void update(const void *data, size_t size) {
    update(llvm::ArrayRef<std::byte>(static_cast<const std::byte *>(data), size));
  }
  void update(llvm::StringRef text) { update(text.data(), text.size()); }
  /// 64 lower-case hexadecimal digits; to be called once, at the end.
  std::string finish();

private:
  void *context;
};

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(llvm::ArrayRef<std::byte> bytes);
std::string sha256(llvm::StringRef text);
/// InputFile::sha256 of a file that nothing else is read from.
llvm::Expected<std::string> sha256OfFile(llvm::StringRef path);

/// Refuses JSON nested deeper than `limit`, so that recursive parsers stay
/// within the stack.
llvm::Error checkJSONDepth(llvm::StringRef text, unsigned limit = 256);

/// What a JSON document may cost.
struct JSONLimits {
  unsigned depth = 256;
  /// Bytes of memory that the parsed document may take. A text of a megabyte
  /// never takes more than the default.
  uint64_t memory = uint64_t(768) << 20;
};

/// An upper estimate of the bytes that the parsed document takes: an object has
/// room for at least 48 keys, so a small one takes 4 KiB from seven characters
/// of text. The text need not be valid.
uint64_t estimateJSONMemory(llvm::StringRef text);

/// Parses untrusted JSON. Depth and memory are bounded before anything is
/// built; an object with the same key twice and a number beyond the range of a
/// double are refused.
llvm::Expected<llvm::json::Value> parseJSON(llvm::StringRef text,
                                            JSONLimits limits = {});

/// JSON on one line. In contrast to LLVM's printer it keeps the sign of -0.0.
/// Numbers have to be finite.
std::string printJSON(const llvm::json::Object &object);

} // namespace weir

#endif // WEIR_PROGRAM_FILES_H
