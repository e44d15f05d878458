//===- ChatTemplate.cpp - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ChatTemplate.h"

#include "../Support.h"
#include "Jinja/Characters.h"
#include "Jinja/Template.h"
#include "Utf8.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include <nlohmann/json.hpp>

using namespace llvm;

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t maxTemplateSize = 64 << 10;

/// JSON whose objects keep the order of their keys, which templates see. The
/// checks are those of all JSON that Weir reads.
Expected<Json> parseOrdered(StringRef text, const char *what) {
  Expected<json::Value> checked = parseJSON(text, {.depth = 100});
  if (!checked)
    return fail("{0}: {1}", what, toString(checked.takeError()));
  Json value = Json::parse(text.begin(), text.end(), nullptr,
                           /*allow_exceptions=*/false);
  if (value.is_discarded())
    return fail("{0}: malformed JSON", what);
  return value;
}

/// Names under which a model's reasoning is passed, the standard one first, as
/// in transformers' chat_template_utils.
constexpr const char *reasoningFields[] = {"reasoning_content", "thinking",
                                           "reasoning"};

/// What apply_chat_template does to a message first: keys without a value go,
/// and reasoning gets the names that templates look for.
Json prepare(const Json &message) {
  Json out = Json::object();
  for (const auto &[key, value] : message.items())
    if (!value.is_null())
      out[key] = value;
  for (const char *field : reasoningFields) {
    if (!out.contains(field))
      continue;
    Json reasoning = out[field], aliased = Json::object();
    aliased["thinking"] = reasoning;
    for (const auto &[key, value] : out.items())
      aliased[key] = value;
    aliased["reasoning_content"] = reasoning;
    return aliased;
  }
  return out;
}

/// Stands at the end of the message that is continued, to find it again.
constexpr StringLiteral continueTag = "CONTINUE_FINAL_MESSAGE_TAG ";

class JinjaChatTemplate final : public ChatTemplate {
public:
  JinjaChatTemplate(std::unique_ptr<jinja::Template> body, bool readsContent,
                    Json variables)
      : body(std::move(body)), readsContent(readsContent),
        variables(std::move(variables)) {}

  Expected<std::string> render(StringRef messages,
                               const ChatOptions &options) const override;

private:
  /// Marks the end of the last message and returns its text.
  Expected<std::string> markEnd(Json &messages) const;

  std::unique_ptr<jinja::Template> body;
  bool readsContent; ///< the template's text speaks of "content"
  Json variables;
};

Expected<std::string> JinjaChatTemplate::markEnd(Json &messages) const {
  Json &last = messages.back();
  if (!readsContent)
    return fail("the chat template does not read \"content\"");
  if (!last.contains("content"))
    return fail("the last message has no \"content\" to continue");
  Json *text = &last["content"];
  if (text->is_array()) {
    auto part = std::find_if(text->rbegin(), text->rend(), [](const Json &part) {
      return part.is_object() && part.contains("text");
    });
    if (part == text->rend())
      return fail("the last message has no text to continue");
    text = &(*part)["text"];
  }
  if (!text->is_string())
    return fail("the last message has no text to continue");
  std::string content = text->get<std::string>();
  *text = content + continueTag.str();
  return content;
}

/// As render_jinja_template of transformers ends a continued chat.
Expected<std::string> cutAtTag(std::string rendered, StringRef content) {
  size_t tag = StringRef(rendered).rfind(continueTag.rtrim());
  if (tag == StringRef::npos ||
      jinja::findText(rendered, jinja::strip(content, jinja::Both)) ==
          StringRef::npos)
    return fail("the final message does not appear in the chat after the "
                "template was applied, so it cannot be continued");
  bool kept = StringRef(rendered).substr(tag).starts_with(continueTag);
  rendered.resize(tag);
  // Without the blank after the tag the template has trimmed the message.
  if (!kept)
    rendered.resize(jinja::strip(rendered, jinja::Right).size());
  return rendered;
}

Expected<std::string>
JinjaChatTemplate::render(StringRef messages, const ChatOptions &options) const {
  Expected<Json> list = parseOrdered(messages, "messages");
  if (!list)
    return list.takeError();
  if (!list->is_array() || list->empty())
    return fail("messages: a list of messages is expected");
  Json values = variables;
  Json &prepared = values["messages"] = Json::array();
  for (const Json &message : *list) {
    if (!message.is_object())
      return fail("messages: a message is an object");
    prepared.push_back(prepare(message));
  }
  values["tools"] = values["documents"] = nullptr;
  if (!options.tools.empty()) {
    Expected<Json> tools = parseOrdered(options.tools, "tools");
    if (!tools)
      return tools.takeError();
    values["tools"] = std::move(*tools);
  }
  values["add_generation_prompt"] =
      options.addGenerationPrompt && !options.continueFinalMessage;
  std::string content;
  if (options.continueFinalMessage) {
    Expected<std::string> marked = markEnd(values["messages"]);
    if (!marked)
      return marked.takeError();
    content = std::move(*marked);
  }
  Expected<std::string> text = body->render(values);
  if (!text)
    return fail("chat template: {0}", toString(text.takeError()));
  return options.continueFinalMessage ? cutAtTag(std::move(*text), content)
                                      : std::move(text);
}

} // namespace

Expected<std::unique_ptr<ChatTemplate>>
ChatTemplate::parse(StringRef source, StringRef variables) {
  if (source.size() > maxTemplateSize)
    return fail("chat template: {0} bytes are more than {1}", source.size(),
                maxTemplateSize);
  Expected<Json> values = parseOrdered(variables, "variables");
  if (!values)
    return values.takeError();
  if (!values->is_object())
    return fail("variables: a JSON object is expected");
  Expected<std::unique_ptr<jinja::Template>> body = jinja::Template::parse(source);
  if (!body)
    return fail("chat template: {0}", toString(body.takeError()));
  return std::make_unique<JinjaChatTemplate>(
      std::move(*body), source.contains("content"), std::move(*values));
}

std::string chatMessages(StringRef system, StringRef user) {
  Json out = Json::array();
  if (!system.empty())
    out.push_back({{"role", "system"}, {"content", system.str()}});
  out.push_back({{"role", "user"}, {"content", user.str()}});
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace weir
