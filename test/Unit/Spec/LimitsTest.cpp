//===- LimitsTest.cpp - Sizes of specs, and specs made to take long ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <ctime>
#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

namespace {
/// Fails where an import takes longer than any user would wait, in seconds of the
/// processor: what else the machine does is no fault. The specs here would take
/// minutes if their cost grew with the square of their size.
class Timed {
public:
  ~Timed() {
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 20.0);
  }

private:
  std::clock_t start = std::clock();
};

std::string repeated(llvm::StringRef text, size_t bytes) {
  std::string result;
  while (result.size() + text.size() <= bytes)
    result += text;
  return result;
}
} // namespace

TEST(Limits, Bytes) {
  std::string spec = withDictionary("policies: {}\n");
  std::string largest =
      spec + "#" + std::string(maxSpecBytes - spec.size() - 1, 'x');
  EXPECT_TRUE(import(largest).succeeded);
  EXPECT_EQ(import(largest + "x").all(),
            "1:1: error: the spec has 16777217 bytes; at most 16777216 are "
            "read\n");
}

TEST(Limits, Depth) {
  auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse(nested(maxSpecDepth)).messages.empty());
  EXPECT_EQ(
      parse(nested(maxSpecDepth + 1)).messages,
      std::vector<std::string>{"1:33: error: nested more than 32 levels deep"});
  for (const char *piece : {"[", "{", "- ", "? ", "{a: ", "[a: ", "[?"}) {
    Timed timed;
    EXPECT_FALSE(import(repeated(piece, 100000)).succeeded) << piece;
  }
}

TEST(Limits, EntriesOfASection) {
  std::string knobs = "knobs:\n";
  for (size_t i = 0; i < maxEntries; ++i)
    knobs += "  k" + std::to_string(i) + ": {default: 1}\n";
  EXPECT_TRUE(import(withDictionary("policies: {}\n" + knobs)).succeeded);
  EXPECT_EQ(import(withDictionary("policies: {}\n" + knobs +
                                  "  more: {default: 1}\n"))
                .all(),
            "100007:3: error: 'knobs' has more than 100000 entries\n");
}

TEST(Limits, KeysAndValues) {
  Timed timed;
  auto list = [](size_t count) { return "[" + repeated("1,", 2 * count) + "]"; };
  EXPECT_TRUE(parse(list(maxSpecNodes - 1)).messages.empty());
  // The list itself is the last.
  EXPECT_EQ(parse(list(maxSpecNodes)).messages,
            std::vector<std::string>{"1:1: error: the spec has more than "
                                     "2000000 keys and values"});
}

TEST(Limits, ManyPlans) {
  // Each policy in a plan of its own, all features written twice: nothing here
  // may look at every plan for every policy.
  Timed timed;
  std::string text = "policies:\n", plans = "plans:\n";
  for (int i = 0; i < 40000; ++i) {
    std::string name = "p" + std::to_string(i);
    text += "  " + name + ": {on: 9/res/" + std::to_string(i / 2) +
            ", do: ablate}\n";
    plans += "  " + name + ": [" + name + ", all]\n";
  }
  text += "  all: {on: 10/res/1, do: ablate}\n";
  EXPECT_TRUE(import(withDictionary(text + plans)).succeeded);
}

TEST(Limits, SelectedFeatures) {
  Timed timed;
  std::string text = "features:\n  long: [9/res/0";
  for (int i = 1; i < 2000; ++i)
    text += ", 9/res/" + std::to_string(i);
  text += "]\npolicies:\n";
  std::string plans = "plans:\n";
  for (int i = 0; i < 600; ++i) {
    std::string name = "p" + std::to_string(i);
    text += "  " + name + ": {on: {features: long}, do: ablate}\n";
    plans += "  " + name + ": [" + name + "]\n";
  }
  Imported result = import(withDictionary(text + plans));
  EXPECT_FALSE(result.succeeded);
  EXPECT_EQ(result.messages.back().text,
            "the policies name more than 1000000 features together");
}

TEST(Limits, ComparedFeatures) {
  Timed timed;
  auto spec = [](size_t count) {
    std::string text = "policies:\n  p:\n    on: 10/res/1\n    do: ablate\n"
                       "    when:\n      any:\n";
    for (size_t i = 0; i < count; ++i)
      text += "        - {feature: 9/res/" + std::to_string(i) + ", above: 1}\n";
    return withDictionary(text);
  };
  EXPECT_TRUE(import(spec(maxCompared)).succeeded);
  // One error, at the first that is too many.
  for (size_t count : {maxCompared + 1, maxCompared + 20000})
    EXPECT_EQ(import(spec(count)).all(),
              "100011:12: error: the conditions compare more than 100000 "
              "features together\n");
}

TEST(Limits, LongListsInManyPlans) {
  Timed timed;
  // 400 policies that all write 2,000 features, each in a plan of its own.
  std::string text = "features:\n  long: [9/res/0";
  for (int i = 1; i < 2000; ++i)
    text += ", 9/res/" + std::to_string(i);
  text += "]\npolicies:\n";
  std::string plans = "plans:\n";
  for (int i = 0; i < 400; ++i) {
    std::string name = "p" + std::to_string(i);
    text += "  " + name + ": {on: {features: long}, do: ablate}\n";
    plans += "  " + name + ": [" + name + "]\n";
  }
  EXPECT_TRUE(import(withDictionary(text + plans)).succeeded);
  // Two of them in one plan are one error, not 2,000.
  Imported conflict = import(withDictionary(text + plans + "  x: [p1, p2]\n"));
  EXPECT_EQ(conflict.messages.size(), 3u);
}

TEST(Limits, HostileRepetition) {
  // Each of these is a megabyte, wrong in many places, or both.
  for (const char *piece : {"a: 1\n",    "- \n",      "-\n",
                            "[],",       "~ ,",       "? \n: \n",
                            "'a' ",      "\"",        "'",
                            "*a ",       "&a ",       "!a ",
                            "%a\n",      "---\n",     "...\n",
                            "|\n",       "> x\n",     "#\n",
                            "\t",        " ",         "\n",
                            "\r\n",      ": ",        ",",
                            "}",         "]",         "<<: {}\n",
                            "a",         "1",         "\xC3\xA4",
                            "- - - a\n", "{a: {b: [", "x: &x\n- *x\n"}) {
    Timed timed;
    std::string text = repeated(piece, (1u << 20) - 64);
    EXPECT_FALSE(import(text).succeeded) << piece;
    EXPECT_FALSE(import("weir: 1\nfeatures: {a: [" + text + "]}").succeeded)
        << piece;
    EXPECT_FALSE(import("weir: 1\npolicies:\n" + text).succeeded) << piece;
  }
}

TEST(Limits, LongWords) {
  Timed timed;
  std::string word(500000, 'a'), digits(500000, '9');
  for (const std::string &value :
       {word, digits, "9/res/" + digits, word + ":9/res/3", digits + "/res/3",
        "9/" + word + "/3", repeated("a/", 500000), repeated(":", 500000)})
    EXPECT_FALSE(import(withDictionary("policies: {p: {on: \"" + value +
                                       "\", do: set, value: 1, times: x}}"))
                     .succeeded);
  EXPECT_FALSE(import(withDictionary("policies: {p: {on: 9/res/1, do: set, "
                                     "value: 0." +
                                     digits + "}}"))
                   .succeeded);
  EXPECT_FALSE(
      import(withDictionary("policies: {" + word + ": {}}")).succeeded);
  EXPECT_FALSE(import(word + ": 1").succeeded);
}
