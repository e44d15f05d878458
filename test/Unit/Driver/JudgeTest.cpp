//===- JudgeTest.cpp - Commands that rate texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Judge.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <chrono>

using namespace weir;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::vector<llvm::json::Object> questions(size_t count) {
  std::vector<llvm::json::Object> result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(llvm::json::Object{{"kind", "text"}, {"text", "ab"}});
  return result;
}

std::string errorOf(const std::string &command, double seconds = 20,
                    size_t count = 2) {
  auto scores = Judge(command, seconds).scores(questions(count));
  EXPECT_FALSE(static_cast<bool>(scores)) << command;
  return scores ? "" : llvm::toString(scores.takeError());
}

TEST(Judge, AnswersBelongToQuestionsByTheirIds) {
  auto scores =
      Judge("cat >/dev/null; echo '{\"id\": 1, \"score\": 0.25}'; echo; "
            "echo '{\"id\": 0, \"score\": 1, \"why\": \"…\"}'",
            20)
          .scores(questions(2));
  ASSERT_TRUE(static_cast<bool>(scores)) << llvm::toString(scores.takeError());
  EXPECT_THAT(*scores, ElementsAre(1.0, 0.25));
  auto verdicts =
      Judge("sed 's/.*\"id\":\\([0-9]*\\).*/{\"id\": \\1, \"verdict\": "
            "\"MAYBE\"}/'",
            20)
          .verdicts(questions(3));
  ASSERT_TRUE(static_cast<bool>(verdicts))
      << llvm::toString(verdicts.takeError());
  EXPECT_THAT(*verdicts, ElementsAre("MAYBE", "MAYBE", "MAYBE"));
}

TEST(Judge, IsNotAskedNothing) {
  auto scores = Judge("exit 1", 20).scores({});
  ASSERT_TRUE(static_cast<bool>(scores));
  EXPECT_TRUE(scores->empty());
}

TEST(Judge, FailuresAreErrors) {
  EXPECT_THAT(errorOf("exit 3"), HasSubstr("ended with exit code 3"));
  EXPECT_THAT(errorOf("kill -9 $$"), HasSubstr("ended by signal 9"));
  EXPECT_THAT(errorOf("/not/there/at/all 2>/dev/null"),
              HasSubstr("exit code 127"));
  EXPECT_THAT(errorOf("true"),
              HasSubstr("left 2 of 2 questions without an answer"));
  EXPECT_THAT(errorOf("echo '{\"id\": 1, \"score\": 0}'"),
              HasSubstr("left 1 of 2 questions without an answer, the first is "
                        "the one with id 0"));
}

TEST(Judge, NonsenseIsShown) {
  const std::pair<const char *, const char *> cases[] = {
      {"what?", "line 1 of the judge's answers is not JSON: what?"},
      {"[0, 1]", "is no object with an integer \"id\": [0, 1]"},
      {"{\"id\": \"0\", \"score\": 1}", "is no object with an integer"},
      {"{\"id\": 2, \"score\": 1}", "has an id outside of 0..1"},
      {"{\"id\": -1, \"score\": 1}", "has an id outside of 0..1"},
      {"{\"id\": 0}", "has no \"score\" from 0 to 1"},
      {"{\"id\": 0, \"score\": 1.5}", "has no \"score\" from 0 to 1"},
      {"{\"id\": 0, \"score\": \"good\"}", "has no \"score\" from 0 to 1"},
      {"{\"id\": 0, \"score\": NaN}", "is not JSON"},
      {"{\"id\": 0, \"score\": 1}\n{\"id\": 0, \"score\": 1}",
       "line 2 of the judge's answers answers a question a second time"}};
  for (auto [answer, message] : cases)
    EXPECT_THAT(errorOf("cat <<'END'\n" + std::string(answer) + "\nEND"),
                HasSubstr(message));
  auto verdicts = Judge("echo '{\"id\": 0, \"verdict\": \"same\"}'", 20)
                      .verdicts(questions(1));
  ASSERT_FALSE(static_cast<bool>(verdicts));
  EXPECT_THAT(llvm::toString(verdicts.takeError()),
              HasSubstr("has no \"verdict\" SAME, MAYBE or DIFFERENT"));
}

TEST(Judge, HasATimeLimitAndEndsWithAllThatItStarted) {
  const auto start = std::chrono::steady_clock::now();
  // The shell's child would hold the answers open.
  EXPECT_THAT(errorOf("sleep 60 & sleep 60; true", 0.3),
              HasSubstr("the judge took longer than 0.3 s"));
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 20);
}

TEST(Judge, MayNotFillTheDisk) {
  EXPECT_THAT(errorOf("exec cat /dev/zero", 60),
              HasSubstr("the judge wrote more than 64 MiB"));
}

} // namespace
