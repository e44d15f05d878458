//===- TextScoresTest.cpp - Numbers about a generated text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/TextScores.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace weir;
using testing::HasSubstr;

namespace {

TEST(TextScores, DistinctNGrams) {
  const std::vector<int64_t> tokens = {1, 2, 1, 2, 1};
  EXPECT_DOUBLE_EQ(distinctNGrams(tokens, 1), 2.0 / 5);
  EXPECT_DOUBLE_EQ(distinctNGrams(tokens, 2), 2.0 / 4);
  EXPECT_DOUBLE_EQ(distinctNGrams(tokens, 3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(distinctNGrams(tokens, 5), 1);
  EXPECT_TRUE(std::isnan(distinctNGrams(tokens, 6)));
  EXPECT_TRUE(std::isnan(distinctNGrams({}, 1)));
}

TEST(TextScores, Repetition) {
  EXPECT_DOUBLE_EQ(repetition({1, 2, 3}), 0);
  EXPECT_DOUBLE_EQ(repetition({1, 2, 3, 4, 5, 6}), 0);
  // 1234 2341 3412 4123 1234
  EXPECT_DOUBLE_EQ(repetition({1, 2, 3, 4, 1, 2, 3, 4}), 1.0 / 5);
  EXPECT_DOUBLE_EQ(repetition(std::vector<int64_t>(11, 7)), 7.0 / 8);
}

double scoreOf(const llvm::Expected<std::unique_ptr<TextScore>> &score,
               llvm::StringRef text) {
  auto value = (*score)->of(text);
  return value ? *value : (llvm::consumeError(value.takeError()), NAN);
}

TEST(TextScores, Words) {
  auto score = TextScore::words({"war", "Straße", "don't"});
  ASSERT_TRUE(static_cast<bool>(score)) << llvm::toString(score.takeError());
  EXPECT_DOUBLE_EQ(scoreOf(score, "War, war! A warm swarm; prewar."), 2.0 / 6);
  EXPECT_DOUBLE_EQ(scoreOf(score, "STRASSE straße STRAßE"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(scoreOf(score, "I don't"), 1.0 / 2);
  EXPECT_DOUBLE_EQ(scoreOf(score, ""), 0);
  EXPECT_DOUBLE_EQ(scoreOf(score, " … "), 0);
}

TEST(TextScores, WordsThatAreNone) {
  for (const char *word : {"", "two words", "a.b", "(", "a|b"}) {
    auto score = TextScore::words({"fine", word});
    ASSERT_FALSE(static_cast<bool>(score)) << word;
    EXPECT_THAT(llvm::toString(score.takeError()), HasSubstr("is not one word"));
  }
  auto none = TextScore::words({});
  ASSERT_FALSE(static_cast<bool>(none));
  llvm::consumeError(none.takeError());
}

TEST(TextScores, Regex) {
  auto score = TextScore::regex("\\bwar(s)?\\b");
  ASSERT_TRUE(static_cast<bool>(score));
  EXPECT_DOUBLE_EQ(scoreOf(score, "of wars"), 1);
  EXPECT_DOUBLE_EQ(scoreOf(score, "of swarms"), 0);
  auto wrong = TextScore::regex("a(b");
  ASSERT_FALSE(static_cast<bool>(wrong));
  EXPECT_THAT(llvm::toString(wrong.takeError()), HasSubstr("pattern 'a(b'"));
}

TEST(TextScores, ASearchWithoutEndIsAnError) {
  auto score = TextScore::regex("(a|aa)+$");
  ASSERT_TRUE(static_cast<bool>(score));
  auto value = (*score)->of(std::string(200, 'a') + "b");
  if (value) // decided within PCRE2's limits
    EXPECT_DOUBLE_EQ(*value, 0);
  else
    EXPECT_THAT(llvm::toString(value.takeError()), HasSubstr("searching a text"));
}

} // namespace
