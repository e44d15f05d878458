//===- ChatTemplateTest.cpp - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ChatTemplate.h"

#include "Expect.h"

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

constexpr StringLiteral chatML =
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::string render(StringRef source, ArrayRef<ChatMessage> messages,
                   bool prompt = true) {
  return valueOf(
      valueOf(ChatTemplate::parse(source, "<bos>", "<eos>"))->render(messages, prompt));
}

TEST(ChatTemplate, ChatML) {
  EXPECT_EQ(render(chatML, {{"user", "Hi"}}),
            "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHi"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render(chatML, {{"system", "S"}, {"user", "Hi"}, {"assistant", "Yo"}},
                   false),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nYo<|im_end|>\n");
}

TEST(ChatTemplate, BlocksAreTrimmedAndTokensKnown) {
  EXPECT_EQ(render("{{ bos_token }}\n  {% for m in messages %}\n"
                   "  {{- m.content | trim }}\n  {% endfor %}\n{{ eos_token }}\n",
                   {{"user", "  Hi  "}}),
            "<bos>\nHi\n<eos>");
}

TEST(ChatTemplate, ContentIsNotRead) {
  EXPECT_EQ(render("{{ messages[0]['content'] }}",
                   {{"user", "{{ bos_token }}{% raw %}\xF0\x9F\x98\x80"}}),
            "{{ bos_token }}{% raw %}\xF0\x9F\x98\x80");
}

TEST(ChatTemplate, ErrorsAreReported) {
  auto good = valueOf(ChatTemplate::parse(
      "{% if messages[0]['role'] == 'system' %}"
      "{{ raise_exception('System role not supported') }}{% endif %}",
      "", ""));
  EXPECT_ERROR(good->render({{"system", "x"}}), "System role not supported");
  EXPECT_OK(good->render({{"user", "x"}}));
  EXPECT_ERROR(good->render({{"user", "\xFF"}}), "not UTF-8");
  EXPECT_ERROR(ChatTemplate::parse("{% if %}", "", ""), "chat template");
  EXPECT_ERROR(ChatTemplate::parse("{% for x in y %}", "", ""), "chat template");
  EXPECT_ERROR(ChatTemplate::parse(std::string(70000, ' '), "", ""),
               "70000 bytes are more than 65536");
}

TEST(ChatTemplate, LargeAndDeepTemplatesDoNotOverflowTheStack) {
  EXPECT_OK(ChatTemplate::parse("{#" + std::string(65000, 'x') + "#}", "", ""));
  EXPECT_OK(ChatTemplate::parse(std::string(65000, 'x') + "{{ 1 }}", "", ""));
  std::string deep = "{{ " + std::string(1000, '(') + "1" +
                     std::string(1000, ')') + " }}";
  EXPECT_OK(ChatTemplate::parse(deep, "", ""));
  std::string nested;
  for (int i = 0; i < 300; ++i)
    nested += "{% if 1 %}";
  EXPECT_ERROR(ChatTemplate::parse(nested, "", ""), "chat template");
}

} // namespace
