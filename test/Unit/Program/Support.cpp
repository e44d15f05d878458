//===- Support.cpp - Helpers of the tests of Program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "llvm/ADT/STLExtras.h"

#include <filesystem>
#include <fstream>

#include <stdlib.h>
#include <zlib.h>

using namespace llvm;

namespace weir::test {

namespace {
class Given : public TensorSource {
public:
  Given(DType dtype, ArrayRef<int64_t> shape, ArrayRef<std::byte> bytes)
      : TensorSource(dtype, shape), bytes(bytes) {}
  Error stream(Sink sink) const override { return sink(bytes); }

private:
  std::vector<std::byte> bytes;
};
} // namespace

std::shared_ptr<const TensorSource> given(DType dtype, ArrayRef<int64_t> shape,
                                          ArrayRef<std::byte> bytes) {
  return std::make_shared<Given>(dtype, shape, bytes);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "weir-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data()))
    ADD_FAILURE() << "cannot make a temporary folder";
  path = pattern;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

std::vector<std::string> TemporaryFolder::entries() const {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename().string());
  llvm::sort(names);
  return names;
}

void writeFile(const std::string &path, StringRef text) {
  std::ofstream(path, std::ios::binary).write(text.data(), text.size());
}

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string messageOf(Error error) { return toString(std::move(error)); }

std::vector<double> elementsOf(const TensorView &view) {
  std::vector<double> elements;
  for (int64_t i = 0; i < view.numElements(); ++i)
    elements.push_back(view.at(i));
  return elements;
}

/// The bytes get a block of their own, so that a sanitizer sees every read
/// outside.
static std::pair<ArrayRef<std::byte>, std::shared_ptr<const void>>
ownBlock(const std::string &bytes) {
  std::shared_ptr<std::byte[]> block(new std::byte[bytes.size()]);
  std::memcpy(block.get(), bytes.data(), bytes.size());
  return {ArrayRef<std::byte>(block.get(), bytes.size()), block};
}

Expected<std::shared_ptr<TensorFile>> openBytes(const std::string &name,
                                                std::string bytes) {
  auto [block, owner] = ownBlock(bytes);
  return TensorFile::fromMemory(name, block, owner);
}

Expected<std::shared_ptr<Archive>> openArchive(std::string bytes) {
  auto [block, owner] = ownBlock(bytes);
  return Archive::fromMemory("test.pt2", block, owner);
}

std::vector<std::string> touchAll(const TensorFile &file) {
  std::vector<std::string> names;
  double sum = 0;
  for (const std::string &name : file.names()) {
    Expected<TensorView> view = file.tensor(name);
    names.push_back(name);
    if (!view) {
      consumeError(view.takeError());
      continue;
    }
    for (double element : elementsOf(*view))
      sum += element;
  }
  volatile double sink = sum;
  (void)sink;
  return names;
}

//===----------------------------------------------------------------------===//
// Zip files
//===----------------------------------------------------------------------===//

static uint32_t checksum(const std::string &content) {
  return crc32_z(0, reinterpret_cast<const Bytef *>(content.data()),
                 content.size());
}

RawMember storedMember(const std::string &name, const std::string &content) {
  RawMember member;
  member.name = name;
  member.stored = content;
  member.crc = checksum(content);
  member.size = content.size();
  return member;
}

RawMember deflatedMember(const std::string &name, const std::string &content) {
  RawMember member = storedMember(name, content);
  member.method = 8;
  z_stream stream = {};
  EXPECT_EQ(
      deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
      Z_OK);
  member.stored.resize(deflateBound(&stream, content.size()));
  stream.next_in =
      reinterpret_cast<Bytef *>(const_cast<char *>(content.data()));
  stream.avail_in = content.size();
  stream.next_out = reinterpret_cast<Bytef *>(member.stored.data());
  stream.avail_out = member.stored.size();
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  member.stored.resize(stream.total_out);
  deflateEnd(&stream);
  return member;
}

std::string rawZip(const std::vector<RawMember> &members) {
  std::string file, directory;
  for (const RawMember &member : members) {
    uint64_t begin = file.size() + member.offsetShift;
    auto common = [&](bool local) {
      bool zero = local && member.zeroLocalSizes;
      return little<uint16_t>(20) + little(member.flags) +
             little(member.method) + little<uint32_t>(0) +
             little(zero ? 0 : member.crc) +
             little<uint32_t>(zero ? 0 : member.stored.size()) +
             little<uint32_t>(zero ? 0 : member.size);
    };
    const std::string &localName =
        member.localName.empty() ? member.name : member.localName;
    file += little<uint32_t>(0x04034b50) + common(true) +
            little<uint16_t>(localName.size()) + little<uint16_t>(0) +
            localName + member.stored;
    directory += little<uint32_t>(0x02014b50) + little<uint16_t>(20) +
                 common(false) + little<uint16_t>(member.name.size()) +
                 std::string(12, '\0') + little<uint32_t>(begin) + member.name;
  }
  uint32_t offset = file.size();
  uint16_t count = members.size();
  return file + directory + little<uint32_t>(0x06054b50) + little<uint32_t>(0) +
         little(count) + little(count) + little<uint32_t>(directory.size()) +
         little(offset) + little<uint16_t>(0);
}

//===----------------------------------------------------------------------===//
// The formats
//===----------------------------------------------------------------------===//

std::string npyBytes(const std::string &literal, const std::string &numbers) {
  return std::string("\x93NUMPY\x01\x00", 8) +
         little<uint16_t>(literal.size()) + literal + numbers;
}

std::string safetensorsBytes(const std::string &header,
                             const std::string &numbers) {
  return little<uint64_t>(header.size()) + header + numbers;
}

static std::string payload(const std::string &file, bool isParameter, int dtype,
                           const std::string &sizes,
                           const std::string &strides) {
  return R"({"path_name": ")" + file + R"(", "is_param": )" +
         (isParameter ? "true" : "false") +
         R"(, "use_pickle": false, "tensor_meta": {"dtype": )" +
         std::to_string(dtype) + R"(, "sizes": [)" + sizes +
         R"(], "strides": [)" + strides +
         R"(], "storage_offset": {"as_int": 0}, "layout": 7,)"
         R"( "requires_grad": false,)"
         R"( "device": {"type": "cpu", "index": null}}})";
}

std::map<std::string, std::string> archiveRecords() {
  const char *two = R"({"as_int": 2})", *three = R"({"as_int": 3})",
             *one = R"({"as_int": 1})", *four = R"({"as_int": 4})";
  auto list = [](const char *a, const char *b) {
    return std::string(a) + ", " + b;
  };
  return {
      {"archive_format", "pt2"},
      {"archive_version", "0"},
      {"byteorder", "little"},
      {".data/version", "6\n"},
      {"extra/notes.txt", "kept as it is"},
      {"models/model.json",
       R"({"schema_version": {"major": 8, "minor": 20},)"
       R"( "graph_module": {"graph": {"nodes": [-0.0, 0.1, "Infinity"]}},)"
       R"( "a key of the future": [null]})"},
      {"data/weights/weight_0", rawBytes<float>({1, 2, 3, 4, 5, 6})},
      {"data/weights/weight_1", rawBytes<int64_t>({7, 8, 9, 10})},
      {"data/weights/model_weights_config.json",
       R"({"config": {"w": )" +
           payload("weight_0", true, 7, list(two, three), list(three, one)) +
           R"(, "tied": )" +
           payload("weight_0", true, 7, list(three, two), list(one, three)) +
           R"(, "steps": )" + payload("weight_1", false, 5, four, one) +
           R"(}, "also kept": 1})"},
      {"data/constants/tensor_0", rawBytes<float>({0.5f})},
      {"data/constants/model_constants_config.json",
       R"({"config": {"c": )" + payload("tensor_0", false, 7, "", "") + "}}"},
  };
}

std::string archiveBytes(const std::map<std::string, std::string> &records,
                         const std::string &top) {
  std::vector<RawMember> members;
  for (const auto &[name, content] : records)
    members.push_back(storedMember(top + name, content));
  return rawZip(members);
}

} // namespace weir::test
