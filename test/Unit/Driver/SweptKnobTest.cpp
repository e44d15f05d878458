//===- SweptKnobTest.cpp - Options of weirc sweep, means over windows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/SweepJob.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace weir;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

TEST(SweptKnob, IsSweptOrSet) {
  auto swept = SweptKnob::parse("faith=-1:1:5");
  ASSERT_TRUE(static_cast<bool>(swept));
  EXPECT_EQ(swept->name, "faith");
  EXPECT_TRUE(swept->isSwept);
  EXPECT_THAT(swept->values, ElementsAre(-1, -0.5, 0, 0.5, 1));
  auto one = SweptKnob::parse("a=3:9:1");
  ASSERT_TRUE(static_cast<bool>(one));
  EXPECT_THAT(one->values, ElementsAre(3));
  auto set = SweptKnob::parse("mood=0.25");
  ASSERT_TRUE(static_cast<bool>(set));
  EXPECT_FALSE(set->isSwept);
  EXPECT_THAT(set->values, ElementsAre(0.25));
}

/// What is written into a spec is what was run.
TEST(SweptKnob, ValuesAreThoseOfTheirText) {
  auto swept = SweptKnob::parse("a=0:1:7");
  ASSERT_TRUE(static_cast<bool>(swept));
  for (double value : swept->values) {
    EXPECT_EQ(std::strtod(shortestFloat(value).c_str(), nullptr), value);
    EXPECT_LE(shortestFloat(value).size(), 12u);
  }
  EXPECT_EQ(swept->values[6], 1);
  EXPECT_EQ(shortestFloat(-0.0), "0");
  EXPECT_EQ(shortestFloat(0.1), "0.1");
}

TEST(SweptKnob, WhatIsNone) {
  const std::pair<const char *, const char *> cases[] = {
      {"faith", "is swept by NAME=FIRST:LAST:COUNT"},
      {"=1", "is swept by"},
      {"a=", "is swept by"},
      {"a=1:2", "is swept by"},
      {"a=1:2:3:4", "is swept by"},
      {"a=x:2:3", "'x' is no finite number"},
      {"a=0:nan:3", "'nan' is no finite number"},
      {"a=inf", "'inf' is no finite number"},
      {"a=0:1e39:3", "'1e39' is no finite number"},
      {"a=0:1:0", "'0' is no count"},
      {"a=0:1:2.5", "'2.5' is no count"},
      {"a=0:1:10001", "'10001' is no count"}};
  for (auto [text, message] : cases) {
    auto knob = SweptKnob::parse(text);
    ASSERT_FALSE(static_cast<bool>(knob)) << text;
    EXPECT_THAT(llvm::toString(knob.takeError()), HasSubstr(message)) << text;
  }
}

TEST(MeanOverWindows, OfSumsAndCounts) {
  MeanOverWindows mean = MeanOverWindows::of({6, 0, 10}, {2, 0, 2});
  EXPECT_DOUBLE_EQ(mean.value, 4);
  // Offsets -2 and 2 from the mean, of two windows with a token.
  EXPECT_DOUBLE_EQ(*mean.halfWidth, 1.96 * std::sqrt(8.0 * 2) / 4);
  EXPECT_FALSE(MeanOverWindows::of({6, 0}, {2, 0}).halfWidth.has_value());
  EXPECT_EQ(MeanOverWindows::of({}, {}).value, 0);
}

} // namespace
