//===- Npy.cpp - Readers of .npy and .npz ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// NumPy's format: a magic string, a version, and a Python literal such as
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// padded with blanks, then the numbers. An .npz is a zip of such files.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
//===----------------------------------------------------------------------===//

#include "Readers.h"
#include "Zip.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Path.h"

#include <cstring>
#include <mutex>

using namespace llvm;

namespace weir {

namespace {

/// What the arrays of a file that have to be inflated may have together: the
/// numbers of a dictionary hardly get smaller by deflating, while zeros shrink
/// a thousand times. Stored arrays are mapped and have no limit.
uint64_t largestInflated(uint64_t fileSize) {
  constexpr uint64_t small = uint64_t(256) << 20, ratio = 64;
  constexpr uint64_t most = uint64_t(8) << 30;
  return std::min(most, small + std::min(fileSize, most) * ratio);
}

Error badHeader(const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           "npy header: " + what);
}

/// Reads the literal, of which only the form above is accepted.
class LiteralParser {
public:
  explicit LiteralParser(StringRef text) : rest(text) {}
  Error parse(NpyHeader &header);

private:
  bool consume(StringRef token) {
    rest = rest.ltrim(" \t\n");
    return rest.consume_front(token);
  }
  Expected<StringRef> parseString();
  Error parseShape(NpyHeader &header);

  StringRef rest;
};

Expected<StringRef> LiteralParser::parseString() {
  rest = rest.ltrim(" \t\n");
  char quote = rest.empty() ? 0 : rest.front();
  if (quote != '\'' && quote != '"')
    return badHeader("a string is missing");
  size_t end = rest.find(quote, 1);
  StringRef text = rest.slice(1, end);
  if (end == StringRef::npos || text.contains('\\'))
    return badHeader("a string is not closed or has escapes");
  rest = rest.drop_front(end + 1);
  return text;
}

Error LiteralParser::parseShape(NpyHeader &header) {
  if (!consume("("))
    return badHeader("the shape is not a tuple");
  bool comma = true;
  while (!consume(")")) {
    rest = rest.ltrim(" \t\n");
    uint64_t size;
    if (!comma || rest.consumeInteger(10, size) || size > INT64_MAX)
      return badHeader("the shape is not a tuple of sizes");
    rest.consume_front("L"); // as Python 2 wrote it
    header.shape.push_back(static_cast<int64_t>(size));
    if (header.shape.size() > largestRank)
      return badHeader("more than 64 dimensions");
    comma = consume(",");
  }
  // Without a comma, (3) is a number and not a tuple.
  if (header.shape.size() == 1 && !comma)
    return badHeader("the shape is not a tuple of sizes");
  return Error::success();
}

Expected<DType> parseDescr(StringRef descr) {
  if (descr.starts_with(">"))
    return badHeader("big-endian numbers ('" + descr + "') are not supported");
  if (descr.ends_with("O") || descr.starts_with("O"))
    return badHeader("pickled objects are refused");
  StringRef kind = descr.ltrim("<|=");
  auto dtype = StringSwitch<std::optional<DType>>(kind)
                   .Case("f8", DType::Float64)
                   .Case("f4", DType::Float32)
                   .Case("f2", DType::Float16)
                   // What NumPy makes of ml_dtypes.bfloat16.
                   .Cases({"V2", "bfloat16"}, DType::BFloat16)
                   .Case("i8", DType::Int64)
                   .Case("i4", DType::Int32)
                   .Case("i2", DType::Int16)
                   .Case("i1", DType::Int8)
                   .Case("u1", DType::UInt8)
                   .Case("b1", DType::Bool)
                   .Default(std::nullopt);
  if (!dtype || descr.size() > kind.size() + 1)
    return badHeader("the dtype '" + descr + "' is not supported");
  return *dtype;
}

Error LiteralParser::parse(NpyHeader &header) {
  if (!consume("{"))
    return badHeader("not a dictionary");
  bool hasDescr = false, hasOrder = false, hasShape = false, comma = true;
  while (!consume("}")) {
    if (!comma)
      return badHeader("a comma is missing");
    Expected<StringRef> key = parseString();
    if (!key)
      return key.takeError();
    if (!consume(":"))
      return badHeader("a colon is missing");
    bool *seen = StringSwitch<bool *>(*key)
                     .Case("descr", &hasDescr)
                     .Case("fortran_order", &hasOrder)
                     .Case("shape", &hasShape)
                     .Default(nullptr);
    if (!seen || *seen)
      return badHeader("the key '" + *key + "' is unknown or there twice");
    *seen = true;
    if (seen == &hasDescr) {
      if (consume("["))
        return badHeader("structured arrays are not supported");
      Expected<StringRef> descr = parseString();
      if (!descr)
        return descr.takeError();
      Expected<DType> dtype = parseDescr(*descr);
      if (!dtype)
        return dtype.takeError();
      header.dtype = *dtype;
    } else if (seen == &hasOrder) {
      header.fortranOrder = consume("True");
      if (!header.fortranOrder && !consume("False"))
        return badHeader("fortran_order is neither True nor False");
    } else if (Error error = parseShape(header)) {
      return error;
    }
    comma = consume(",");
  }
  if (!hasDescr || !hasOrder || !hasShape)
    return badHeader("descr, fortran_order or shape is missing");
  if (!rest.trim(" \t\n").empty())
    return badHeader("something follows the dictionary");
  return Error::success();
}

} // namespace

Expected<NpyHeader> readNpyHeader(ArrayRef<std::byte> bytes) {
  StringRef text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (!text.starts_with("\x93NUMPY") || text.size() < 12)
    return createStringError(std::make_error_code(std::errc::invalid_argument),
                             "not an npy file");
  unsigned major = static_cast<uint8_t>(text[6]);
  if (major < 1 || major > 3 || text[7] != 0)
    return badHeader("unknown version");
  // Version 1 has two bytes for the length, later ones four.
  NpyHeader header;
  size_t start = major == 1 ? 10 : 12;
  size_t length = major == 1 ? support::endian::read16le(bytes.data() + 8)
                             : support::endian::read32le(bytes.data() + 8);
  if (length > largestNpyHeader - start)
    return badHeader("longer than is accepted");
  if (length > text.size() - start)
    return badHeader("longer than the file");
  if (Error error = LiteralParser(text.substr(start, length)).parse(header))
    return error;
  header.headerBytes = start + length;
  std::optional<int64_t> size =
      checkedBytes(header.shape, sizeOf(header.dtype));
  if (!size)
    return badHeader("the shape has too many elements");
  header.dataBytes = *size;
  return header;
}

/// Copies an array whose first index runs fastest into row-major order.
static void copyFromFortranOrder(const NpyHeader &header, const std::byte *from,
                                 std::byte *to) {
  const size_t item = sizeOf(header.dtype);
  const size_t rank = header.shape.size();
  SmallVector<int64_t, 4> strides(rank, 1), position(rank, 0);
  for (size_t i = 1; i < rank; ++i)
    strides[i] = strides[i - 1] * header.shape[i - 1];
  const int64_t inner = header.shape.back();
  const int64_t rows = header.dataBytes / static_cast<int64_t>(item) / inner;
  int64_t start = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < inner; ++i, to += item)
      std::memcpy(to, from + (start + i * strides.back()) * item, item);
    // Count up the outer indices, the last of them fastest.
    for (size_t axis = rank - 1; axis-- > 0;) {
      start += strides[axis];
      if (++position[axis] < header.shape[axis])
        break;
      start -= strides[axis] * header.shape[axis];
      position[axis] = 0;
    }
  }
}

Expected<TensorView> viewNpyData(const NpyHeader &header, const std::byte *data,
                                 std::shared_ptr<const void> owner) {
  TensorView view{header.dtype, header.shape, data, std::move(owner)};
  // With one long axis at most both orders are the same.
  bool sameOrder =
      llvm::count_if(header.shape, [](int64_t size) { return size != 1; }) <= 1;
  if (!header.fortranOrder || sameOrder || header.dataBytes == 0)
    return view;
  std::shared_ptr<std::byte[]> copy = allocateBytes(header.dataBytes);
  if (!copy)
    return createStringError(std::make_error_code(std::errc::not_enough_memory),
                             "no memory to reorder " + Twine(header.dataBytes) +
                                 " bytes");
  copyFromFortranOrder(header, data, copy.get());
  view.data = copy.get();
  view.owner = std::move(copy);
  return view;
}

namespace {

/// A file of one array.
class NpyFile final : public TensorFile {
public:
  NpyFile(FileBytes file)
      : file(std::move(file)),
        name(sys::path::stem(StringRef(this->file.name)).str()) {}

  Error read() {
    Expected<NpyHeader> parsed = readNpyHeader(file.bytes);
    if (!parsed)
      return inFile(file.name, parsed.takeError());
    header = std::move(*parsed);
    uint64_t size = file.bytes.size() - header.headerBytes;
    if (static_cast<uint64_t>(header.dataBytes) != size)
      return errorInFile(file.name, "the header asks for " +
                                        Twine(header.dataBytes) +
                                        " bytes, the file has " + Twine(size));
    return Error::success();
  }

  StringRef path() const override { return file.name; }
  ArrayRef<std::string> names() const override { return name; }
  Expected<TensorView> tensor(StringRef wanted) const override {
    if (wanted != name)
      return noSuchTensor(file.name, wanted, name);
    Expected<TensorView> view =
        viewNpyData(header, file.bytes.data() + header.headerBytes, file.owner);
    if (!view)
      return inFile(file.name, view.takeError());
    return view;
  }
  Expected<TensorView> describe(StringRef wanted) const override {
    if (wanted != name)
      return noSuchTensor(file.name, wanted, name);
    return TensorView{header.dtype, header.shape, nullptr, nullptr};
  }

private:
  FileBytes file;
  std::string name;
  NpyHeader header;
};

/// A zip of arrays.
class NpzFile final : public TensorFile {
public:
  NpzFile(FileBytes file) : file(std::move(file)) {}
  Error read();

  StringRef path() const override { return file.name; }
  ArrayRef<std::string> names() const override { return order; }
  Expected<TensorView> tensor(StringRef name) const override;
  Expected<TensorView> describe(StringRef name) const override;

private:
  struct Member {
    ZipMember zip;
    NpyHeader header;
  };

  /// Reads the header, of which a deflated member needs only the beginning.
  Expected<NpyHeader> readHeader(const ZipMember &member) const;
  /// The view of a member; inflates and reorders where needed.
  Expected<TensorView> makeView(const Member &member) const;

  FileBytes file;
  std::vector<Member> members;
  std::vector<std::string> order;
  StringMap<size_t> index;
  /// Arrays that had to be made, as long as someone uses them.
  mutable std::mutex lock;
  mutable std::vector<std::weak_ptr<const void>> made;
  mutable std::vector<const std::byte *> madeData;
};

Expected<NpyHeader> NpzFile::readHeader(const ZipMember &member) const {
  if (!member.deflated)
    return readNpyHeader(member.stored);
  std::vector<std::byte> start(
      std::min<uint64_t>(member.size, largestNpyHeader));
  if (Error error = inflateMember(member, start, /*whole=*/false))
    return error;
  return readNpyHeader(start);
}

Error NpzFile::read() {
  Expected<std::vector<ZipMember>> directory = readZipDirectory(file.bytes);
  if (!directory)
    return inFile(file.name, directory.takeError());
  uint64_t inflated = 0;
  for (ZipMember &zip : *directory) {
    StringRef name = zip.name;
    // A claim is at most some thousand times of what the file holds, so that
    // the sum does not overflow.
    if (zip.deflated)
      inflated += zip.size;
    if (!name.consume_back(".npy"))
      return errorInFile(file.name,
                         "member '" + zip.name + "' is not an .npy array");
    Expected<NpyHeader> header = readHeader(zip);
    if (!header)
      return errorInFile(file.name, "member '" + zip.name +
                                        "': " + toString(header.takeError()));
    // Checked before anything of this size is allocated.
    uint64_t size = zip.size - header->headerBytes;
    if (static_cast<uint64_t>(header->dataBytes) != size)
      return errorInFile(file.name,
                         "member '" + zip.name + "': the header asks for " +
                             Twine(header->dataBytes) +
                             " bytes, the member has " + Twine(size));
    order.push_back(name.str());
    index[name] = members.size();
    members.push_back({std::move(zip), std::move(*header)});
  }
  if (uint64_t most = largestInflated(file.bytes.size()); inflated > most)
    return errorInFile(file.name,
                       "its arrays inflate to " + Twine(inflated) +
                           " bytes, more than the " + Twine(most) +
                           " that are accepted from a file of " +
                           Twine(file.bytes.size()) +
                           "; numpy.savez writes arrays without compression");
  made.resize(members.size());
  madeData.resize(members.size());
  return Error::success();
}

Expected<TensorView> NpzFile::makeView(const Member &member) const {
  const NpyHeader &header = member.header;
  if (!member.zip.deflated)
    return viewNpyData(header, member.zip.stored.data() + header.headerBytes,
                       file.owner);
  std::shared_ptr<std::byte[]> bytes = allocateBytes(member.zip.size);
  if (!bytes)
    return createStringError(std::make_error_code(std::errc::not_enough_memory),
                             "no memory to inflate " + Twine(member.zip.size) +
                                 " bytes");
  if (Error error = inflateMember(
          member.zip, MutableArrayRef<std::byte>(bytes.get(), member.zip.size),
          /*whole=*/true))
    return error;
  const std::byte *data = bytes.get() + header.headerBytes;
  return viewNpyData(header, data, std::move(bytes));
}

Expected<TensorView> NpzFile::describe(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return noSuchTensor(file.name, name, order);
  const NpyHeader &header = members[found->second].header;
  return TensorView{header.dtype, header.shape, nullptr, nullptr};
}

Expected<TensorView> NpzFile::tensor(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return noSuchTensor(file.name, name, order);
  size_t i = found->second;
  const Member &member = members[i];
  std::lock_guard<std::mutex> guard(lock);
  if (std::shared_ptr<const void> alive = made[i].lock())
    return TensorView{member.header.dtype, member.header.shape, madeData[i],
                      std::move(alive)};
  Expected<TensorView> view = makeView(member);
  if (!view)
    return errorInFile(file.name, "member '" + member.zip.name +
                                      "': " + toString(view.takeError()));
  made[i] = view->owner;
  madeData[i] = view->data;
  return view;
}

} // namespace

Expected<std::shared_ptr<TensorFile>> openNpy(FileBytes file) {
  auto opened = std::make_shared<NpyFile>(std::move(file));
  if (Error error = opened->read())
    return error;
  return opened;
}

Expected<std::shared_ptr<TensorFile>> openNpz(FileBytes file) {
  auto opened = std::make_shared<NpzFile>(std::move(file));
  if (Error error = opened->read())
    return error;
  return opened;
}

} // namespace weir
