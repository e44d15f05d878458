//===- Zip.cpp - The directory of a zip file ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Zip.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

#include <algorithm>

#include <zlib.h>

using namespace llvm;
using support::endian::read16le;
using support::endian::read32le;
using support::endian::read64le;

namespace weir {

namespace {

constexpr uint32_t localSignature = 0x04034b50;
constexpr uint32_t directorySignature = 0x02014b50;
constexpr uint32_t endSignature = 0x06054b50;
constexpr uint32_t end64Signature = 0x06064b50;
constexpr uint32_t locator64Signature = 0x07064b50;
constexpr size_t localSize = 30;
constexpr size_t directorySize = 46;
constexpr size_t endSize = 22;
constexpr size_t end64Size = 56;
constexpr size_t locator64Size = 20;

/// Deflate makes at most 258 bytes of two bits, and a stream has a few bytes of
/// its own.
constexpr uint64_t largestRatio = 1032;

Error broken(const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           "broken zip: " + what);
}

/// Where the directory lies and what it should hold.
struct DirectoryPlace {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t members = 0;
};

/// A member with the place of all it occupies: header, name and bytes.
struct PlacedMember {
  ZipMember member;
  uint64_t begin = 0;
  uint64_t end = 0;
};

class DirectoryReader {
public:
  explicit DirectoryReader(ArrayRef<std::byte> file) : file(file) {}
  Expected<std::vector<ZipMember>> read();

private:
  const std::byte *at(uint64_t offset) const { return file.data() + offset; }
  StringRef text(uint64_t offset, size_t size) const {
    return {reinterpret_cast<const char *>(at(offset)), size};
  }

  Expected<DirectoryPlace> findDirectory() const;
  /// The entry at `position`, which is moved behind it.
  Expected<PlacedMember> readEntry(uint64_t &position,
                                   const DirectoryPlace &place) const;
  Error readLocalHeader(PlacedMember &placed, uint16_t flags, uint16_t method,
                        uint64_t storedSize, const DirectoryPlace &place) const;

  ArrayRef<std::byte> file;
};

/// Looks up the zip64 block of an extra field. The values that it has are the
/// ones whose short form is all ones, in the order given.
Error readZip64(StringRef extra, MutableArrayRef<uint64_t *> wide) {
  if (wide.empty())
    return Error::success();
  while (extra.size() >= 4) {
    uint16_t id = read16le(extra.data());
    size_t size = read16le(extra.data() + 2);
    extra = extra.drop_front(4);
    if (size > extra.size())
      return broken("an extra field runs past its end");
    if (id != 1) {
      extra = extra.drop_front(size);
      continue;
    }
    if (size < 8 * wide.size())
      return broken("a zip64 field is too short");
    for (auto [i, value] : enumerate(wide))
      *value = read64le(extra.data() + 8 * i);
    return Error::success();
  }
  return broken("a zip64 field is missing");
}

Expected<DirectoryPlace> DirectoryReader::findDirectory() const {
  if (file.size() < endSize)
    return broken("the file is shorter than a zip's end record");
  // The end record is followed by a comment of at most 65535 bytes, whose
  // length has to lead exactly to the file's end.
  uint64_t last = file.size() - endSize;
  uint64_t first = last > 0xffff ? last - 0xffff : 0;
  uint64_t end = last;
  while (read32le(at(end)) != endSignature ||
         end + endSize + read16le(at(end + 20)) != file.size()) {
    if (end == first)
      return broken("no end record (is the file truncated?)");
    --end;
  }

  DirectoryPlace place;
  place.members = read16le(at(end + 10));
  place.size = read32le(at(end + 12));
  place.offset = read32le(at(end + 16));
  bool split = read16le(at(end + 4)) != 0 || read16le(at(end + 6)) != 0 ||
               read16le(at(end + 8)) != place.members;
  uint64_t directoryEnd = end;

  bool wide = end >= locator64Size &&
              read32le(at(end - locator64Size)) == locator64Signature;
  if (wide) {
    const std::byte *locator = at(end - locator64Size);
    uint64_t end64 = read64le(locator + 8);
    if (read32le(locator + 4) != 0 || read32le(locator + 16) > 1)
      return broken("part of a split archive");
    uint64_t limit = end - locator64Size;
    if (limit < end64Size || end64 > limit - end64Size ||
        read32le(at(end64)) != end64Signature)
      return broken("the zip64 end record is not where its locator says");
    // The size field does not count the first 12 bytes.
    if (read64le(at(end64 + 4)) != limit - end64 - 12)
      return broken("the zip64 end record has a wrong size");
    split = read32le(at(end64 + 16)) != 0 || read32le(at(end64 + 20)) != 0 ||
            read64le(at(end64 + 24)) != read64le(at(end64 + 32));
    // The short fields repeat the wide ones as far as these fit; all ones say
    // that they are not used.
    auto agree = [](uint64_t shortValue, uint64_t wideValue, uint64_t ones) {
      return shortValue == ones || shortValue == wideValue;
    };
    DirectoryPlace narrow = place;
    place.members = read64le(at(end64 + 32));
    place.size = read64le(at(end64 + 40));
    place.offset = read64le(at(end64 + 48));
    if (!agree(narrow.members, place.members, 0xffff) ||
        !agree(narrow.size, place.size, 0xffffffff) ||
        !agree(narrow.offset, place.offset, 0xffffffff))
      return broken("the two end records disagree");
    directoryEnd = end64;
  }
  if (split)
    return broken("part of a split archive");
  if (place.offset > directoryEnd || place.size != directoryEnd - place.offset)
    return broken("the directory is not where the end record says");
  if (place.members > place.size / directorySize)
    return broken("the directory is too small for its members");
  return place;
}

Expected<PlacedMember>
DirectoryReader::readEntry(uint64_t &position,
                           const DirectoryPlace &place) const {
  uint64_t end = place.offset + place.size;
  if (end - position < directorySize ||
      read32le(at(position)) != directorySignature)
    return broken("the directory ends early");
  uint16_t flags = read16le(at(position + 8));
  uint16_t method = read16le(at(position + 10));
  PlacedMember placed;
  ZipMember &member = placed.member;
  member.crc = read32le(at(position + 16));
  uint64_t storedSize = read32le(at(position + 20));
  member.size = read32le(at(position + 24));
  size_t nameSize = read16le(at(position + 28));
  size_t extraSize = read16le(at(position + 30));
  size_t commentSize = read16le(at(position + 32));
  uint16_t disk = read16le(at(position + 34));
  placed.begin = read32le(at(position + 42));
  if (end - position - directorySize < nameSize + extraSize + commentSize)
    return broken("a directory entry runs past the directory");
  member.name = text(position + directorySize, nameSize).str();
  StringRef extra = text(position + directorySize + nameSize, extraSize);
  position += directorySize + nameSize + extraSize + commentSize;

  if (Error error = checkMemberName(member.name))
    return error;
  SmallVector<uint64_t *, 3> wide;
  for (uint64_t *value : {&member.size, &storedSize, &placed.begin})
    if (*value == 0xffffffff)
      wide.push_back(value);
  if (Error error = readZip64(extra, wide))
    return error;
  if (disk != 0)
    return broken("part of a split archive");
  if (Error error = readLocalHeader(placed, flags, method, storedSize, place))
    return error;
  return placed;
}

Error DirectoryReader::readLocalHeader(PlacedMember &placed, uint16_t flags,
                                       uint16_t method, uint64_t storedSize,
                                       const DirectoryPlace &place) const {
  ZipMember &member = placed.member;
  std::string who = "member '" + member.name + "' ";
  // Bits 0, 6 and 13: encryption, also of the directory.
  if (flags & ((1 << 0) | (1 << 6) | (1 << 13)))
    return broken(who + "is encrypted");
  if (method != 0 && method != 8)
    return broken(who + "uses compression method " + Twine(method) +
                  "; only stored and deflated members can be read");
  member.deflated = method == 8;
  if (!member.deflated && storedSize != member.size)
    return broken(who + "is stored but has two sizes");
  if (member.deflated && member.size / largestRatio > storedSize)
    return broken(who + "claims more bytes than deflate can make");

  if (place.offset < localSize || placed.begin > place.offset - localSize ||
      read32le(at(placed.begin)) != localSignature)
    return broken(who + "does not start where the directory says");
  const std::byte *header = at(placed.begin);
  size_t nameSize = read16le(header + 26);
  size_t extraSize = read16le(header + 28);
  uint64_t data = placed.begin + localSize;
  if (nameSize + extraSize > place.offset - data)
    return broken(who + "has a header that runs into the directory");
  if (text(data, nameSize) != member.name)
    return broken(who + "has another name in its header");
  StringRef extra = text(data + nameSize, extraSize);
  data += nameSize + extraSize;
  if (storedSize > place.offset - data)
    return broken(who + "runs into the directory");
  if (read16le(header + 8) != method || (read16le(header + 6) & 1))
    return broken(who + "has another method in its header");

  // With bit 3 sizes and checksum follow the bytes, and only the directory
  // counts.
  if (!(read16le(header + 6) & (1 << 3))) {
    uint64_t localStored = read32le(header + 18);
    uint64_t localContent = read32le(header + 22);
    SmallVector<uint64_t *, 2> wide;
    for (uint64_t *value : {&localContent, &localStored})
      if (*value == 0xffffffff)
        wide.push_back(value);
    if (Error error = readZip64(extra, wide))
      return error;
    if (localStored != storedSize || localContent != member.size ||
        read32le(header + 14) != member.crc)
      return broken(who + "has another size or checksum in its header");
  }
  member.stored = file.slice(data, storedSize);
  placed.end = data + storedSize;
  return Error::success();
}

Expected<std::vector<ZipMember>> DirectoryReader::read() {
  Expected<DirectoryPlace> place = findDirectory();
  if (!place)
    return place.takeError();
  std::vector<PlacedMember> placed;
  placed.reserve(place->members);
  uint64_t position = place->offset;
  for (uint64_t i = 0; i < place->members; ++i) {
    Expected<PlacedMember> entry = readEntry(position, *place);
    if (!entry)
      return entry.takeError();
    placed.push_back(std::move(*entry));
  }
  if (position != place->offset + place->size)
    return broken("the directory has bytes after its last entry");

  llvm::sort(placed, [](const PlacedMember &a, const PlacedMember &b) {
    return a.begin < b.begin;
  });
  StringSet<> names;
  std::vector<ZipMember> members;
  members.reserve(placed.size());
  uint64_t free = 0;
  for (PlacedMember &entry : placed) {
    if (entry.begin < free)
      return broken("member '" + entry.member.name + "' overlaps another one");
    free = entry.end;
    if (!names.insert(entry.member.name).second)
      return broken("two members are called '" + entry.member.name + "'");
    members.push_back(std::move(entry.member));
  }
  return members;
}

} // namespace

Error checkMemberName(StringRef name) {
  if (name.empty() || name.contains('\0') || name.contains('\\') ||
      !json::isUTF8(name))
    return createStringError(
        "a member's name is empty or has forbidden characters");
  if (name.starts_with("/"))
    return createStringError("member '" + name + "' has an absolute name");
  // A folder's entry ends in a slash.
  SmallVector<StringRef> parts;
  name.drop_back(name.ends_with("/") ? 1 : 0).split(parts, '/');
  for (StringRef part : parts)
    if (part.empty() || part == "." || part == "..")
      return createStringError("member '" + name +
                               "' has an empty, '.' or '..' path component");
  return Error::success();
}

Expected<std::vector<ZipMember>> readZipDirectory(ArrayRef<std::byte> file) {
  return DirectoryReader(file).read();
}

Error inflateMember(const ZipMember &member, MutableArrayRef<std::byte> out,
                    bool whole) {
  z_stream stream = {};
  // Negative: a bare deflate stream without zlib's header.
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return createStringError(std::make_error_code(std::errc::not_enough_memory),
                             "cannot start to inflate");
  scope_exit finish([&] { inflateEnd(&stream); });

  ArrayRef<std::byte> in = member.stored;
  auto *next = reinterpret_cast<Bytef *>(out.data());
  size_t room = out.size();
  Bytef surplus; // a place for a byte too many
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    // zlib counts in 32 bits.
    if (stream.avail_in == 0) {
      ArrayRef<std::byte> part = in.take_front(1u << 30);
      stream.next_in =
          reinterpret_cast<Bytef *>(const_cast<std::byte *>(part.data()));
      stream.avail_in = static_cast<uInt>(part.size());
      in = in.drop_front(part.size());
    }
    uInt given = static_cast<uInt>(std::min<size_t>(room, 1u << 30));
    bool full = given == 0;
    if (full && !whole)
      return Error::success();
    stream.next_out = full ? &surplus : next;
    stream.avail_out = full ? 1 : given;
    state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END)
      return broken("member '" + member.name + "' does not inflate");
    if (full) {
      if (stream.avail_out == 0)
        return broken("member '" + member.name +
                      "' inflates to more than it claims");
      continue;
    }
    size_t made = given - stream.avail_out;
    next += made;
    room -= made;
  }
  if (room != 0)
    return broken("member '" + member.name + "' inflates to less than needed");
  if (whole && (stream.avail_in != 0 || !in.empty()))
    return broken("member '" + member.name + "' has bytes after its stream");
  if (whole && zipChecksum(out) != member.crc)
    return broken("member '" + member.name + "' has a wrong checksum");
  return Error::success();
}

uint32_t zipChecksum(ArrayRef<std::byte> bytes, uint32_t before) {
  if (bytes.empty())
    return before; // zlib takes a null pointer for a reset
  return static_cast<uint32_t>(crc32_z(
      before, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size()));
}

} // namespace weir
