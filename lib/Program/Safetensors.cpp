//===- Safetensors.cpp - Reader of .safetensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The format: 8 bytes little-endian header length, a JSON object, the numbers.
// https://github.com/huggingface/safetensors documents it, with the rule that
// the tensors cover the numbers without holes and without overlap.
//
//===----------------------------------------------------------------------===//

#include "Readers.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"

using namespace llvm;

namespace weir {

namespace {

/// What the reference implementation accepts.
constexpr uint64_t largestHeader = 100'000'000;

struct Entry {
  std::string name;
  DType dtype = DType::Float32;
  SmallVector<int64_t, 4> shape;
  uint64_t begin = 0, end = 0; ///< in the numbers
};

class SafetensorsFile final : public TensorFile {
public:
  SafetensorsFile(FileBytes file) : file(std::move(file)) {}
  Error read();

  StringRef path() const override { return file.name; }
  ArrayRef<std::string> names() const override { return order; }
  Expected<TensorView> tensor(StringRef name) const override;
  const std::map<std::string, std::string> &metadata() const override {
    return strings;
  }

private:
  Error readEntry(StringRef name, const json::Value &value);
  /// Orders the entries by place and refuses holes and overlaps.
  Error checkCover(uint64_t size);

  FileBytes file;
  const std::byte *numbers = nullptr;
  std::vector<Entry> entries;
  std::vector<std::string> order;
  StringMap<size_t> index;
  std::map<std::string, std::string> strings;
};

std::optional<DType> parseDType(StringRef name) {
  return StringSwitch<std::optional<DType>>(name)
      .Case("F64", DType::Float64)
      .Case("F32", DType::Float32)
      .Case("F16", DType::Float16)
      .Case("BF16", DType::BFloat16)
      .Case("I64", DType::Int64)
      .Case("I32", DType::Int32)
      .Case("I16", DType::Int16)
      .Case("I8", DType::Int8)
      .Case("U8", DType::UInt8)
      .Case("BOOL", DType::Bool)
      .Default(std::nullopt);
}

Error SafetensorsFile::readEntry(StringRef name, const json::Value &value) {
  std::string who = "tensor '" + name.str() + "' ";
  const json::Object *object = value.getAsObject();
  if (!object)
    return errorInFile(file.name, who + "is not described by an object");
  Entry entry;
  entry.name = name.str();

  std::optional<StringRef> dtypeName = object->getString("dtype");
  if (!dtypeName)
    return errorInFile(file.name, who + "has no dtype");
  std::optional<DType> dtype = parseDType(*dtypeName);
  if (!dtype)
    return errorInFile(file.name, who + "has the dtype '" + *dtypeName +
                                      "', which is not supported");
  entry.dtype = *dtype;

  const json::Array *shape = object->getArray("shape");
  const json::Array *offsets = object->getArray("data_offsets");
  if (!shape || !offsets || offsets->size() != 2)
    return errorInFile(file.name, who + "needs a shape and two data_offsets");
  for (const json::Value &size : *shape) {
    std::optional<int64_t> number = size.getAsInteger();
    if (!number || *number < 0)
      return errorInFile(file.name, who + "has a shape that is not made of "
                                          "numbers from 0 to 2^63-1");
    entry.shape.push_back(*number);
  }
  std::optional<uint64_t> begin = (*offsets)[0].getAsUINT64();
  std::optional<uint64_t> end = (*offsets)[1].getAsUINT64();
  if (!begin || !end || *begin > *end)
    return errorInFile(file.name, who + "has bad data_offsets");
  std::optional<int64_t> bytes = checkedBytes(entry.shape, sizeOf(entry.dtype));
  if (!bytes || static_cast<uint64_t>(*bytes) != *end - *begin)
    return errorInFile(file.name,
                       who + "has a shape that does not fit its data_offsets");
  entry.begin = *begin;
  entry.end = *end;
  entries.push_back(std::move(entry));
  return Error::success();
}

Error SafetensorsFile::checkCover(uint64_t size) {
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (const Entry &entry : entries) {
    if (entry.begin != covered)
      return errorInFile(
          file.name, "tensor '" + entry.name + "' starts at " +
                         Twine(entry.begin) + ", but the one before ends at " +
                         Twine(covered) +
                         (entry.begin < covered ? " (overlap)" : " (hole)"));
    covered = entry.end;
  }
  if (covered != size)
    return errorInFile(file.name, "the tensors end at byte " + Twine(covered) +
                                      " of the data, the file at " +
                                      Twine(size));
  return Error::success();
}

Error SafetensorsFile::read() {
  ArrayRef<std::byte> bytes = file.bytes;
  if (bytes.size() < 8)
    return errorInFile(file.name, "too short for a safetensors header");
  uint64_t headerSize = support::endian::read64le(bytes.data());
  bytes = bytes.drop_front(8);
  if (headerSize > bytes.size() || headerSize > largestHeader)
    return errorInFile(
        file.name,
        "the header's length, " + Twine(headerSize) + ", is more than " +
            (headerSize > largestHeader ? "is accepted" : "the file holds"));
  StringRef text(reinterpret_cast<const char *>(bytes.data()), headerSize);
  bytes = bytes.drop_front(headerSize);
  if (!text.starts_with("{"))
    return errorInFile(file.name, "the header is not a JSON object");
  Expected<json::Value> header = parseJSON(text, {.depth = 8});
  if (!header)
    return inFile(file.name, header.takeError());

  for (const auto &[key, value] : *header->getAsObject()) {
    if (StringRef(key) == "__metadata__") {
      const json::Object *metadata = value.getAsObject();
      if (!metadata)
        return errorInFile(file.name, "__metadata__ is not an object");
      for (const auto &[name, text] : *metadata) {
        if (!text.getAsString())
          return errorInFile(file.name, "__metadata__ holds something that is "
                                        "not a string");
        strings[name.str()] = text.getAsString()->str();
      }
      continue;
    }
    if (Error error = readEntry(key, value))
      return error;
  }
  if (Error error = checkCover(bytes.size()))
    return error;
  numbers = bytes.data();
  for (auto [i, entry] : enumerate(entries)) {
    order.push_back(entry.name);
    index[entry.name] = i;
  }
  return Error::success();
}

Expected<TensorView> SafetensorsFile::tensor(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return noSuchTensor(file.name, name, order);
  const Entry &entry = entries[found->second];
  return TensorView{entry.dtype, entry.shape, numbers + entry.begin,
                    file.owner};
}

} // namespace

Expected<std::shared_ptr<TensorFile>> openSafetensors(FileBytes file) {
  auto opened = std::make_shared<SafetensorsFile>(std::move(file));
  if (Error error = opened->read())
    return error;
  return opened;
}

} // namespace weir
