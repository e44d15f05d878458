//===- Files.h - Mapped input, atomic output, content hashes ---===//
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

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace weir {

/// A file mapped read-only and private. An empty file maps to an empty span.
class FileMapping {
public:
  static llvm::Expected<std::shared_ptr<FileMapping>> open(llvm::StringRef path);
  ~FileMapping();
  FileMapping(const FileMapping &) = delete;
  FileMapping &operator=(const FileMapping &) = delete;

  llvm::ArrayRef<std::byte> bytes() const { return {data, size}; }
  llvm::StringRef text() const {
    return {reinterpret_cast<const char *>(data), size};
  }
  llvm::StringRef path() const { return name; }

private:
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

/// The same for a text that is already in memory.
llvm::Error writeTextAtomically(llvm::StringRef path, llvm::StringRef text);

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(llvm::ArrayRef<std::byte> bytes);
std::string sha256(llvm::StringRef text);
/// SHA-256 of a file's bytes, through a mapping.
llvm::Expected<std::string> sha256OfFile(llvm::StringRef path);

/// Refuses JSON nested deeper than `limit`, so that recursive parsers stay
/// within the stack.
llvm::Error checkJSONDepth(llvm::StringRef text, unsigned limit = 256);

} // namespace weir

#endif // WEIR_PROGRAM_FILES_H
