//===- Gguf.cpp - Reader of .gguf ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The format of llama.cpp's files (ggml's docs/gguf.md), versions 2 and 3 in
// little-endian: a header, values by key, descriptions of tensors, the numbers.
// Sizes stand there with the one that runs fastest first. Values that are no
// arrays are kept as text in `metadata`. Of tensors those of plain numbers are
// read; quantised ones are known by name and are an error when asked for.
//
//===----------------------------------------------------------------------===//

#include "Readers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

#include <limits>

using namespace llvm;

namespace weir {

namespace {

/// Types of values; the numbers are the file's.
enum class ValueType : uint32_t {
  U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64,
};

/// Bytes of a value that has a fixed size, else 0.
unsigned sizeOfValue(uint32_t type) {
  switch (static_cast<ValueType>(type)) {
  case ValueType::U8:
  case ValueType::I8:
  case ValueType::Bool:
    return 1;
  case ValueType::U16:
  case ValueType::I16:
    return 2;
  case ValueType::U32:
  case ValueType::I32:
  case ValueType::F32:
    return 4;
  case ValueType::U64:
  case ValueType::I64:
  case ValueType::F64:
    return 8;
  case ValueType::String:
  case ValueType::Array:
    return 0;
  }
  return 0;
}

/// ggml's number of a type of plain numbers.
std::optional<DType> dtypeOfGgml(uint32_t type) {
  switch (type) {
  case 0:
    return DType::Float32;
  case 1:
    return DType::Float16;
  case 24:
    return DType::Int8;
  case 25:
    return DType::Int16;
  case 26:
    return DType::Int32;
  case 27:
    return DType::Int64;
  case 28:
    return DType::Float64;
  case 30:
    return DType::BFloat16;
  default:
    return std::nullopt;
  }
}

class GgufFile final : public TensorFile {
public:
  explicit GgufFile(FileBytes file) : file(std::move(file)) {}
  Error read();

  StringRef path() const override { return file.name; }
  ArrayRef<std::string> names() const override { return order; }
  Expected<TensorView> tensor(StringRef name) const override;
  const std::map<std::string, std::string> &metadata() const override {
    return strings;
  }

private:
  struct Entry {
    uint32_t type = 0;
    SmallVector<int64_t, 4> shape;
    uint64_t offset = 0; ///< in the numbers
  };

  template <typename T> bool take(T &value) {
    if (rest.size() < sizeof(T))
      return false;
    value = support::endian::read<T, endianness::little>(rest.data());
    rest = rest.drop_front(sizeof(T));
    return true;
  }
  bool take(StringRef &text);
  Error cut(const Twine &where) {
    return errorInFile(file.name, "ends in " + where);
  }
  Error readValue(StringRef key);
  Error readTensor();

  FileBytes file;
  ArrayRef<std::byte> rest, numbers;
  std::vector<Entry> entries;
  std::vector<std::string> order;
  StringMap<size_t> index;
  std::map<std::string, std::string> strings;
};

bool GgufFile::take(StringRef &text) {
  uint64_t size;
  if (!take(size) || size > rest.size())
    return false;
  text = StringRef(reinterpret_cast<const char *>(rest.data()), size);
  rest = rest.drop_front(size);
  return true;
}

Error GgufFile::readValue(StringRef key) {
  std::string who = "the value of '" + key.str() + "'";
  uint32_t type;
  if (!take(type))
    return cut(who);
  if (type > static_cast<uint32_t>(ValueType::F64))
    return errorInFile(file.name, who + " has the unknown type " + Twine(type));
  std::string text;
  switch (static_cast<ValueType>(type)) {
  case ValueType::String: {
    StringRef value;
    if (!take(value))
      return cut(who);
    text = value.str();
    break;
  }
  case ValueType::Array: {
    uint32_t item;
    uint64_t count;
    if (!take(item) || !take(count))
      return cut(who);
    if (item > static_cast<uint32_t>(ValueType::F64) ||
        item == static_cast<uint32_t>(ValueType::Array))
      return errorInFile(file.name, who + " is an array of the type " +
                                        Twine(item) +
                                        ", which is not supported");
    if (unsigned size = sizeOfValue(item)) {
      if (count > rest.size() / size)
        return cut(who);
      rest = rest.drop_front(count * size);
    } else {
      // Each string has eight bytes at least, so that this ends.
      StringRef skipped;
      for (uint64_t i = 0; i < count; ++i)
        if (!take(skipped))
          return cut(who);
    }
    return Error::success();
  }
  case ValueType::U32: {
    uint32_t value;
    if (!take(value))
      return cut(who);
    text = std::to_string(value);
    break;
  }
  default: {
    unsigned size = sizeOfValue(type);
    if (rest.size() < size)
      return cut(who);
    rest = rest.drop_front(size);
    return Error::success();
  }
  }
  if (!json::isUTF8(text))
    return errorInFile(file.name, who + " is not UTF-8");
  if (!strings.try_emplace(key.str(), std::move(text)).second)
    return errorInFile(file.name, "has the key '" + key + "' twice");
  return Error::success();
}

Error GgufFile::readTensor() {
  StringRef name;
  Entry entry;
  uint32_t rank;
  if (!take(name))
    return cut("the name of a tensor");
  if (!json::isUTF8(name))
    return errorInFile(file.name, "has a tensor whose name is not UTF-8");
  std::string who = "tensor '" + name.str() + "'";
  if (!take(rank))
    return cut(who);
  if (rank > 4)
    return errorInFile(file.name, who + " has " + Twine(rank) +
                                      " dimensions, and there are 4 at most");
  for (uint32_t i = 0; i < rank; ++i) {
    uint64_t size;
    if (!take(size))
      return cut(who);
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return errorInFile(file.name, who + " has a size beyond 2^63 - 1");
    entry.shape.insert(entry.shape.begin(), static_cast<int64_t>(size));
  }
  if (!take(entry.type) || !take(entry.offset))
    return cut(who);
  if (!index.try_emplace(name, entries.size()).second)
    return errorInFile(file.name, "has " + who + " twice");
  order.push_back(name.str());
  entries.push_back(std::move(entry));
  return Error::success();
}

Error GgufFile::read() {
  rest = file.bytes;
  uint32_t magic, version;
  uint64_t tensors, values;
  if (!take(magic) || magic != 0x46554747)
    return errorInFile(file.name, "is not a GGUF file: it does not begin with "
                                  "'GGUF'");
  if (!take(version) || !take(tensors) || !take(values))
    return cut("its header");
  if (version != 2 && version != 3)
    return errorInFile(file.name, "is GGUF of version " + Twine(version) +
                                      "; versions 2 and 3 are read");
  for (uint64_t i = 0; i < values; ++i) {
    StringRef key;
    if (!take(key))
      return cut("the key of a value");
    if (!json::isUTF8(key))
      return errorInFile(file.name, "has a key that is not UTF-8");
    if (Error error = readValue(key))
      return error;
  }
  for (uint64_t i = 0; i < tensors; ++i)
    if (Error error = readTensor())
      return error;

  uint64_t alignment = 32;
  if (auto given = strings.find("general.alignment"); given != strings.end())
    if (StringRef(given->second).getAsInteger(10, alignment) ||
        alignment == 0 || alignment > (1u << 20) || alignment % 8 != 0)
      return errorInFile(file.name, "general.alignment is '" + given->second +
                                        "'; expected a multiple of 8");
  uint64_t begin = file.bytes.size() - rest.size();
  begin = (begin + alignment - 1) / alignment * alignment;
  if (begin < file.bytes.size())
    numbers = file.bytes.drop_front(begin);
  for (auto [name, entry] : zip(order, entries)) {
    std::optional<DType> dtype = dtypeOfGgml(entry.type);
    std::optional<int64_t> bytes =
        checkedBytes(entry.shape, dtype ? sizeOf(*dtype) : 1);
    if (!bytes)
      return errorInFile(file.name,
                         "tensor '" + name + "' is beyond 2^63 - 1 bytes");
    if (dtype && (entry.offset > numbers.size() ||
                  static_cast<uint64_t>(*bytes) > numbers.size() - entry.offset))
      return errorInFile(file.name,
                         "tensor '" + name + "' lies outside of the file");
  }
  return Error::success();
}

Expected<TensorView> GgufFile::tensor(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return noSuchTensor(file.name, name, order);
  const Entry &entry = entries[found->second];
  std::optional<DType> dtype = dtypeOfGgml(entry.type);
  if (!dtype)
    return errorInFile(file.name, "tensor '" + name +
                                      "' is quantised (ggml's type " +
                                      Twine(entry.type) +
                                      "), which is not supported here");
  return TensorView{*dtype, entry.shape, numbers.data() + entry.offset,
                    file.owner};
}

} // namespace

Expected<std::shared_ptr<TensorFile>> openGguf(FileBytes file) {
  auto opened = std::make_shared<GgufFile>(std::move(file));
  if (Error error = opened->read())
    return error;
  return opened;
}

} // namespace weir
