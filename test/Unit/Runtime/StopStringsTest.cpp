//===- StopStringsTest.cpp - Texts that end a generated one ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/StopStrings.h"

#include "Expect.h"

#include <rapidcheck/gtest.h>

using namespace weir;
using namespace weir::test;

namespace {

StopStrings stops(std::vector<std::string> texts) {
  return valueOf(StopStrings::make(std::move(texts)));
}

TEST(StopStrings, TheFirstInTheTextCounts) {
  StopStrings two = stops({"end", "\n\n"});
  EXPECT_EQ(two.find("no e nd\n"), llvm::StringRef::npos);
  EXPECT_EQ(two.find("a\n\nend"), 1u);
  EXPECT_EQ(two.before("an end\n\n"), "an ");
  EXPECT_EQ(two.before("none"), "none");
  EXPECT_TRUE(StopStrings().empty());
  EXPECT_EQ(StopStrings().before("all"), "all");
  EXPECT_ERROR(StopStrings::make({"a", ""}), "at least one character");
}

TEST(StopStrings, WhatMayBecomeOneIsUndecided) {
  EXPECT_EQ(stops({"abab"}).undecided("xaba"), 3u);
  EXPECT_EQ(stops({"abab"}).undecided("xabb"), 0u);
  EXPECT_EQ(stops({"bc", "abc"}).undecided("ab"), 2u);
  EXPECT_EQ(stops({"a"}).undecided("xa"), 0u);
  EXPECT_EQ(StopStrings().undecided("xa"), 0u);
}

/// Text that comes in pieces shows the same as all at once.
RC_GTEST_PROP(StopStrings, PiecesShowWhatTheWholeDoes, ()) {
  auto word = [](int most) {
    return rc::gen::apply(
        [](std::string text) { return text.empty() ? std::string("a") : text; },
        rc::gen::resize(most, rc::gen::container<std::string>(
                                  rc::gen::elementOf(std::string("abc")))));
  };
  StopStrings some = stops(*rc::gen::container<std::vector<std::string>>(2, word(4)));
  std::string text = *word(30);
  std::string shown;
  for (size_t size = 1; size <= text.size(); ++size) {
    llvm::StringRef part = some.before(llvm::StringRef(text).take_front(size));
    bool stopped = part.size() < size;
    if (!stopped)
      part = part.drop_back(some.undecided(part));
    RC_ASSERT(part.starts_with(shown));
    shown = part.str();
    if (stopped)
      break;
  }
  if (some.find(text) == llvm::StringRef::npos)
    shown = text;
  RC_ASSERT(shown == some.before(text).str());
}

} // namespace
