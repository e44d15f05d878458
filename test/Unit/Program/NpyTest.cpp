//===- NpyTest.cpp - Readers of .npy and .npz ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <rapidcheck/gtest.h>

#include <numeric>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

Expected<std::shared_ptr<TensorFile>> openNpy(const std::string &literal,
                                              const std::string &numbers) {
  return openBytes("dir/x.npy", npyBytes(literal, numbers));
}

std::string literal(const std::string &descr, const std::string &shape,
                    bool fortran = false) {
  return "{'descr': '" + descr +
         "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }\n";
}

TEST(Npy, ReadsAnArrayUnderTheStemOfItsName) {
  auto file = valueOf(
      openNpy(literal("<f4", "(2, 3)"), rawBytes<float>({1, 2, 3, 4, 5, 6})));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->names(), ArrayRef<std::string>("x"));
  TensorView view = valueOf(file->tensor("x"));
  EXPECT_EQ(view.dtype, DType::Float32);
  EXPECT_EQ(view.shape, (SmallVector<int64_t>{2, 3}));
  EXPECT_EQ(elementsOf(view), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_ERROR(file->tensor("y"), "no tensor 'y'; there is x");
}

TEST(Npy, ReadsEveryDType) {
  for (auto [descr, type] : {std::pair("<f8", DType::Float64),
                             {"<f4", DType::Float32},
                             {"<f2", DType::Float16},
                             {"<V2", DType::BFloat16},
                             {"|V2", DType::BFloat16},
                             {"<i8", DType::Int64},
                             {"<i4", DType::Int32},
                             {"<i2", DType::Int16},
                             {"|i1", DType::Int8},
                             {"|u1", DType::UInt8},
                             {"|b1", DType::Bool},
                             {"=f4", DType::Float32}}) {
    auto file =
        openNpy(literal(descr, "(3,)"), std::string(3 * sizeOf(type), 0));
    ASSERT_TRUE(!!file) << descr << messageOf(file.takeError());
    EXPECT_EQ(valueOf((*file)->tensor("x")).dtype, type) << descr;
  }
}

TEST(Npy, ReadsAllVersionsAndForms) {
  std::string text = literal("<i2", "()");
  for (char version : {1, 2, 3}) {
    std::string length = version == 1 ? little<uint16_t>(text.size())
                                      : little<uint32_t>(text.size());
    std::string bytes = std::string("\x93NUMPY", 6) + version + '\0' + length +
                        text + little<int16_t>(-5);
    auto file = valueOf(openBytes("x.npy", bytes));
    ASSERT_TRUE(file);
    EXPECT_EQ(elementsOf(valueOf(file->tensor("x"))),
              (std::vector<double>{-5}));
  }
  EXPECT_OK(openNpy("{\"shape\":(2L,),\"descr\":\"|u1\","
                    "\"fortran_order\":False}",
                    "ab"));
  EXPECT_OK(openNpy(literal("<f4", "(0, 5)"), ""));
}

TEST(Npy, FortranOrderIsTurnedIntoRowMajor) {
  auto file = valueOf(openNpy(literal("<i2", "(2, 3)", true),
                              rawBytes<int16_t>({1, 4, 2, 5, 3, 6})));
  ASSERT_TRUE(file);
  TensorView view = valueOf(file->tensor("x"));
  EXPECT_EQ(view.shape, (SmallVector<int64_t>{2, 3}));
  EXPECT_EQ(elementsOf(view), (std::vector<double>{1, 2, 3, 4, 5, 6}));
}

/// Element (i, j, k, …) of a Fortran array lies at i + n0 (j + n1 (k + …)).
RC_GTEST_PROP(Npy, FortranOrderHoldsForAnyShape, ()) {
  auto shape = *rc::gen::container<std::vector<int64_t>>(
      *rc::gen::inRange(1, 5), rc::gen::inRange<int64_t>(0, 5));
  int64_t count = 1;
  std::string text = "(";
  for (int64_t size : shape) {
    count *= size;
    text += std::to_string(size) + ",";
  }
  std::vector<int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  auto file =
      cantFail(openNpy(literal("<i4", text + ")", true), rawBytes(numbers)));
  TensorView view = cantFail(file->tensor("x"));
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, place = 0;
    std::vector<int64_t> position(shape.size());
    for (size_t axis = shape.size(); axis-- > 0;) {
      position[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    for (size_t axis = shape.size(); axis-- > 0;)
      place = place * shape[axis] + position[axis];
    RC_ASSERT(view.at(i) == place);
  }
}

TEST(Npy, RefusesBadHeaders) {
  const std::pair<std::string, const char *> refusals[] = {
      {"", "not a dictionary"},
      {"{}", "is missing"},
      {literal(">f4", "(1,)"), "big-endian"},
      {literal("|O", "(1,)"), "pickled objects are refused"},
      {literal("O", "(1,)"), "pickled objects are refused"},
      {literal("<c8", "(1,)"), "'<c8' is not supported"},
      {literal("<U3", "(1,)"), "not supported"},
      {literal("<<f4", "(1,)"), "not supported"},
      {literal("", "(1,)"), "not supported"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
       "structured"},
      {literal("<f4", "1"), "not a tuple"},
      {literal("<f4", "(1)"), "not a tuple of sizes"},
      {literal("<f4", "(,)"), "not a tuple of sizes"},
      {literal("<f4", "(1 1)"), "not a tuple of sizes"},
      {literal("<f4", "(-1,)"), "not a tuple of sizes"},
      {literal("<f4", "(1.0,)"), "not a tuple of sizes"},
      {literal("<f4", "(9223372036854775808,)"), "not a tuple of sizes"},
      {literal("<f4", "(99999999999999999999,)"), "not a tuple of sizes"},
      {literal("<f4", "(4294967296, 4294967296)"), "too many elements"},
      {literal("<f8", "(2305843009213693952,)"), "too many elements"},
      {literal("<f4", "(1,"), "not a tuple of sizes"},
      {literal("<f4", "(1,)") + "x", "something follows"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, "
       "'shape': (1,)}",
       "'descr' is unknown or there twice"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
       "'x' is unknown"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
       "neither True nor False"},
      {"{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
       "a comma is missing"},
      {"{'descr' '<f4'}", "a colon is missing"},
      {"{'descr': '<f4", "not closed"},
      {"{'descr': <f4", "a string is missing"},
      {"{descr: 1}", "a string is missing"},
  };
  for (const auto &[header, message] : refusals)
    EXPECT_PRED2(contains, messageOf(openNpy(header, "1234")), message)
        << header;
  std::string deep = "(";
  for (int i = 0; i < 65; ++i)
    deep += "1,";
  EXPECT_ERROR(openNpy(literal("|u1", deep + ")"), "1"), "64 dimensions");
}

TEST(Npy, RefusesWrongSizes) {
  EXPECT_ERROR(openNpy(literal("<f4", "(2,)"), "1234567"),
               "dir/x.npy: the header asks for 8 bytes, the file has 7");
  EXPECT_ERROR(openNpy(literal("<f4", "(2,)"), "123456789"), "the file has 9");
  EXPECT_ERROR(openBytes("x.npy", "\x93NUMPY"), "not an npy file");
  EXPECT_ERROR(openBytes("x.npy", std::string("\x93NUMPY\x04\x00zzzz", 12)),
               "unknown version");
  EXPECT_ERROR(
      openBytes("x.npy", std::string("\x93NUMPY\x01\x00\x50\x00zz", 12)),
      "longer than the file");
  EXPECT_ERROR(
      openBytes("x.npy", std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)),
      "longer than is accepted");
}

TEST(Npy, EveryTruncationIsRefused) {
  std::string whole = npyBytes(literal("<f4", "(3,)"), std::string(12, 'x'));
  EXPECT_OK(openBytes("x.npy", whole));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(messageOf(openBytes("x.npy", whole.substr(0, size))), "") << size;
}

RC_GTEST_PROP(Npy, MutatedFilesAreSafe, ()) {
  bool fortran = *rc::gen::arbitrary<bool>();
  std::string bytes =
      npyBytes(literal("<f4", "(3, 2)", fortran), std::string(24, 'x'));
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
    bytes[*rc::gen::inRange<size_t>(6, bytes.size())] = *rc::gen::elementOf(
        std::string("0123456789(),'{}<>|fiVubTF ") + '\0' + '\xff');
  Expected<std::shared_ptr<TensorFile>> file = openBytes("x.npy", bytes);
  if (file)
    touchAll(**file);
  else
    consumeError(file.takeError());
}

//===----------------------------------------------------------------------===//
// npz
//===----------------------------------------------------------------------===//

std::string array(std::vector<int32_t> numbers) {
  return npyBytes(literal("<i4", "(" + std::to_string(numbers.size()) + ",)"),
                  rawBytes(numbers));
}

TEST(Npz, ReadsStoredAndDeflatedMembers) {
  auto file = valueOf(
      openBytes("x.npz", rawZip({storedMember("b.npy", array({1, 2, 3})),
                                 deflatedMember("folder/a.npy", array({4, 5})),
                                 storedMember("none.npy", array({}))})));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->names(), (ArrayRef<std::string>{"b", "folder/a", "none"}));
  EXPECT_EQ(elementsOf(valueOf(file->tensor("b"))),
            (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(elementsOf(valueOf(file->tensor("folder/a"))),
            (std::vector<double>{4, 5}));
  EXPECT_EQ(valueOf(file->tensor("none")).numElements(), 0);
  EXPECT_ERROR(file->tensor("a"), "no tensor 'a'; there are b, folder/a, none");
}

TEST(Npz, StoredMembersAreMappedAndInflatedOnesAreShared) {
  auto file = valueOf(
      openBytes("x.npz", rawZip({storedMember("s.npy", array({1})),
                                 deflatedMember("d.npy", array({2}))})));
  TensorView s = valueOf(file->tensor("s")), d = valueOf(file->tensor("d"));
  EXPECT_EQ(s.data, valueOf(file->tensor("s")).data);
  EXPECT_EQ(d.data, valueOf(file->tensor("d")).data);
  EXPECT_EQ(s.owner, valueOf(file->tensor("s")).owner);
  file.reset();
  EXPECT_EQ(s.at(0), 1);
  EXPECT_EQ(d.at(0), 2);
}

TEST(Npz, FortranOrderInAMember) {
  std::string bytes =
      npyBytes(literal("<i2", "(2, 2)", true), rawBytes<int16_t>({1, 3, 2, 4}));
  for (const RawMember &member :
       {storedMember("a.npy", bytes), deflatedMember("a.npy", bytes)}) {
    auto file = valueOf(openBytes("x.npz", rawZip({member})));
    EXPECT_EQ(elementsOf(valueOf(file->tensor("a"))),
              (std::vector<double>{1, 2, 3, 4}));
    // Asked for again, it is not turned again.
    TensorView first = valueOf(file->tensor("a"));
    EXPECT_EQ(elementsOf(valueOf(file->tensor("a"))),
              (std::vector<double>{1, 2, 3, 4}));
  }
}

TEST(Npz, RefusesBadMembers) {
  auto refuse = [](const RawMember &member, const char *message) {
    EXPECT_ERROR(openBytes("x.npz", rawZip({member})), message);
  };
  refuse(storedMember("a.txt", array({1})), "'a.txt' is not an .npy array");
  refuse(storedMember("a.npy", "text"), "member 'a.npy': not an npy file");
  refuse(storedMember("a.npy", npyBytes(literal("|O", "(1,)"), "x")),
         "pickled objects are refused");
  refuse(storedMember("a.npy", npyBytes(literal("<f4", "(2,)"), "1234")),
         "the header asks for 8 bytes, the member has 4");
  refuse(deflatedMember("a.npy", npyBytes(literal("<f4", "(2,)"), "1234")),
         "the header asks for 8 bytes, the member has 4");
  refuse(storedMember("a.npy", npyBytes(literal("<f4", "(1,)"), "123456")),
         "the header asks for 4 bytes, the member has 6");
}

TEST(Npz, WrongDeflatedContentIsRefusedWhenAskedFor) {
  RawMember member = deflatedMember("a.npy", array({1, 2, 3}));
  auto tensorOf = [](const RawMember &member) {
    auto file = openBytes("x.npz", rawZip({member}));
    return file ? messageOf((*file)->tensor("a")) : messageOf(std::move(file));
  };
  EXPECT_EQ(tensorOf(member), "");
  RawMember wrong = member;
  wrong.crc ^= 1;
  EXPECT_PRED2(contains, tensorOf(wrong), "'a.npy' has a wrong checksum");
  wrong = member;
  wrong.stored += "more";
  EXPECT_PRED2(contains, tensorOf(wrong), "bytes after its stream");
  wrong = member;
  wrong.stored.resize(wrong.stored.size() - 3);
  EXPECT_NE(tensorOf(wrong), "");
}

// A member that inflates to more than it claims must not be inflated further
// than its claim; one that claims what deflate cannot make is not tried.
TEST(Npz, BombsAreRefused) {
  std::string zeros(50 << 20, '\0');
  RawMember bomb = deflatedMember("a.npy", array({1}) + zeros);
  EXPECT_LT(bomb.stored.size(), 60000u);
  RawMember lying = bomb;
  lying.size = array({1}).size();
  auto file = valueOf(openBytes("x.npz", rawZip({lying})));
  ASSERT_TRUE(file);
  EXPECT_ERROR(file->tensor("a"), "inflates to more than it claims");

  RawMember boasting = deflatedMember("a.npy", array({1}));
  boasting.size = 0xfffffff0;
  EXPECT_ERROR(openBytes("x.npz", rawZip({boasting})),
               "more bytes than deflate can make");

  // The header may ask for as much as the member claims, but not for more.
  std::string header = npyBytes(literal("|u1", "(1000000000000,)"), "");
  EXPECT_ERROR(openBytes("x.npz", rawZip({deflatedMember("a.npy", header)})),
               "the header asks for 1000000000000 bytes, the member has 0");
}

// Arrays that are all zeros claim a thousand times of what the file holds. They
// are refused together, before one of them is inflated.
TEST(Npz, WhatInflatesIsBoundedByTheFile) {
  size_t count = size_t(80) << 20;
  RawMember member = deflatedMember(
      "a.npy", npyBytes(literal("|u1", "(" + std::to_string(count) + ",)"),
                        std::string(count, '\0')));
  std::vector<RawMember> members = {member};
  EXPECT_OK(openBytes("x.npz", rawZip(members)));
  for (char name : {'b', 'c', 'd'}) {
    members.push_back(member);
    members.back().name[0] = name;
  }
  EXPECT_ERROR(openBytes("x.npz", rawZip(members)),
               "its arrays inflate to 335544620 bytes, more than the");
}

TEST(Npz, IsDescribedWithoutItsNumbers) {
  RawMember broken = deflatedMember("d.npy", array({4, 5}));
  broken.crc ^= 1;
  auto file = valueOf(openBytes(
      "x.npz", rawZip({storedMember("s.npy", array({1, 2, 3})), broken})));
  ASSERT_TRUE(file);
  TensorView view = valueOf(file->describe("d"));
  EXPECT_EQ(view.dtype, DType::Int32);
  EXPECT_EQ(view.shape, (SmallVector<int64_t>{2}));
  EXPECT_EQ(view.data, nullptr);
  EXPECT_ERROR(file->tensor("d"), "wrong checksum");
  EXPECT_EQ(valueOf(file->describe("s")).shape, (SmallVector<int64_t>{3}));
  EXPECT_ERROR(file->describe("x"), "no tensor 'x'");
}

std::string smallNpz() {
  return rawZip({storedMember("s.npy", array({1, 2})),
                 deflatedMember("d.npy", array({3, 4, 5}))});
}

TEST(Npz, EveryTruncationIsRefused) {
  std::string whole = smallNpz();
  EXPECT_OK(openBytes("x.npz", whole));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(messageOf(openBytes("x.npz", whole.substr(0, size))), "") << size;
}

TEST(Npz, EveryFlippedBitIsSafe) {
  std::string whole = smallNpz();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] ^= 1 << bit % 8;
    auto file = openBytes("x.npz", bytes);
    if (file)
      touchAll(**file);
    else
      consumeError(file.takeError());
  }
}

TEST(TensorFile, UnknownExtensionsAreRefused) {
  EXPECT_ERROR(openBytes("x.bin", ""), "unknown extension '.bin'");
  EXPECT_ERROR(TensorFile::open("/no/such.npz"), "cannot open");
}

} // namespace
