//===- RequestsTest.cpp - What the rows of a batch ask for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Requests.h"

#include "Expect.h"

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

TEST(Requests, PromptsByLine) {
  std::vector<Request> rows = parsePromptLines("one\r\n\n  two  \nthree");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].prompt, "one");
  EXPECT_EQ(rows[1].prompt, "  two  ");
  EXPECT_EQ(rows[2].prompt, "three");
  EXPECT_TRUE(parsePromptLines("\n\n").empty());
}

// Windows' editors begin a file with one. Elsewhere it is a character.
TEST(Requests, ByteOrderMark) {
  EXPECT_EQ(parsePromptLines("\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo")[0].prompt,
            "one");
  EXPECT_EQ(parsePromptLines("one\n\xEF\xBB\xBFtwo")[1].prompt,
            "\xEF\xBB\xBFtwo");
  EXPECT_TRUE(parsePromptLines("\xEF\xBB\xBF\n").empty());
  EXPECT_EQ(valueOf(parseRequests("\xEF\xBB\xBF{\"prompt\": \"a\"}"))[0].prompt,
            "a");
}

TEST(Requests, RowsKnowTheirLines) {
  std::vector<Request> prompts = parsePromptLines("one\n\n \ntwo\n");
  EXPECT_EQ(prompts[0].line, 1u);
  EXPECT_EQ(prompts[1].line, 4u);
  auto rows = valueOf(parseRequests("\n{\"prompt\": \"a\"}\n"));
  EXPECT_EQ(rows[0].line, 2u);
}

TEST(Requests, JsonLines) {
  auto rows = valueOf(parseRequests(
      R"({"prompt": "a\nb \ud840\udc00", "plan": "p", "knobs": {"y": 2, "x": 0.5}, "seed": 18446744073709551615})"
      "\n\n"
      R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "temperature": 0.5, "top_p": 0.9})"
      "\n"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].prompt, "a\nb \xF0\xA0\x80\x80");
  EXPECT_EQ(rows[0].plan, "p");
  ASSERT_EQ(rows[0].knobs.size(), 2u);
  EXPECT_EQ(rows[0].knobs[0], std::make_pair(std::string("x"), 0.5));
  EXPECT_EQ(rows[0].seed, 18446744073709551615u);
  EXPECT_FALSE(rows[0].temperature.has_value());
  EXPECT_EQ(rows[1].messages,
            R"([{"role":"system","content":"s"},{"role":"user","content":"u"}])");
  EXPECT_EQ(rows[1].temperature, 0.5);
  EXPECT_EQ(rows[1].topP, 0.9);
}

TEST(Requests, SamplingByRow) {
  auto rows = valueOf(parseRequests(
      R"({"prompt": "a", "top_k": 3, "repetition_penalty": 1.5, "frequency_penalty": -1, "stop": "x"})"
      "\n"
      R"({"prompt": "a", "stop": ["x", "\n"]})"));
  EXPECT_EQ(rows[0].topK, 3);
  EXPECT_EQ(rows[0].repetitionPenalty, 1.5);
  EXPECT_EQ(rows[0].frequencyPenalty, -1);
  EXPECT_EQ(rows[0].stop, std::vector<std::string>{"x"});
  EXPECT_EQ(rows[1].stop, (std::vector<std::string>{"x", "\n"}));
  EXPECT_FALSE(rows[1].topK.has_value());
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "top_k": 1.5})"), "\"top_k\" must be");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "top_k": -1})"), "\"top_k\" must be");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "frequency_penalty": "1"})"), "must be a number");
  for (const char *bad : {R"({"prompt": "a", "stop": 1})", R"({"prompt": "a", "stop": ["a", 1]})"})
    EXPECT_ERROR(parseRequests(bad), "\"stop\" must be a text or a list of texts");
}

TEST(Requests, ErrorsNameTheLine) {
  EXPECT_ERROR(parseRequests("{\"prompt\": \"a\"}\n{"), "line 2: ");
  EXPECT_ERROR(parseRequests("[1]"), "line 1: a row is a JSON object");
  // The line is told once.
  EXPECT_ERROR(parseRequests("{\"prompt\": \"a\"}\n{\"prompt\": }"), "line 2: column 12: ");
  EXPECT_ERROR(parseRequests("{}"), "either \"prompt\" or \"messages\"");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "messages": [{"role": "user", "content": "x"}]})"),
               "either \"prompt\" or \"messages\"");
  EXPECT_ERROR(parseRequests(R"({"promt": "a"})"), "\"promt\" is not known");
  EXPECT_ERROR(parseRequests(R"({"prompt": 1})"), "\"prompt\" must be a string");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "seed": -1})"), "non-negative");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "knobs": {"x": "1"}})"),
               "knob 'x' must be a number");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "top_p": "1"})"),
               "\"top_p\" must be a number");
  EXPECT_ERROR(parseRequests(R"({"messages": []})"), "a list of messages");
  EXPECT_ERROR(parseRequests(R"({"messages": [{"role": "user"}]})"),
               "\"role\" and \"content\"");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "prompt": "b"})"), "twice");
}

// Templates see the keys of a message and of a tool in the order in which they
// were written, and tell 1 from 1.0.
TEST(Requests, MessagesStayAsWritten) {
  auto rows = valueOf(parseRequests(
      R"({"messages": [{"role": "user", "z": 1, "a": 1.0, "content": [{"type": "text", "text": "\u00e9"}]}, )"
      R"({"content": null, "role": "assistant", "tool_calls": []}], "tools": [{"name": "f", "b": {"y": 1, "x": 2}}]})"));
  EXPECT_EQ(rows[0].messages,
            R"([{"role":"user","z":1,"a":1.0,"content":[{"type":"text","text":"é"}]},)"
            R"({"content":null,"role":"assistant","tool_calls":[]}])");
  EXPECT_EQ(rows[0].tools, R"([{"name":"f","b":{"y":1,"x":2}}])");
  EXPECT_ERROR(parseRequests(R"({"prompt": "a", "tools": []})"),
               "\"tools\" goes with \"messages\"");
  EXPECT_ERROR(parseRequests(R"({"messages": [{"role": "user", "content": 1}]})"),
               "a text or a list of parts");
  EXPECT_ERROR(parseRequests(R"({"messages": [{"role": "user", "content": "x"}], "tools": {}})"),
               "\"tools\" must be a list");
}

TEST(Requests, KnobAssignments) {
  EXPECT_EQ(valueOf(parseKnobAssignment("faith=-2.5e1")),
            KnobAssignment("faith", {-25}));
  EXPECT_EQ(valueOf(parseKnobAssignment("faith=8,16,-2")),
            KnobAssignment("faith", {8, 16, -2}));
  for (const char *bad : {"faith", "faith=", "=1", ""})
    EXPECT_ERROR(parseKnobAssignment(bad), "not of the form name=number");
  for (const char *bad : {"faith=x", "faith=1x", "faith=nan", "faith=-inf",
                          "faith=1e400", "faith=1=2", "faith=1,", "faith=,1",
                          "faith=1,nan", "faith=1 ,2"})
    EXPECT_ERROR(parseKnobAssignment(bad), "a finite number is needed");
}

} // namespace
