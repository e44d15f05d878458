//===- Utf8Test.cpp - Code points of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Expect.h"
#include "Text/Utf8.h"

#include <rapidcheck/gtest.h>

using namespace weir;

namespace {

TEST(Utf8, AcceptsWhatTheStandardDoes) {
  EXPECT_TRUE(isUtf8(""));
  EXPECT_TRUE(isUtf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  EXPECT_TRUE(isUtf8("\xF4\x8F\xBF\xBF"));
  for (const char *bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF",
                          "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
                          "a\xC3", "\xE2\x82", "\xF0\x9F\x98"})
    EXPECT_FALSE(isUtf8(bad)) << bad;
}

RC_GTEST_PROP(Utf8, EncodingAndDecodingAgree, ()) {
  auto codePoint = *rc::gen::suchThat(rc::gen::inRange<uint32_t>(0, 0x110000),
                                      [](uint32_t c) {
                                        return c < 0xD800 || c >= 0xE000;
                                      });
  std::string text;
  appendUtf8(text, codePoint);
  Character character = firstCharacter(text + "x");
  RC_ASSERT(character.valid);
  RC_ASSERT(character.codePoint == codePoint);
  RC_ASSERT(character.length == text.size());
}

TEST(Utf8, HoldsBackAnIncompleteCharacter) {
  std::string pending = "a\xF0\x9F";
  EXPECT_EQ(takeText(pending, false), "a");
  EXPECT_EQ(pending, "\xF0\x9F");
  EXPECT_EQ(takeText(pending, false), "");
  pending += "\x98\x80z";
  EXPECT_EQ(takeText(pending, false), "\xF0\x9F\x98\x80z");
  EXPECT_EQ(pending, "");
}

TEST(Utf8, ReplacesWhatCanNoLongerBecomeACharacter) {
  // One U+FFFD for each maximal subpart, as the Unicode standard recommends.
  std::string pending = "\xF0\x9F" "a\x80\xE2\x82";
  EXPECT_EQ(takeText(pending, false), "\xEF\xBF\xBD" "a\xEF\xBF\xBD");
  EXPECT_EQ(takeText(pending, true), "\xEF\xBF\xBD");
  EXPECT_EQ(pending, "");
}

RC_GTEST_PROP(Utf8, AnyBytesBecomeText, ()) {
  auto bytes = *rc::gen::arbitrary<std::string>();
  std::string all = bytes, parts, pending;
  std::string whole = takeText(all, true);
  RC_ASSERT(isUtf8(whole));
  RC_ASSERT(all.empty());
  for (char byte : bytes) {
    pending += byte;
    parts += takeText(pending, false);
    RC_ASSERT(pending.size() < 4u);
  }
  RC_ASSERT(parts + takeText(pending, true) == whole);
  if (isUtf8(bytes))
    RC_ASSERT(whole == bytes);
}

} // namespace
