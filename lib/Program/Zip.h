//===- Zip.h - The directory of a zip file ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// .pt2 and .npz are zip files whose members one wants to map, so what is needed
// is their place in the file. The format is PKWARE's APPNOTE 6.3: the central
// directory at the end counts, and each local header has to agree with it.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_PROGRAM_ZIP_H
#define WEIR_LIB_PROGRAM_ZIP_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weir {

struct ZipMember {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  uint64_t size = 0;                ///< of the content, as the directory claims
  llvm::ArrayRef<std::byte> stored; ///< the bytes in the file, maybe deflated
};

/// Reads the directory of a zip file that is in memory, in the file's order of
/// members. Members are stored or deflated. Refused: encrypted members, parts
/// of split archives, places outside the file, members that overlap each other
/// or the directory, headers that disagree with the directory, duplicate names,
/// absolute names and names with empty, "." or ".." components, a claimed size
/// that deflate cannot reach. Errors do not name the file.
llvm::Expected<std::vector<ZipMember>>
readZipDirectory(llvm::ArrayRef<std::byte> file);

/// Inflates the first `size` bytes of a deflated member into `out`. With
/// `whole` the content has to end there, and its checksum has to be right.
llvm::Error inflateMember(const ZipMember &member,
                          llvm::MutableArrayRef<std::byte> out, bool whole);

/// CRC-32 as zip uses it. `before` is the one of the bytes that come before.
uint32_t zipChecksum(llvm::ArrayRef<std::byte> bytes, uint32_t before = 0);

/// Refuses names that are not relative paths of ordinary components in UTF-8.
llvm::Error checkMemberName(llvm::StringRef name);

/// Large members are walked in pieces of this many bytes.
constexpr size_t pieceSize = size_t(16) << 20;

/// Writes stored members, whose content is aligned.
class ZipWriter {
public:
  /// Takes the bytes of the file, piece by piece.
  using Sink = std::function<llvm::Error(llvm::ArrayRef<std::byte>)>;

  /// Wide (zip64) fields are used where they are needed, or always.
  ZipWriter(Sink sink, size_t alignment, bool alwaysWide = false)
      : sink(std::move(sink)), alignment(alignment), alwaysWide(alwaysWide) {}

  /// Adds a member whose content is the parts one after the other. A checksum
  /// that is known spares a walk through the content before it is written.
  llvm::Error add(llvm::StringRef name,
                  llvm::ArrayRef<llvm::ArrayRef<std::byte>> parts,
                  std::optional<uint32_t> checksum = std::nullopt);
  /// Takes a piece of a member's content.
  using Piece = llvm::function_ref<llvm::Error(llvm::ArrayRef<std::byte>)>;
  /// Adds a member of `size` bytes that are made while they are written. Its
  /// checksum is put into the header, which is in the file by then, by `rewrite`
  /// (a position in the file and the bytes that belong there). An error if
  /// `content` gives another number of bytes.
  llvm::Error
  stream(llvm::StringRef name, uint64_t size,
         llvm::function_ref<llvm::Error(Piece)> content,
         llvm::function_ref<llvm::Error(uint64_t, llvm::ArrayRef<std::byte>)>
             rewrite);
  /// The checksum of what the last member got, computed while it was written:
  /// another one than `add` was told means that the content is damaged.
  uint32_t writtenChecksum() const { return written; }
  /// Writes the directory; nothing can be added after that.
  llvm::Error finish();

private:
  /// The fields that a member's header and the directory have in common.
  struct Member {
    llvm::StringRef name;
    uint64_t begin, size;
    uint32_t crc;
    bool wide;
  };
  llvm::Expected<Member> begin(llvm::StringRef name, uint64_t size, uint32_t crc);
  void enter(const Member &member);
  llvm::Error write(llvm::ArrayRef<std::byte> bytes);
  llvm::Error write(llvm::StringRef text);

  Sink sink;
  uint64_t position = 0;
  uint32_t written = 0;
  const size_t alignment;
  const bool alwaysWide;
  std::string directory;
  llvm::StringSet<> names;
  uint64_t members = 0;
};

} // namespace weir

#endif // WEIR_LIB_PROGRAM_ZIP_H
