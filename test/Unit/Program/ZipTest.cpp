//===- ZipTest.cpp - The directory of a zip file ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "Zip.h"

#include <rapidcheck/gtest.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

/// What the directory of these bytes says, or the error.
std::string read(const std::string &bytes) {
  return messageOf(readZipDirectory(bytesOf(bytes)));
}

TEST(Zip, ListsMembersInTheFilesOrder) {
  std::string bytes = rawZip({storedMember("b", "one"), storedMember("a", ""),
                              deflatedMember("c/d", "three")});
  auto members = valueOf(readZipDirectory(bytesOf(bytes)));
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].name, "b");
  EXPECT_EQ(textOf(members[0].stored), "one");
  EXPECT_EQ(members[0].crc, zipChecksum(bytesOf("one")));
  EXPECT_EQ(members[1].name, "a");
  EXPECT_EQ(members[1].size, 0u);
  EXPECT_TRUE(members[2].deflated);
  std::vector<std::byte> out(5);
  EXPECT_OK(inflateMember(members[2], out, /*whole=*/true));
  EXPECT_EQ(textOf(out), "three");
  EXPECT_OK(inflateMember(members[2], MutableArrayRef(out).take_front(2),
                          /*whole=*/false));
}

TEST(Zip, SizesMayFollowTheContent) {
  RawMember member = storedMember("a", "content");
  member.flags = 1 << 3;
  member.zeroLocalSizes = true;
  EXPECT_EQ(read(rawZip({member})), "");
}

TEST(Zip, AnEmptyArchiveAndAComment) {
  EXPECT_EQ(read(rawZip({})), "");
  std::string bytes = rawZip({storedMember("a", "x")});
  bytes[bytes.size() - 2] = 5;
  EXPECT_EQ(read(bytes + "hello"), "");
  EXPECT_PRED2(contains, read(bytes + "hell"), "no end record");
}

TEST(Zip, RefusesBadMembers) {
  auto refuse = [](auto change, const char *message) {
    RawMember member = storedMember("name", "content");
    change(member);
    EXPECT_PRED2(contains, read(rawZip({storedMember("first", "1"), member})),
                 message);
  };
  using M = RawMember;
  refuse([](M &m) { m.flags = 1; }, "'name' is encrypted");
  refuse([](M &m) { m.method = 9; }, "compression method 9");
  refuse([](M &m) { m.size = 8; }, "stored but has two sizes");
  refuse([](M &m) { m.localName = "other"; }, "another name in its header");
  refuse([](M &m) { m.offsetShift = 1; }, "does not start where");
  refuse([](M &m) { m.offsetShift = 1 << 20; }, "does not start where");
  refuse([](M &m) { m.offsetShift = -36; }, "another name in its header");
  refuse([](M &m) { m.zeroLocalSizes = true; }, "another size or checksum");
  refuse([](M &m) { m.method = 8, m.size = 1 << 20; },
         "more bytes than deflate can make");
}

TEST(Zip, RefusesNamesThatLeaveTheFolder) {
  for (const char *name : {"/etc/passwd", "../a", "a/../b", "a/..", ".", "./a",
                           "a//b", "a\\b", "", "\xff\xfe", "a/./b", "//"})
    EXPECT_NE(read(rawZip({storedMember(name, "x")})), "") << name;
  EXPECT_NE(read(rawZip({storedMember(std::string("a\0b", 3), "x")})), "");
  for (const char *name : {"a", "a/b", "..a", "a..", ".data/x", "a/", "\u00e9"})
    EXPECT_EQ(read(rawZip({storedMember(name, "")})), "") << name;
}

TEST(Zip, RefusesDuplicatesAndOverlaps) {
  EXPECT_PRED2(contains,
               read(rawZip({storedMember("a", "1"), storedMember("a", "2")})),
               "two members are called 'a'");
  // The second entry of the directory leads to the first member.
  RawMember first = storedMember("a", "x"), second = storedMember("a", "x");
  second.offsetShift = -static_cast<int64_t>(rawZip({first}).size() - 47 - 22);
  EXPECT_PRED2(contains, read(rawZip({first, second})), "overlaps");
  // A member inside the content of another.
  RawMember inner = storedMember("inner", "x");
  std::string nested = rawZip({inner}).substr(0, 30 + 5 + 1);
  RawMember outer = storedMember("outer", nested);
  inner.offsetShift = -static_cast<int64_t>(nested.size());
  EXPECT_PRED2(contains, read(rawZip({outer, inner})), "overlaps");
}

TEST(Zip, RefusesBadEndRecords) {
  std::string good = rawZip({storedMember("a", "x")});
  size_t end = good.size() - 22;
  auto refuse = [&](size_t place, const std::string &bytes,
                    const char *message) {
    std::string bad = good;
    bad.replace(end + place, bytes.size(), bytes);
    EXPECT_PRED2(contains, read(bad), message) << place;
  };
  refuse(4, little<uint16_t>(1), "split archive");
  refuse(6, little<uint16_t>(1), "split archive");
  refuse(8, little<uint16_t>(2), "split archive");
  refuse(8, little<uint16_t>(2) + little<uint16_t>(2), "too small");
  refuse(8, little<uint16_t>(0) + little<uint16_t>(0), "after its last entry");
  refuse(12, little<uint32_t>(1), "not where the end record says");
  refuse(16, little<uint32_t>(0), "not where the end record says");
  refuse(16, little<uint32_t>(0xfffffff0), "not where the end record says");
  EXPECT_PRED2(contains, read(good + "x"), "no end record");
  EXPECT_PRED2(contains, read(""), "shorter than");
  // Something before the archive moves every place.
  EXPECT_NE(read("x" + good), "");
}

/// What ZipWriter makes of these members.
std::string written(ArrayRef<std::pair<std::string, std::string>> members,
                    size_t alignment, bool wide) {
  std::string file;
  ZipWriter writer(
      [&](ArrayRef<std::byte> bytes) {
        file += textOf(bytes);
        return Error::success();
      },
      alignment, wide);
  for (const auto &[name, content] : members) {
    StringRef text = content;
    EXPECT_OK(writer.add(name, {bytesOf(text.take_front(text.size() / 2)),
                                bytesOf(text.drop_front(text.size() / 2))}));
  }
  EXPECT_OK(writer.finish());
  return file;
}

RC_GTEST_PROP(Zip, WhatIsWrittenIsRead, (bool wide)) {
  auto contents = *rc::gen::arbitrary<std::vector<std::string>>();
  std::vector<std::pair<std::string, std::string>> members;
  for (auto [i, content] : enumerate(contents))
    members.emplace_back(std::string(i % 70, 'n') + std::to_string(i), content);
  size_t alignment = *rc::gen::element<size_t>(1, 16, 64, 4096);
  std::string bytes = written(members, alignment, wide);
  auto read = cantFail(readZipDirectory(bytesOf(bytes)));
  RC_ASSERT(read.size() == members.size());
  for (auto [member, expected] : zip_equal(read, members)) {
    RC_ASSERT(member.name == expected.first);
    RC_ASSERT(textOf(member.stored) == expected.second);
    RC_ASSERT(zipChecksum(member.stored) == member.crc);
    auto place =
        reinterpret_cast<const char *>(member.stored.data()) - bytes.data();
    RC_ASSERT(place % alignment == 0);
  }
}

RC_GTEST_PROP(Zip, StreamedMembersAreTheSameFile, (bool wide)) {
  auto contents = *rc::gen::arbitrary<std::vector<std::string>>();
  std::vector<std::pair<std::string, std::string>> members;
  for (auto [i, content] : enumerate(contents))
    members.emplace_back(std::to_string(i), content);
  std::string file;
  ZipWriter writer(
      [&](ArrayRef<std::byte> bytes) {
        file += textOf(bytes);
        return Error::success();
      },
      64, wide);
  size_t piece = *rc::gen::inRange<size_t>(1, 9);
  for (const auto &[name, content] : members)
    RC_ASSERT(messageOf(writer.stream(
                  name, content.size(),
                  [&](ZipWriter::Piece take) -> Error {
                    for (StringRef rest = content; !rest.empty();
                         rest = rest.drop_front(std::min(piece, rest.size())))
                      if (Error error = take(bytesOf(rest.take_front(piece))))
                        return error;
                    return Error::success();
                  },
                  [&](uint64_t position, ArrayRef<std::byte> bytes) {
                    file.replace(position, bytes.size(), textOf(bytes));
                    return Error::success();
                  })) == "");
  RC_ASSERT(messageOf(writer.finish()) == "");
  RC_ASSERT(file == written(members, 64, wide));
}

TEST(Zip, WideFieldsHaveToBeThereAndAgree) {
  std::string good = written({{"a", "x"}}, 1, /*wide=*/true);
  EXPECT_EQ(read(good), "");
  size_t end64 = good.size() - 22 - 20 - 56;
  auto refuse = [&](size_t place, const std::string &bytes,
                    const char *message) {
    std::string bad = good;
    bad.replace(place, bytes.size(), bytes);
    EXPECT_PRED2(contains, read(bad), message) << place;
  };
  refuse(end64 + 4, little<uint64_t>(45), "wrong size");
  refuse(end64 + 24, little<uint64_t>(7), "split archive");
  refuse(end64 + 32, little<uint64_t>(7), "split archive");
  refuse(end64 + 24, little<uint64_t>(7) + little<uint64_t>(7), "too small");
  refuse(end64 + 40, little<uint64_t>(0), "not where the end record says");
  refuse(end64 + 48, little<uint64_t>(UINT64_MAX),
         "not where the end record says");
  refuse(end64 + 56 + 8, little<uint64_t>(0), "zip64 end record is not");
  refuse(end64 + 56 + 8, little<uint64_t>(UINT64_MAX),
         "zip64 end record is not");
  refuse(end64 + 56 + 16, little<uint32_t>(2), "split archive");
  // The short count of members is used and differs.
  refuse(good.size() - 22 + 8, little<uint16_t>(3) + little<uint16_t>(3),
         "disagree");
  // The header's zip64 field gets another name, then another value.
  refuse(30 + 1, little<uint16_t>(2), "zip64 field is missing");
  refuse(30 + 1 + 4, little<uint64_t>(2), "another size or checksum");
  refuse(30 + 1 + 2, little<uint16_t>(8), "zip64 field is too short");
  refuse(30 + 1 + 2, little<uint16_t>(0x4000), "runs past its end");
}

TEST(Zip, TheWriterRefusesBadNames) {
  ZipWriter writer([](ArrayRef<std::byte>) { return Error::success(); }, 64);
  EXPECT_OK(writer.add("a", {}));
  EXPECT_ERROR(writer.add("a", {}), "taken");
  EXPECT_ERROR(writer.add("../a", {}), "'..'");
  EXPECT_ERROR(writer.add(std::string(70000, 'a'), {}), "too long");
}

TEST(Zip, TheWriterPassesErrorsOn) {
  size_t room = 0;
  auto sink = [&](ArrayRef<std::byte> bytes) -> Error {
    if (bytes.size() > room)
      return createStringError("full");
    room -= bytes.size();
    return Error::success();
  };
  EXPECT_ERROR(ZipWriter(sink, 1).add("a", {bytesOf("x")}), "full");
  room = 40; // the header fits, the content does not
  EXPECT_ERROR(ZipWriter(sink, 1).add("a", {bytesOf("1234567")}), "full");
  EXPECT_ERROR(ZipWriter(sink, 1).finish(), "full");
}

/// No flipped byte or cut makes the reader leave the file.
RC_GTEST_PROP(Zip, MutatedFilesAreSafe, (bool wide)) {
  std::string bytes =
      written({{"a", "content"}, {"b/c", ""}, {"d", "x"}}, 8, wide);
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] =
        *rc::gen::element<char>(0, 1, 0x40, 0x7f, -1, -128);
  std::shared_ptr<char[]> block(new char[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), block.get());
  ArrayRef<std::byte> file = bytesOf(StringRef(block.get(), bytes.size()));
  Expected<std::vector<ZipMember>> members = readZipDirectory(file);
  if (!members)
    return consumeError(members.takeError());
  for (const ZipMember &member : *members) {
    RC_ASSERT(member.stored.data() >= file.data());
    RC_ASSERT(member.stored.size() <= file.size());
    zipChecksum(member.stored);
  }
}

} // namespace
