//===- JsonTest.cpp - Checks on untrusted JSON ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Program/Support.h"

#include "weir/Support/JsonLines.h"
#include "weir/Support/Shell.h"

#include <rapidcheck/gtest.h>

#include <cmath>

#include <malloc.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

std::string nested(unsigned depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonLines, ErrorsNameTheColumnOnly) {
  EXPECT_OK(parseJSONLine(R"({"text": "a"})"));
  for (const char *bad : {"{\"text\": }", "{\"a\": 1} 2", ""}) {
    auto value = parseJSONLine(bad);
    ASSERT_FALSE(static_cast<bool>(value));
    std::string message = toString(value.takeError());
    EXPECT_EQ(message.rfind("column ", 0), 0u) << message;
  }
}

TEST(Json, SyntaxErrorsStandAtTheCharacter) {
  const std::pair<std::string, std::string> places[] = {
      // The character that is wrong.
      {"{\"a\": }", "line 1, column 7: Invalid JSON value"},
      {"[1 x]", "line 1, column 4: Expected , or ]"},
      {"[1 x", "line 1, column 4: Expected , or ]"},
      {"{\n1: 2}", "line 2, column 1: Expected object key"},
      {"{\"a\" 1}", "line 1, column 6: Expected : after object key"},
      {"[nil]", "line 1, column 3: Invalid JSON value (null?)"},
      {"[\"a\nb\"]", "line 1, column 4: Control character in string"},
      {"[\"\\x\"]", "line 1, column 4: Invalid escape sequence"},
      {"[\"\xff\"]", "line 1, column 3: Invalid UTF-8 sequence"},
      // What is too much.
      {"{} 2", "line 1, column 4: Text after end of document"},
      // The end, where something is missing.
      {"", "line 1, column 1: Unexpected EOF"},
      {"[1", "line 1, column 3: Expected , or ]"},
      {"[1,\n", "line 2, column 1: Unexpected EOF"},
      {"[\"ab", "line 1, column 5: Unterminated string"},
      // Columns are those of the text as it is written.
      {R"(["\ud83d\ude00", ])", "line 1, column 18: Invalid JSON value"},
  };
  for (const auto &[text, place] : places) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(parseJSON(text), place);
  }
  EXPECT_ERROR(parseJSONLine("{\"text\": }"), "column 10: ");
}

TEST(Shell, WordsAreWhatAShellTakesThemFor) {
  EXPECT_EQ(shellWord("a/b-c_1.yaml"), "a/b-c_1.yaml");
  EXPECT_EQ(shellWord(""), "''");
  EXPECT_EQ(shellWord("a b"), "'a b'");
  EXPECT_EQ(shellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(shellWord("$(x)"), "'$(x)'");
}

TEST(Json, DepthIsBounded) {
  EXPECT_OK(checkJSONDepth(nested(256)));
  EXPECT_ERROR(checkJSONDepth(nested(257)), "nested deeper than 256");
  EXPECT_OK(checkJSONDepth(nested(3), 3));
  EXPECT_ERROR(checkJSONDepth(nested(4), 3), "deeper than 3");
  // No stack is needed for this, and none for a million.
  EXPECT_ERROR(parseJSON(std::string(1000000, '[')), "nested deeper");
  EXPECT_ERROR(parseJSON(std::string(1000000, '{')), "nested deeper");
}

TEST(Json, BracketsInStringsDoNotCount) {
  EXPECT_OK(checkJSONDepth(R"(["[[[[[[\"[[[[", "]"])", 1));
  EXPECT_OK(checkJSONDepth("[],[],[]", 1));
}

TEST(Json, KeysAreUniqueInEachObject) {
  EXPECT_OK(parseJSON(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})"));
  EXPECT_ERROR(parseJSON(R"({"a": 1, "b": 2, "a": 3})"), "'a' twice");
  EXPECT_ERROR(parseJSON(R"([{"x": {"k": 1 , "k" : 1}}])"), "'k' twice");
  EXPECT_ERROR(parseJSON(R"({"a": 1, "\u0061": 2})"), "'a' twice");
  EXPECT_OK(parseJSON(R"({"a": "a", "b": ["a", "a", ":"], "\"a": 1})"));
}

/// The string that a JSON text of one string stands for.
std::string decoded(StringRef text) {
  Expected<json::Value> value = parseJSON(text);
  return value ? value->getAsString()->str() : messageOf(std::move(value));
}

TEST(Json, EscapedCharactersOfEveryPlane) {
  EXPECT_EQ(decoded(R"("\u00e9 \u20AC")"), "\xc3\xa9 \xe2\x82\xac");
  EXPECT_EQ(decoded(R"("a\ud83d\ude00b")"), "a\xf0\x9f\x98\x80"
                                            "b");
  EXPECT_EQ(decoded(R"("\uD840\uDC00")"), "\xf0\xa0\x80\x80"); // U+20000
  EXPECT_EQ(decoded(R"("\udbff\udfff")"), "\xf4\x8f\xbf\xbf"); // U+10FFFF
  // An escaped backslash starts no character.
  EXPECT_EQ(decoded(R"("\\ud840\\udc00")"), "\\ud840\\udc00");
  // One half alone becomes the replacement character, as LLVM does it.
  EXPECT_EQ(decoded(R"("\ud840x")"), "\xef\xbf\xbdx");
  EXPECT_ERROR(parseJSON("{\"\xf0\xa0\x80\x80\": 1, \"\\ud840\\udc00\": 2}"),
               "twice");
}

TEST(Json, NumbersAreFinite) {
  EXPECT_ERROR(parseJSON("1e400"), "range of a double");
  EXPECT_ERROR(parseJSON(R"({"a": [0, {"b": -1e400}]})"), "range of a double");
  EXPECT_ERROR(parseJSON("[1.5E+400]"), "range of a double");
  EXPECT_ERROR(parseJSON("[-" + std::string(310, '9') + "]"),
               "range of a double");
  EXPECT_ERROR(parseJSON("[" + std::string(310, '9') + ".5]"),
               "range of a double");
  EXPECT_TRUE(
      static_cast<bool>(parseJSON(R"({"1e400": ["2e400", 1.5e300]})")));
  EXPECT_OK(parseJSON("[1e308, 1e-400, 123456789012345678901234567890]"));
}

/// Bytes that the allocator has given out.
size_t allocated() {
  struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string repeated(StringRef text, size_t count) {
  std::string all = "[";
  for (size_t i = 0; i < count; ++i)
    all += (i ? "," : "") + text.str();
  return all + "]";
}

// What is built stays below the estimate, and the estimate is no more than a few
// times of it.
TEST(Json, MemoryIsEstimated) {
  std::string keys = "{";
  for (int i = 0; i < 50000; ++i)
    keys += (i ? ",\"" : "\"") + std::to_string(i) + "\":" + std::to_string(i);
  for (const std::string &text :
       {repeated(R"({"":0})", 5000), repeated("[[0]]", 50000),
        repeated(R"({"a":{"b":{"c":[]}}})", 2000), keys + "}",
        repeated("1", 300000), repeated(R"("0123456789abcdef0123")", 50000),
        repeated(R"({"as_tensor": {"name": "linear_1"}, "kind": 1})", 2000)}) {
    size_t before = allocated();
    json::Value value = cantFail(parseJSON(text));
    size_t taken = allocated() - before;
    EXPECT_LE(taken, estimateJSONMemory(text)) << text.substr(0, 40);
    EXPECT_GE(taken * 3, estimateJSONMemory(text)) << text.substr(0, 40);
  }
  EXPECT_EQ(estimateJSONMemory("[{},[]]]]]\"\\"),
            estimateJSONMemory("[{},[]]"));
}

// A text of a few megabytes would take gigabytes: an object has room for 48
// keys. It is refused before anything is built.
TEST(Json, MemoryIsBounded) {
  std::string small = repeated(R"({"":0})", 1000000);
  size_t before = allocated();
  EXPECT_ERROR(parseJSON(small), "JSON of 7000001 bytes would take about");
  EXPECT_ERROR(parseJSON(small, {.memory = uint64_t(64) << 30}), "MiB of memory");
  EXPECT_LT(allocated() - before, size_t(64) << 20);
  EXPECT_ERROR(parseJSON(repeated("1", 300000), {.memory = 1 << 20}),
               "more than the 1 that are accepted here");
  // Half a million merges are what tokenizers have.
  EXPECT_OK(parseJSON(repeated(R"(["ab","cd"])", 520000)));
}

TEST(Json, BadTextIsRefused) {
  for (const char *text : {"", "{", "]", "{]", "{\"a\"}", "[1,]", "\"\\u12\"",
                           "{\"a\": 1} 2", "\"\xff\"", "NaN"})
    EXPECT_NE(messageOf(parseJSON(text)), "") << text;
}

TEST(Json, PrintingKeepsNumbers) {
  json::Value value = cantFail(parseJSON(
      R"({"b": [-0.0, 0, 1e-05, 0.1, 9223372036854775807, 1e300],
          "a": {"text": "\u00e9\"", "none": null, "yes": true}})"));
  std::string text = printJSON(*value.getAsObject());
  EXPECT_EQ(text.find("{\"a\":"), 0u); // sorted
  json::Value again = cantFail(parseJSON(text));
  EXPECT_EQ(again, value);
  const json::Array &numbers = *again.getAsObject()->getArray("b");
  EXPECT_TRUE(std::signbit(*numbers[0].getAsNumber()));
  EXPECT_FALSE(std::signbit(*numbers[1].getAsNumber()));
  EXPECT_EQ(numbers[4].getAsInteger(), INT64_MAX);
}

/// Every finite double survives printing and parsing, bit for bit.
RC_GTEST_PROP(Json, DoublesSurvive, (uint64_t bits)) {
  double number = bit_cast<double>(bits);
  RC_PRE(std::isfinite(number));
  json::Object object{{"x", number}};
  json::Value again = cantFail(parseJSON(printJSON(object)));
  RC_ASSERT(bit_cast<uint64_t>(*again.getAsObject()->getNumber("x")) == bits);
}

/// The checks come before the parser and see text that is no JSON.
RC_GTEST_PROP(Json, AnyTextIsSafe, (std::string text)) {
  consumeError(checkJSONDepth(text));
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    consumeError(value.takeError());
}

RC_GTEST_PROP(Json, AnyTextOfJSONsCharactersIsSafe, ()) {
  std::string text = *rc::gen::container<std::string>(
      rc::gen::elementOf(std::string("{}[]\"\\:,01au ")));
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    consumeError(value.takeError());
}

} // namespace
