//===- ChatTemplateTest.cpp - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ChatTemplate.h"

#include "Expect.h"

#include <chrono>

using namespace llvm;
using namespace weir;
using namespace weir::test;

// What templates render is compared with jinja2's in
// test/Python/test_chat_templates.py; here is what no other engine has.

namespace {

constexpr StringLiteral tokens = R"({"bos_token": "<bos>", "eos_token": "<eos>"})";

Expected<std::string> tryRender(StringRef source, StringRef messages,
                                const ChatOptions &options = {}) {
  auto chat = ChatTemplate::parse(source, tokens);
  if (!chat)
    return chat.takeError();
  return (*chat)->render(messages, options);
}

std::string user(StringRef text) { return chatMessages("", text); }

constexpr StringLiteral chatML =
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(ChatTemplate, ChatML) {
  EXPECT_EQ(valueOf(tryRender(chatML, chatMessages("Be kind", "Hi"))),
            "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHi"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(valueOf(tryRender(chatML, user("Hi"), {false})),
            "<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, AnAnswerIsContinued) {
  ChatOptions options;
  options.continueFinalMessage = true;
  auto messages = [](StringRef content) {
    return ("[{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": "
            "\"assistant\", \"content\": " + content + "}]").str();
  };
  EXPECT_EQ(valueOf(tryRender(chatML, messages("\"Well, \""), options)),
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nWell, ");
  // A template that trims leaves no blank to go on from.
  EXPECT_EQ(valueOf(tryRender("{% for m in messages %}{{ m.content | trim }};"
                              "{% endfor %}",
                              messages("\"Well, \""), options)),
            "Q;Well,");
  EXPECT_EQ(valueOf(tryRender("{% for m in messages %}{% if m.content is string "
                              "%}{{ m.content }}{% else %}{{ m.content[0].text "
                              "}}{% endif %};{% endfor %}",
                              messages("[{\"type\": \"text\", \"text\": \"W\"}]"),
                              options)),
            "Q;W");
  EXPECT_ERROR(tryRender("{{ messages[0].content }}", messages("\"W\""), options),
               "cannot be continued");
  EXPECT_ERROR(tryRender("{{ messages[0].role }}", messages("\"W\""), options),
               "does not read");
  EXPECT_ERROR(tryRender(chatML, messages("null"), options), "no \"content\"");
}

TEST(ChatTemplate, OrderAndTypesOfAMessageAreKept) {
  EXPECT_EQ(valueOf(tryRender("{{ messages[0] | tojson }} {{ tools | tojson }}",
                              R"([{"z": 1, "a": 1.0, "gone": null, "role": "r"}])",
                              {true, false, R"([{"y": {}, "x": []}])"})),
            R"({"z": 1, "a": 1.0, "role": "r"} [{"y": {}, "x": []}])");
}

TEST(ChatTemplate, ContentIsNotRead) {
  EXPECT_EQ(valueOf(tryRender("{{ messages[0]['content'] }}",
                              user("{{ bos_token }}{% raw %}\xF0\x9F\x98\x80"))),
            "{{ bos_token }}{% raw %}\xF0\x9F\x98\x80");
}

TEST(ChatTemplate, ErrorsAreReported) {
  StringRef raising = "\n{{ raise_exception('System role not supported') }}";
  EXPECT_ERROR(tryRender(raising, user("x")),
               "chat template: line 2: System role not supported");
  EXPECT_ERROR(tryRender("{% if %}", user("x")), "chat template: line 1: ");
  EXPECT_ERROR(ChatTemplate::parse(std::string(70000, ' ')),
               "70000 bytes are more than 65536");
  EXPECT_ERROR(ChatTemplate::parse("\xFF"), "not UTF-8");
  for (StringRef bad : {"{}", "[]", "[1]", "[", "\xFF"})
    EXPECT_ERROR(tryRender("x", bad), "messages");
}

//===----------------------------------------------------------------------===//
// Templates of strangers
//===----------------------------------------------------------------------===//

std::string times(size_t count, StringRef part) {
  std::string out;
  while (count--)
    out += part;
  return out;
}

/// Ends with the given message before it is felt.
void expectBounded(const std::string &source, const char *message) {
  SCOPED_TRACE(source.substr(0, 100));
  auto begin = std::chrono::steady_clock::now();
  EXPECT_ERROR(tryRender(source, user("x")), message);
  // Under a second; this machine may be busy, and a sanitizer at work.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(HostileTemplate, DepthIsBoundedBeforeItIsWalked) {
  for (const std::string &source :
       {"{{ " + times(20000, "(") + "1" + times(20000, ")") + " }}",
        "{{ " + times(30000, "[") + " }}", times(6000, "{% if 1 %}"),
        times(3000, "{% for a in [1] %}"), "{{ " + times(15000, "not ") + "1 }}",
        "{{ " + times(60000, "-") + "1 }}", "{{ " + times(30000, "1+") + "1 }}",
        "{{ " + times(5000, "1 if 0 else ") + "1 }}",
        "{{ a" + times(30000, ".a") + " }}", "{{ 'a'" + times(9000, "|upper") + " }}",
        "{{ range" + times(30000, "()") + " }}",
        "{% for " + times(10000, "(") + "a" + times(10000, ")") + " in [] %}"})
    expectBounded(source, "inside of each other");
}

TEST(HostileTemplate, StepsAreBounded) {
  std::string loop = "{% for i in range(99999) %}";
  for (const std::string &body :
       {loop + "{% endfor %}", std::string("{% set y = 'b' in 'a' * 8000000 %}"),
        std::string("{% set y = ('\xC3\xA9 ' * 1000000) | title %}"),
        std::string("{% set y = range(99999) | sort %}")})
    expectBounded(loop + body + "{% endfor %}", "steps");
  std::string doubling;
  for (int i = 0; i < 40; ++i) {
    std::string next = "{{ m" + std::to_string(i + 1) + "() }}";
    doubling += "{% macro m" + std::to_string(i) + "() %}" + next + next +
                "{% endmacro %}";
  }
  expectBounded(doubling + "{% macro m40() %}x{% endmacro %}{{ m0() }}", "steps");
  expectBounded("{{ range(99999) | unique | list }}", "steps");
}

TEST(HostileTemplate, MemoryIsBounded) {
  for (const char *source :
       {"{{ 'a' * 10**12 }}", "{{ 'a'.center(10**12) }}", "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}", "{{ 'a' | indent(10**15, true) }}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
        "{{ range(99999) | join('x' * 100000) }}",
        "{{ messages | tojson(indent=10**9) }}",
        "{% set ns = namespace(a='ab') %}{% for i in range(99) %}"
        "{% set ns.a = ns.a + ns.a %}{% endfor %}"})
    expectBounded(source, "a text of more than 16 MiB");
  for (const char *source :
       {"{{ [1] * 10**12 }}", "{{ ('a' * 16000000) | list }}",
        "{{ range(9) | slice(10**12) | list }}", "{{ [1] | batch(10**12, 0) | list }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(999) %}"
        "{% set ns.a = ns.a + ['x' * 1000000] %}{% endfor %}"})
    expectBounded(source, "64 MiB of memory");
  expectBounded("{{ range(10**9) }}", "Range too big");
}

TEST(HostileTemplate, CallsAreBounded) {
  for (const char *source :
       {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller() }}"
        "{% endmacro %}{% call f() %}x{% endcall %}"})
    expectBounded(source, "calls itself too often");
  expectBounded("{% set ns = namespace(a=[]) %}{% for i in range(9999) %}"
                "{% set ns.a = [ns.a] %}{% endfor %}",
                "inside of each other");
}

TEST(HostileTemplate, ArithmeticEndsInErrors) {
  for (const char *sum :
       {"9223372036854775807 + 1", "(-9223372036854775807 - 1) // -1",
        "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) | abs", "2 ** 64",
        "3037000500 * 3037000500"})
    expectBounded((Twine("{{ ") + sum + " }}").str(), "beyond 64 bits");
  for (const char *sum : {"1 // 0", "1 % 0", "1 / 0", "1.0 // 0"})
    expectBounded((Twine("{{ ") + sum + " }}").str(), "zero");
  expectBounded("{{ 5 is divisibleby 0 }}", "zero");
  EXPECT_EQ(valueOf(tryRender("{{ (-9223372036854775807 - 1) % -1 }}", user("x"))),
            "0");
}

// A leak or a free by deep recursion would show under a sanitizer.
TEST(HostileTemplate, RingsAndChainsAreFreed) {
  for (const char *source :
       {"{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = [ns] %}ok",
        "{% set ns = namespace(a=1) %}{% for i in range(9999) %}"
        "{% set n = namespace(b=ns.a) %}{% set ns.a = n %}{% endfor %}ok",
        "{% set ns = namespace(a=1) %}{% for i in range(9999) %}{% set p = ns.a %}"
        "{% macro m() %}{{ p }}{% endmacro %}{% set ns.a = m %}{% endfor %}ok",
        "{% for i in [1] %}{% if loop.changed(loop) %}{% endif %}{% endfor %}ok",
        "{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.l = loop %}"
        "{% endfor %}{{ ns.l.index }}{{ ns.l.nextitem }}{{ ns.l.length }}ok"})
    EXPECT_TRUE(StringRef(valueOf(tryRender(source, user("x")))).ends_with("ok"));
}

} // namespace
