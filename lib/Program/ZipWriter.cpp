//===- ZipWriter.cpp - Writer of stored zip files ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Zip.h"

#include "llvm/Support/Endian.h"

using namespace llvm;

namespace weir {

namespace {

constexpr uint32_t ones = 0xffffffff;
/// A valid name for an extra field that only fills space, as zipalign writes
/// it.
constexpr uint16_t paddingField = 0xd935;
constexpr uint16_t zip64Field = 1;
/// 4.5, the version of the format that has zip64; 2.0 otherwise.
constexpr uint16_t wideVersion = 45, narrowVersion = 20;
/// Names are UTF-8.
constexpr uint16_t utf8Flag = 1 << 11;
/// Of the checksum in a member's header.
constexpr uint64_t checksumOffset = 14;
/// 1 January 1980: files do not depend on when they were written.
constexpr uint16_t firstDay = (1 << 5) | 1;

template <typename T> void append(std::string &text, T value) {
  char bytes[sizeof(T)];
  support::endian::write<T, llvm::endianness::little>(bytes, value);
  text.append(bytes, sizeof(T));
}

std::string zip64Extra(std::initializer_list<uint64_t> values) {
  std::string extra;
  append<uint16_t>(extra, zip64Field);
  append<uint16_t>(extra, static_cast<uint16_t>(8 * values.size()));
  for (uint64_t value : values)
    append<uint64_t>(extra, value);
  return extra;
}

uint32_t narrow(bool wide, uint64_t value) {
  return wide ? ones : static_cast<uint32_t>(value);
}

} // namespace

Error ZipWriter::write(ArrayRef<std::byte> bytes) {
  while (!bytes.empty()) {
    ArrayRef<std::byte> piece = bytes.take_front(pieceSize);
    bytes = bytes.drop_front(piece.size());
    position += piece.size();
    if (Error error = sink(piece))
      return error;
  }
  return Error::success();
}

Error ZipWriter::write(StringRef text) {
  return write(ArrayRef<std::byte>(
      reinterpret_cast<const std::byte *>(text.data()), text.size()));
}

/// Signature to method, then time, checksum, sizes and the name's length are
/// the same in the member's header and in the directory.
static std::string commonFields(bool wide, uint32_t crc, uint64_t size,
                                StringRef name) {
  std::string common;
  append<uint16_t>(common, wide ? wideVersion : narrowVersion);
  append<uint16_t>(common, utf8Flag);
  append<uint16_t>(common, 0); // stored
  append<uint16_t>(common, 0); // midnight
  append<uint16_t>(common, firstDay);
  append<uint32_t>(common, crc);
  append<uint32_t>(common, narrow(wide, size));
  append<uint32_t>(common, narrow(wide, size));
  append<uint16_t>(common, static_cast<uint16_t>(name.size()));
  return common;
}

Expected<ZipWriter::Member> ZipWriter::begin(StringRef name, uint64_t size,
                                             uint32_t crc) {
  if (Error error = checkMemberName(name))
    return std::move(error);
  if (name.size() > 0xffff || !names.insert(name).second)
    return createStringError("member '" + name +
                             "' has a name that is too long or taken");
  uint64_t begin = position;
  bool wide = alwaysWide || size >= ones || begin >= ones;
  std::string extra = wide ? zip64Extra({size, size}) : "";
  // The smallest padding field: name, size, and the alignment it is for.
  uint64_t data = begin + 30 + name.size() + extra.size() + 6;
  size_t padding = (alignment - data % alignment) % alignment;
  append<uint16_t>(extra, paddingField);
  append<uint16_t>(extra, static_cast<uint16_t>(2 + padding));
  append<uint16_t>(extra, static_cast<uint16_t>(alignment));
  extra.append(padding, '\0');

  std::string header;
  append<uint32_t>(header, 0x04034b50);
  header += commonFields(wide, crc, size, name);
  append<uint16_t>(header, static_cast<uint16_t>(extra.size()));
  header += name;
  header += extra;
  if (Error error = write(StringRef(header)))
    return std::move(error);
  return Member{name, begin, size, crc, wide};
}

void ZipWriter::enter(const Member &member) {
  auto [name, begin, size, crc, wide] = member;
  std::string wideExtra = wide ? zip64Extra({size, size, begin}) : "";
  append<uint32_t>(directory, 0x02014b50);
  append<uint16_t>(directory, wide ? wideVersion : narrowVersion);
  directory += commonFields(wide, crc, size, name);
  append<uint16_t>(directory, static_cast<uint16_t>(wideExtra.size()));
  append<uint16_t>(directory, 0); // comment
  append<uint16_t>(directory, 0); // disk
  append<uint16_t>(directory, 0); // internal attributes
  append<uint32_t>(directory, 0); // external attributes
  append<uint32_t>(directory, narrow(wide, begin));
  directory += name;
  directory += wideExtra;
  ++members;
}

Error ZipWriter::add(StringRef name, ArrayRef<ArrayRef<std::byte>> parts,
                     std::optional<uint32_t> checksum) {
  uint64_t size = 0;
  for (ArrayRef<std::byte> part : parts)
    size += part.size();
  uint32_t crc = checksum.value_or(0);
  if (!checksum)
    for (ArrayRef<std::byte> part : parts)
      crc = zipChecksum(part, crc);
  Expected<Member> member = begin(name, size, crc);
  if (!member)
    return member.takeError();
  written = checksum ? 0 : crc;
  for (ArrayRef<std::byte> part : parts)
    while (!part.empty()) {
      ArrayRef<std::byte> piece = part.take_front(pieceSize);
      part = part.drop_front(piece.size());
      if (checksum)
        written = zipChecksum(piece, written);
      if (Error error = write(piece))
        return error;
    }
  enter(*member);
  return Error::success();
}

Error ZipWriter::stream(
    StringRef name, uint64_t size, function_ref<Error(Piece)> content,
    function_ref<Error(uint64_t, ArrayRef<std::byte>)> rewrite) {
  Expected<Member> member = begin(name, size, 0);
  if (!member)
    return member.takeError();
  written = 0;
  uint64_t left = size;
  auto wrong = [&] {
    return createStringError("member '" + name + "' does not have the " +
                             Twine(size) + " bytes that were announced");
  };
  Error error = content([&](ArrayRef<std::byte> bytes) -> Error {
    if (bytes.size() > left)
      return wrong();
    left -= bytes.size();
    while (!bytes.empty()) {
      ArrayRef<std::byte> piece = bytes.take_front(pieceSize);
      bytes = bytes.drop_front(piece.size());
      written = zipChecksum(piece, written);
      if (Error error = write(piece))
        return error;
    }
    return Error::success();
  });
  if (error)
    return error;
  if (left)
    return wrong();
  member->crc = written;
  std::string crc;
  append<uint32_t>(crc, written);
  if (Error error =
          rewrite(member->begin + checksumOffset,
                  {reinterpret_cast<const std::byte *>(crc.data()), crc.size()}))
    return error;
  enter(*member);
  return Error::success();
}

Error ZipWriter::finish() {
  uint64_t offset = position;
  uint64_t end = offset + directory.size();
  bool wide = alwaysWide || members >= 0xffff || end >= ones;
  std::string text = std::move(directory);
  if (wide) {
    uint64_t directorySize = end - offset;
    append<uint32_t>(text, 0x06064b50);
    append<uint64_t>(text, 44); // of what follows
    append<uint16_t>(text, wideVersion);
    append<uint16_t>(text, wideVersion);
    append<uint32_t>(text, 0); // disks
    append<uint32_t>(text, 0);
    append<uint64_t>(text, members);
    append<uint64_t>(text, members);
    append<uint64_t>(text, directorySize);
    append<uint64_t>(text, offset);
    append<uint32_t>(text, 0x07064b50);
    append<uint32_t>(text, 0);
    append<uint64_t>(text, end);
    append<uint32_t>(text, 1);
  }
  append<uint32_t>(text, 0x06054b50);
  append<uint16_t>(text, 0); // disks
  append<uint16_t>(text, 0);
  uint16_t count = wide ? 0xffff : static_cast<uint16_t>(members);
  append<uint16_t>(text, count);
  append<uint16_t>(text, count);
  append<uint32_t>(text, narrow(wide, end - offset));
  append<uint32_t>(text, narrow(wide, offset));
  append<uint16_t>(text, 0); // comment
  return write(StringRef(text));
}

} // namespace weir
