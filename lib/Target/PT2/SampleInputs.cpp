//===- SampleInputs.cpp - Sample inputs of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compilers trace a program with its sample inputs, which an archive holds as
// `torch.save` writes a pair of positional arguments and keywords. This writes
// such files, in the format without a zip around it (torch.serialization,
// _legacy_save): five pickles one after the other, then the storages. Nothing
// here reads a pickle.
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"

#include "llvm/Support/EndianStream.h"

#include <cstring>

using namespace weir;
using namespace weir::pt2;

namespace {

/// torch._export.serde.schema.ScalarType, the class of its storage, and bytes
/// an element.
struct Storage {
  int64_t dtype;
  llvm::StringLiteral name;
  unsigned size;
};
constexpr Storage storages[] = {
    {1, "ByteStorage", 1},     {2, "CharStorage", 1},   {3, "ShortStorage", 2},
    {4, "IntStorage", 4},      {5, "LongStorage", 8},   {6, "HalfStorage", 2},
    {7, "FloatStorage", 4},    {8, "DoubleStorage", 8}, {12, "BoolStorage", 1},
    {13, "BFloat16Storage", 2}};

/// Writes values in Python's pickle format, protocol 2.
class Pickle {
public:
  explicit Pickle(std::string &out) : os(out) { os << "\x80\x02"; }

  void finish() { os << '.'; }
  void integer(int64_t value) {
    // LONG1 with eight bytes, whatever the number.
    os << '\x8a' << '\x08';
    raw<int64_t>(value);
  }
  void longBytes(llvm::StringRef bytes) {
    os << '\x8a' << static_cast<char>(bytes.size()) << bytes;
  }
  void text(llvm::StringRef value) {
    os << 'X';
    raw<uint32_t>(value.size());
    os << value;
  }
  void global(llvm::StringRef module, llvm::StringRef name) {
    os << 'c' << module << '\n' << name << '\n';
  }
  void none() { os << 'N'; }
  void boolean(bool value) { os << (value ? '\x88' : '\x89'); }
  void mark() { os << '('; }
  void tuple() { os << 't'; } ///< of everything since the mark
  // Restricted unpicklers know only these ways to make lists and dictionaries.
  void emptyList() { os << ']'; }
  void append() { os << 'e'; } ///< everything since the mark to the list
  void emptyDictionary() { os << '}'; }
  void update() { os << 'u'; } ///< the dictionary, keys and values since the mark
  void reduce() { os << 'R'; }     ///< calls a function with a tuple
  void persistent() { os << 'Q'; } ///< a reference to something outside

private:
  template <typename T> void raw(T value) {
    llvm::support::endian::write(os, value, llvm::endianness::little);
  }
  llvm::raw_string_ostream os;
};

} // namespace

llvm::Expected<std::vector<std::byte>>
weir::pt2::makeSampleInputs(llvm::ArrayRef<SampleInput> inputs) {
  std::string out, payload;
  {
    Pickle magic(out);
    // 0x1950a86a20f9469cfc6c
    magic.longBytes("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    magic.finish();
  }
  {
    Pickle version(out);
    version.integer(1001);
    version.finish();
  }
  {
    Pickle system(out);
    system.emptyDictionary();
    system.mark();
    system.text("protocol_version");
    system.integer(1001);
    system.text("little_endian");
    system.boolean(true);
    system.text("type_sizes");
    system.emptyDictionary();
    system.mark();
    for (auto [name, size] : {std::pair("short", 2), {"int", 4}, {"long", 4}}) {
      system.text(name);
      system.integer(size);
    }
    system.update();
    system.update();
    system.finish();
  }

  llvm::SmallVector<std::string> keys;
  llvm::raw_string_ostream data(payload);
  {
    Pickle object(out);
    auto tensor = [&](const SampleInput &input) -> llvm::Error {
      const Storage *storage = llvm::find_if(
          storages, [&](const Storage &s) { return s.dtype == input.dtype; });
      if (storage == std::end(storages))
        return llvm::createStringError(
            "no sample can be made of an input of dtype " +
            llvm::Twine(input.dtype));
      int64_t count = 1;
      for (int64_t size : input.sizes) {
        if (size < 0 || (size > 0 && count > (int64_t(1) << 24) / size))
          return llvm::createStringError("a sample input would be too large");
        count *= size;
      }
      llvm::SmallVector<int64_t> strides(input.sizes.size(), 1);
      for (size_t i = strides.size(); i-- > 1;)
        strides[i - 1] = strides[i] * std::max<int64_t>(input.sizes[i], 1);
      // Keys are sorted as text when the storages are written.
      std::string key(6, '0');
      std::string digits = std::to_string(keys.size());
      key.replace(key.size() - digits.size(), digits.size(), digits);
      keys.push_back(key);

      object.global("torch._utils", "_rebuild_tensor_v2");
      object.mark();
      object.mark();
      object.text("storage");
      object.global("torch", storage->name);
      object.text(key);
      object.text("cpu");
      object.integer(count);
      object.none();
      object.tuple();
      object.persistent();
      object.integer(0);
      object.mark();
      for (int64_t size : input.sizes)
        object.integer(size);
      object.tuple();
      object.mark();
      for (int64_t stride : strides)
        object.integer(stride);
      object.tuple();
      object.boolean(false); // requires_grad
      object.global("collections", "OrderedDict");
      object.mark();
      object.tuple();
      object.reduce(); // hooks
      object.tuple();
      object.reduce();

      llvm::support::endian::write<int64_t>(data, count,
                                            llvm::endianness::little);
      data.write_zeros(count * storage->size);
      return llvm::Error::success();
    };
    object.mark();
    object.mark();
    for (const SampleInput &input : inputs)
      if (input.keyword.empty())
        if (llvm::Error error = tensor(input))
          return std::move(error);
    object.tuple();
    object.emptyDictionary();
    object.mark();
    for (const SampleInput &input : inputs)
      if (!input.keyword.empty()) {
        object.text(input.keyword);
        if (llvm::Error error = tensor(input))
          return std::move(error);
      }
    object.update();
    object.tuple();
    object.finish();
  }
  {
    Pickle list(out);
    list.emptyList();
    list.mark();
    for (const std::string &key : keys)
      list.text(key);
    list.append();
    list.finish();
  }
  out += payload;
  std::vector<std::byte> bytes(out.size());
  std::memcpy(bytes.data(), out.data(), out.size());
  return bytes;
}
