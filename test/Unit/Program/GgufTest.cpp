//===- GgufTest.cpp - Reader of .gguf ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

std::string text(StringRef value) {
  return little<uint64_t>(value.size()) + value.str();
}
std::string stringValue(StringRef key, StringRef value) {
  return text(key) + little<uint32_t>(8) + text(value);
}
std::string tensor(StringRef name, std::vector<uint64_t> sizes, uint32_t type,
                   uint64_t offset) {
  return text(name) + little<uint32_t>(sizes.size()) + rawBytes(sizes) +
         little(type) + little(offset);
}

/// A file out of its parts; the numbers begin at a multiple of 32.
std::string gguf(uint64_t tensors, uint64_t values, const std::string &body,
                 const std::string &numbers, uint32_t version = 3) {
  std::string file = "GGUF" + little(version) + little(tensors) +
                     little(values) + body;
  file.append((32 - file.size() % 32) % 32, '\0');
  return file + numbers;
}

std::string good() {
  return gguf(3, 4,
              stringValue("general.architecture", "controlvector") +
                  text("layers") + little<uint32_t>(4) + little<uint32_t>(2) +
                  text("words") + little<uint32_t>(9) + little<uint32_t>(8) +
                  little<uint64_t>(2) + text("a") + text("") +
                  text("half") + little<uint32_t>(6) + little(0.5f) +
                  tensor("direction.1", {3}, 0, 0) +
                  tensor("wide", {2, 1}, 0, 32) +
                  tensor("packed", {32}, 2, 0),
              rawBytes(std::vector<float>{1, 2, 3, 0, 0, 0, 0, 0, 4, 5}));
}

TEST(Gguf, ReadsTensors) {
  auto file = valueOf(openBytes("x.gguf", good()));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->names(),
            (ArrayRef<std::string>{"direction.1", "wide", "packed"}));
  EXPECT_EQ(elementsOf(valueOf(file->tensor("direction.1"))),
            (std::vector<double>{1, 2, 3}));
  TensorView wide = valueOf(file->tensor("wide"));
  // The size that runs fastest is the first in the file, the last here.
  EXPECT_EQ(wide.shape, (SmallVector<int64_t>{1, 2}));
  EXPECT_EQ(elementsOf(wide), (std::vector<double>{4, 5}));
  EXPECT_EQ(file->metadata().at("general.architecture"), "controlvector");
  EXPECT_EQ(file->metadata().at("layers"), "2");
  EXPECT_ERROR(file->tensor("packed"), "'packed' is quantised (ggml's type 2)");
}

TEST(Gguf, RefusesWhatLies) {
  auto refusal = [](std::string bytes) {
    return messageOf(openBytes("x.gguf", std::move(bytes)));
  };
  EXPECT_EQ(refusal("GGML"), "x.gguf: is not a GGUF file: it does not begin with "
                             "'GGUF'");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 0, "", "", 1)), "of version 1");
  // Counts are believed as far as the file goes.
  std::string header = "GGUF" + little<uint32_t>(3);
  EXPECT_ERROR(openBytes("x.gguf", header), "ends in its header");
  EXPECT_ERROR(openBytes("x.gguf", header + little(~0ull) + little<uint64_t>(0)),
               "ends in the name of a tensor");
  EXPECT_ERROR(openBytes("x.gguf", header + little<uint64_t>(0) + little(~0ull)),
               "ends in the key of a value");
  std::string array = text("k") + little<uint32_t>(9);
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 1, array + little<uint32_t>(12) +
                                                  little(~0ull), "")),
               "ends in the value of 'k'");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 1, array + little<uint32_t>(9) +
                                                  little<uint64_t>(1), "")),
               "an array of the type 9");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 1, text("k") + little<uint32_t>(13),
                                        "")),
               "the unknown type 13");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 2, stringValue("k", "") +
                                                  stringValue("k", ""), "")),
               "the key 'k' twice");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 1, stringValue("\xff", ""), "")),
               "not UTF-8");
  EXPECT_ERROR(openBytes("x.gguf", gguf(1, 0, tensor("t", {4}, 0, 4),
                                        std::string(16, 'x'))),
               "'t' lies outside of the file");
  EXPECT_ERROR(openBytes("x.gguf", gguf(1, 0, tensor("t", {4}, 0, ~0ull),
                                        std::string(16, 'x'))),
               "'t' lies outside of the file");
  EXPECT_ERROR(openBytes("x.gguf", gguf(1, 0, tensor("t", {1ull << 40, 1ull << 40},
                                                     0, 0), "")),
               "'t' is beyond 2^63 - 1 bytes");
  EXPECT_ERROR(openBytes("x.gguf", gguf(1, 0, tensor("t", {~0ull}, 0, 0), "")),
               "has a size beyond 2^63 - 1");
  EXPECT_ERROR(openBytes("x.gguf", gguf(1, 0, tensor("t", {1, 1, 1, 1, 1}, 0, 0),
                                        "")),
               "'t' has 5 dimensions");
  EXPECT_ERROR(openBytes("x.gguf", gguf(2, 0, tensor("t", {0}, 0, 0) +
                                                  tensor("t", {0}, 0, 0), "")),
               "has tensor 't' twice");
  EXPECT_ERROR(openBytes("x.gguf", gguf(0, 1, stringValue("general.alignment",
                                                          "0"), "")),
               "general.alignment is '0'");
}

TEST(Gguf, EveryBeginningIsSafe) {
  std::string whole = good();
  for (size_t size = 0; size < whole.size(); ++size)
    if (auto file = openBytes("x.gguf", whole.substr(0, size)))
      touchAll(**file);
    else
      consumeError(file.takeError());
}

} // namespace
