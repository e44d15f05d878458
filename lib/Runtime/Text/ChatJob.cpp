//===- ChatJob.cpp - What weirc chat does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ChatJob.h"

#include "../Support.h"

#include "weir/Runtime/ChatTemplate.h"
#include "weir/Support/Files.h"
#include "weir/Support/JsonLines.h"

#include "llvm/Support/JSON.h"

#include <nlohmann/json.hpp>

using namespace llvm;

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

Expected<std::string> renderLine(StringRef line) {
  Expected<json::Value> checked = parseJSONLine(line);
  if (!checked)
    return checked.takeError();
  Json request = Json::parse(line.begin(), line.end(), nullptr,
                             /*allow_exceptions=*/false);
  if (!request.is_object())
    return fail("a JSON object is expected");
  std::string source, variables = "{}", messages;
  ChatOptions options;
  options.addGenerationPrompt = false;
  for (const auto &[key, value] : request.items()) {
    bool *flag = key == "add_generation_prompt" ? &options.addGenerationPrompt
                 : key == "continue_final_message"
                     ? &options.continueFinalMessage
                     : nullptr;
    if (flag && value.is_boolean())
      *flag = value.get<bool>();
    else if (key == "template" && value.is_string())
      source = value.get<std::string>();
    else if (key == "messages" && value.is_array())
      messages = value.dump();
    else if (key == "variables" && value.is_object())
      variables = value.dump();
    else if (key == "tools" && (value.is_array() || value.is_null()))
      options.tools = value.is_null() ? "" : value.dump();
    else
      return fail("\"{0}\" is not known, or not of its type", key);
  }
  if (!request.contains("template") || !request.contains("messages"))
    return fail("\"template\" and \"messages\" are needed");
  Expected<std::unique_ptr<ChatTemplate>> chat =
      ChatTemplate::parse(source, variables);
  if (!chat)
    return chat.takeError();
  return (*chat)->render(messages, options);
}

} // namespace

int runChatJob(StringRef input, raw_fd_ostream &out) {
  while (!input.empty()) {
    StringRef line;
    std::tie(line, input) = input.split('\n');
    if (line.trim().empty())
      continue;
    Expected<std::string> text = renderLine(line);
    json::Object result;
    if (text)
      result["text"] = std::move(*text);
    else
      result["error"] = json::fixUTF8(toString(text.takeError()));
    out << json::Value(std::move(result)) << "\n";
  }
  out.flush();
  if (!out.has_error())
    return 0;
  errs() << "weirc: standard output: " << out.error().message() << "\n";
  out.clear_error();
  return 2;
}

} // namespace weir
