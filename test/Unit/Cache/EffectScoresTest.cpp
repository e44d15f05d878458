//===- EffectScoresTest.cpp - Causal scores of edges ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Cache/EffectScores.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <cmath>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

namespace {

EffectKey someKey() {
  return {{"12/res", sha256("a")}, {"11/res", sha256("b")}, sha256("model"),
          sha256("text")};
}

TEST(EffectScores, AreFoundByEdge) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  EffectScores none = llvm::cantFail(EffectScores::load(cache, someKey()));
  EXPECT_TRUE(none.all().empty());
  EXPECT_EQ(none.find(3, 4), nullptr);

  llvm::cantFail(recordEffects(
      cache, someKey(),
      {{7, 1, 0.25, 8}, {3, 4, -0.5, 2}, {3, 9, std::nan(""), 0}}, "a -> b"));
  EffectScores some = llvm::cantFail(EffectScores::load(cache, someKey()));
  ASSERT_EQ(some.all().size(), 3u);
  ASSERT_NE(some.find(3, 4), nullptr);
  EXPECT_EQ(some.find(3, 4)->change, -0.5);
  EXPECT_EQ(some.find(7, 1)->cases, 8);
  EXPECT_EQ(some.find(4, 3), nullptr);
  ASSERT_NE(some.find(3, 9), nullptr);
  EXPECT_FALSE(some.find(3, 9)->isMeasured());
  EXPECT_NE(some.hash(), none.hash());
}

TEST(EffectScores, WhatWasSeenStaysWhenNothingIsSeenElsewhere) {
  for (bool first : {true, false}) {
    TemporaryCache folder;
    ResultCache cache = folder.open();
    for (bool seen : {first, !first})
      llvm::cantFail(recordEffects(
          cache, someKey(),
          {{1, 2, seen ? 0.5 : std::nan(""), seen ? 3 : 0}}, "a -> b"));
    EffectScores scores = llvm::cantFail(EffectScores::load(cache, someKey()));
    ASSERT_EQ(scores.all().size(), 1u);
    EXPECT_EQ(scores.all()[0].cases, 3);
    EXPECT_EQ(scores.all()[0].change, 0.5);
  }
}

TEST(EffectScores, EveryPartOfTheKeyCounts) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(recordEffects(cache, someKey(), {{1, 2, 0.5, 3}}, "a -> b"));
  std::vector<std::string EffectKey::*> whole = {&EffectKey::model,
                                                 &EffectKey::text};
  for (auto part : whole) {
    EffectKey other = someKey();
    other.*part += "x";
    EXPECT_TRUE(llvm::cantFail(EffectScores::load(cache, other)).all().empty());
  }
  for (auto side : {&EffectKey::target, &EffectKey::predecessor})
    for (auto part : {&EffectKey::Side::place, &EffectKey::Side::content}) {
      EffectKey other = someKey();
      other.*side.*part += "x";
      EXPECT_TRUE(
          llvm::cantFail(EffectScores::load(cache, other)).all().empty());
    }
  EffectKey swapped = someKey();
  std::swap(swapped.target, swapped.predecessor);
  EXPECT_TRUE(llvm::cantFail(EffectScores::load(cache, swapped)).all().empty());
}

RC_GTEST_PROP(EffectScores, TheOrderOfMeasuringMakesNoDifference, ()) {
  std::vector<std::vector<EffectScore>> parts(*rc::gen::inRange(1, 5));
  for (auto &part : parts)
    for (int count = *rc::gen::inRange(0, 8); count > 0; --count)
      part.push_back({*rc::gen::inRange(0, 3), *rc::gen::inRange(0, 3),
                      *rc::gen::inRange(-8, 8) / 8.0, *rc::gen::inRange(1, 4)});
  std::string hashes[2];
  for (std::string &hash : hashes) {
    TemporaryCache folder;
    ResultCache cache = folder.open();
    for (const auto &part : parts)
      llvm::cantFail(recordEffects(cache, someKey(), part, "a -> b"));
    EffectScores scores = llvm::cantFail(EffectScores::load(cache, someKey()));
    // Of several scores of an edge, one with the most cases.
    for (const auto &part : parts)
      for (const EffectScore &score : part) {
        const EffectScore *kept = scores.find(score.target, score.predecessor);
        RC_ASSERT(kept && kept->cases >= score.cases);
      }
    hash = scores.hash();
    std::reverse(parts.begin(), parts.end());
  }
  RC_ASSERT(hashes[0] == hashes[1]);
}

TEST(EffectScores, RefusesWhatIsNoScore) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  auto refused = [&](EffectScore score) {
    return messageOf(recordEffects(cache, someKey(), {score}, "a -> b"));
  };
  EXPECT_THAT(refused({-1, 2, 0.5, 3}), HasSubstr("2 -> -1 has a negative"));
  EXPECT_THAT(refused({1, -2, 0.5, 3}), HasSubstr("negative"));
  EXPECT_THAT(refused({1, 2, 0.5, -3}), HasSubstr("negative"));
  EXPECT_THAT(refused({1, 2, std::nan(""), 3}), HasSubstr("after 3 cases"));
  EXPECT_THAT(refused({1, 2, INFINITY, 3}), HasSubstr("after 3 cases"));
  EXPECT_THAT(refused({1, 2, 0.5, 0}), HasSubstr("after 0 cases"));
  EXPECT_TRUE(folder.files().empty());
}

TEST(EffectScores, ADamagedEntryIsNone) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(recordEffects(cache, someKey(), {{1, 2, 0.5, 3}}, "a -> b"));
  std::string path = folder.pathOf(someKey().str());
  std::string bytes = readAll(path);
  bytes.back() ^= 1;
  writeAll(path, bytes);
  std::string warning;
  EffectScores scores = llvm::cantFail(EffectScores::load(
      cache, someKey(), [&](llvm::StringRef text) { warning = text.str(); }));
  EXPECT_TRUE(scores.all().empty());
  EXPECT_THAT(warning, HasSubstr("damaged"));
  EXPECT_FALSE(cache.contains(someKey().str()));

  // An entry of another kind under this name.
  llvm::cantFail(storeSample(cache, someKey().str()));
  scores = llvm::cantFail(EffectScores::load(cache, someKey()));
  EXPECT_TRUE(scores.all().empty());
}

} // namespace
