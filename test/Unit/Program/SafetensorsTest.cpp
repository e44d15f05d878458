//===- SafetensorsTest.cpp - Reader of .safetensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <rapidcheck/gtest.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

Expected<std::shared_ptr<TensorFile>> open(const std::string &header,
                                           size_t bytes) {
  std::string numbers;
  for (size_t i = 0; i < bytes; ++i)
    numbers.push_back(static_cast<char>(i));
  return openBytes("x.safetensors", safetensorsBytes(header, numbers));
}

TEST(Safetensors, ReadsTensors) {
  auto file = valueOf(open(
      R"({"__metadata__": {"format": "pt"},
          "b": {"dtype": "U8", "shape": [2, 2], "data_offsets": [0, 4]},
          "empty": {"dtype": "F32", "shape": [0, 7], "data_offsets": [4, 4]},
          "a": {"dtype": "I16", "shape": [], "data_offsets": [4, 6]}})",
      6));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->names(), (ArrayRef<std::string>{"b", "empty", "a"}));
  EXPECT_TRUE(file->contains("a"));
  EXPECT_FALSE(file->contains("__metadata__"));
  TensorView b = valueOf(file->tensor("b"));
  EXPECT_EQ(b.shape, (SmallVector<int64_t>{2, 2}));
  EXPECT_EQ(elementsOf(b), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(valueOf(file->tensor("empty")).numElements(), 0);
  TensorView a = valueOf(file->tensor("a"));
  EXPECT_EQ(a.dtype, DType::Int16);
  EXPECT_EQ(elementsOf(a), (std::vector<double>{0x0504}));
  EXPECT_ERROR(file->tensor("c"),
               "x.safetensors: no tensor 'c'; there are b, empty, a");
}

TEST(Safetensors, ViewsOutliveTheFile) {
  auto file = valueOf(open(
      R"({"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}})", 3));
  TensorView view = valueOf(file->tensor("a"));
  file.reset();
  EXPECT_EQ(elementsOf(view), (std::vector<double>{0, 1, 2}));
}

TEST(Safetensors, AFileWithoutTensorsIsFine) {
  auto file = valueOf(open("{}", 0));
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->names().empty());
  EXPECT_ERROR(file->tensor("a"), "there are none");
}

TEST(Safetensors, EveryDTypeHasItsSize) {
  for (auto [name, size] : {std::pair("F64", 8),
                            {"F32", 4},
                            {"F16", 2},
                            {"BF16", 2},
                            {"I64", 8},
                            {"I32", 4},
                            {"I16", 2},
                            {"I8", 1},
                            {"U8", 1},
                            {"BOOL", 1}}) {
    auto header = [&](int bytes) {
      return R"({"a": {"dtype": ")" + std::string(name) +
             R"(", "shape": [3], "data_offsets": [0, )" +
             std::to_string(bytes) + "]}}";
    };
    EXPECT_OK(open(header(3 * size), 3 * size));
    EXPECT_ERROR(open(header(3 * size + 1), 3 * size + 1), "does not fit");
  }
}

struct Refusal {
  const char *header;
  size_t bytes;
  const char *message;
};

TEST(Safetensors, RefusesBadHeaders) {
  const Refusal refusals[] = {
      {"", 0, "not a JSON object"},
      {"[]", 0, "not a JSON object"},
      {"{", 0, "Expected"},
      {R"({"a": 1})", 0, "not described by an object"},
      {R"({"a": {}})", 0, "no dtype"},
      {R"({"__metadata__": 1})", 0, "__metadata__ is not an object"},
      {R"({"__metadata__": {"a": 1}})", 0, "not a string"},
      {R"({"a": {"dtype": "F8_E4M3", "shape": [], "data_offsets": [0, 1]}})", 1,
       "'F8_E4M3', which is not supported"},
      {R"({"a": {"dtype": "U8", "data_offsets": [0, 1]}})", 1, "needs a shape"},
      {R"({"a": {"dtype": "U8", "shape": [1]}})", 1, "needs a shape"},
      {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0]}})", 1,
       "needs a shape"},
      {R"({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}})", 1,
       "numbers from 0"},
      {R"({"a": {"dtype": "U8", "shape": [1.5], "data_offsets": [0, 1]}})", 1,
       "numbers from 0"},
      {R"({"a": {"dtype": "U8", "shape": ["1"], "data_offsets": [0, 1]}})", 1,
       "numbers from 0"},
      {R"({"a": {"dtype": "U8", "shape": [9223372036854775808],
           "data_offsets": [0, 1]}})",
       1, "numbers from 0"},
      {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [-1, 0]}})", 1,
       "bad data_offsets"},
      {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 0]}})", 1,
       "bad data_offsets"},
      // 2^32 * 2^32 wraps around to 0.
      {R"({"a": {"dtype": "U8", "shape": [4294967296, 4294967296],
           "data_offsets": [0, 0]}})",
       0, "does not fit"},
      {R"({"a": {"dtype": "F64", "shape": [2305843009213693952],
           "data_offsets": [0, 0]}})",
       0, "does not fit"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})", 3,
       "the tensors end at byte 4 of the data, the file at 3"},
      {R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})", 5,
       "the tensors end at byte 4 of the data, the file at 5"},
      {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
           "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
       3, "(overlap)"},
      {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
           "b": {"dtype": "U8", "shape": [2], "data_offsets": [3, 5]}})",
       5, "(hole)"},
      {R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})", 3,
       "(hole)"},
      {R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
           "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})",
       1, "'a' twice"},
      {R"({"a": [[[[[[[[[[]]]]]]]]]]})", 0, "nested deeper"},
  };
  for (const Refusal &refusal : refusals) {
    std::string message = messageOf(open(refusal.header, refusal.bytes));
    EXPECT_PRED2(contains, message, refusal.message) << refusal.header;
    EXPECT_PRED2(contains, message, "x.safetensors: ");
  }
}

TEST(Safetensors, RefusesBadHeaderLengths) {
  auto withLength = [](uint64_t length, const std::string &rest) {
    return openBytes("x.safetensors", little(length) + rest);
  };
  EXPECT_ERROR(openBytes("x.safetensors", ""), "too short");
  EXPECT_ERROR(openBytes("x.safetensors", "1234567"), "too short");
  EXPECT_ERROR(withLength(3, "{}"), "more than the file holds");
  EXPECT_ERROR(withLength(UINT64_MAX, "{}"), "more than is accepted");
  EXPECT_ERROR(withLength(UINT64_MAX - 7, "{}"), "more than is accepted");
}

std::string smallFile() {
  return safetensorsBytes(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]}})",
      std::string(14, '\x3f'));
}

TEST(Safetensors, EveryTruncationIsRefused) {
  std::string whole = smallFile();
  EXPECT_OK(openBytes("x.safetensors", whole));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(messageOf(openBytes("x.safetensors", whole.substr(0, size))), "")
        << size;
}

RC_GTEST_PROP(Safetensors, MutatedFilesAreSafe, ()) {
  std::string bytes = smallFile();
  for (int i = *rc::gen::inRange(1, 5); i > 0; --i)
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] =
        *rc::gen::arbitrary<char>();
  Expected<std::shared_ptr<TensorFile>> file =
      openBytes("x.safetensors", bytes);
  if (file)
    touchAll(**file);
  else
    consumeError(file.takeError());
}

} // namespace
