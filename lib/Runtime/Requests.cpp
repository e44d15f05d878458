//===- Requests.cpp - What the rows of a batch ask for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Requests.h"

#include "Support.h"

#include "weir/Support/Files.h"
#include "weir/Support/JsonLines.h"

#include "llvm/ADT/StringSwitch.h"

#include <nlohmann/json.hpp>

#include <cmath>

using namespace llvm;

namespace weir {
namespace {

/// Only what every template needs; whatever else a message has is for the
/// template.
Error checkMessages(const json::Value &value) {
  const json::Array *list = value.getAsArray();
  if (!list || list->empty())
    return fail("\"messages\" must be a list of messages");
  for (const json::Value &element : *list) {
    const json::Object *object = element.getAsObject();
    if (!object || !object->getString("role"))
      return fail("a message is an object with \"role\" and \"content\"");
    const json::Value *content = object->get("content");
    // A call of a tool may come without a text.
    if (!content && object->size() == 1)
      return fail("a message has \"role\" and \"content\"");
    if (content && content->kind() != json::Value::String &&
        content->kind() != json::Value::Null && !content->getAsArray())
      return fail("the \"content\" of a message is a text or a list of parts");
  }
  return Error::success();
}

/// A list of the row as its author wrote it: the order of an object's keys is
/// seen by templates, and lost in LLVM's values.
std::string listAsWritten(StringRef line, StringRef key) {
  auto row = nlohmann::ordered_json::parse(line.begin(), line.end(), nullptr,
                                           /*allow_exceptions=*/false);
  auto found = row.is_object() ? row.find(key.str()) : row.end();
  return found == row.end() || !found->is_array() ? "" : found->dump();
}

Error readKnobs(const json::Value &value, Request &out) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return fail("\"knobs\" must be an object of numbers");
  for (const auto &[name, entry] : *object) {
    std::optional<double> number = entry.getAsNumber();
    if (!number)
      return fail("knob '{0}' must be a number", StringRef(name));
    out.knobs.emplace_back(StringRef(name).str(), *number);
  }
  llvm::sort(out.knobs);
  return Error::success();
}

/// A text, or a list of texts.
Error readStop(const json::Value &value, Request &out) {
  out.stop.emplace();
  if (std::optional<StringRef> text = value.getAsString())
    out.stop->push_back(text->str());
  const json::Array *list = value.getAsArray();
  if (!list && out.stop->empty())
    return fail("\"stop\" must be a text or a list of texts");
  for (const json::Value &element : list ? *list : json::Array()) {
    std::optional<StringRef> text = element.getAsString();
    if (!text)
      return fail("\"stop\" must be a text or a list of texts");
    out.stop->push_back(text->str());
  }
  return Error::success();
}

Error readKey(StringRef key, const json::Value &value, Request &out) {
  if (key == "messages")
    return checkMessages(value);
  if (key == "tools")
    return value.getAsArray() ? Error::success()
                              : fail("\"tools\" must be a list of objects");
  if (key == "knobs")
    return readKnobs(value, out);
  if (key == "prompt" || key == "plan") {
    std::optional<StringRef> text = value.getAsString();
    if (!text)
      return fail("\"{0}\" must be a string", key);
    if (key == "plan")
      out.plan = text->str();
    else
      out.prompt = text->str();
    return Error::success();
  }
  if (std::optional<double> Request::*place =
          StringSwitch<std::optional<double> Request::*>(key)
              .Case("temperature", &Request::temperature)
              .Case("top_p", &Request::topP)
              .Case("repetition_penalty", &Request::repetitionPenalty)
              .Case("frequency_penalty", &Request::frequencyPenalty)
              .Default(nullptr)) {
    out.*place = value.getAsNumber();
    return out.*place ? Error::success()
                      : fail("\"{0}\" must be a number", key);
  }
  if (key == "top_k") {
    out.topK = value.getAsInteger();
    return out.topK && *out.topK >= 0
               ? Error::success()
               : fail("\"top_k\" must be a non-negative integer");
  }
  if (key == "stop")
    return readStop(value, out);
  if (key == "seed") {
    out.seed = value.getAsUINT64();
    return out.seed ? Error::success()
                    : fail("\"seed\" must be a non-negative integer");
  }
  return fail("\"{0}\" is not known; rows have prompt or messages, tools, plan, knobs, "
              "temperature, top_p, top_k, repetition_penalty, "
              "frequency_penalty, stop and seed",
              key);
}

Expected<Request> parseRow(StringRef line) {
  Expected<json::Value> value = parseJSONLine(line);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  if (!object)
    return fail("a row is a JSON object");
  Request out;
  for (const auto &[key, entry] : *object)
    if (Error error = readKey(key, entry, out))
      return std::move(error);
  if ((object->get("prompt") != nullptr) == (object->get("messages") != nullptr))
    return fail("a row has either \"prompt\" or \"messages\"");
  if (object->get("messages")) {
    out.messages = listAsWritten(line, "messages");
    if (out.messages.empty())
      return fail("\"messages\" holds a text that is not Unicode");
    out.tools = listAsWritten(line, "tools");
  } else if (object->get("tools")) {
    return fail("\"tools\" goes with \"messages\"");
  }
  return out;
}

/// The lines that are not blank, with their numbers from 1.
void forEachLine(StringRef text, function_ref<bool(size_t, StringRef)> body) {
  for (size_t number = 1; !text.empty(); ++number) {
    StringRef line;
    std::tie(line, text) = text.split('\n');
    line.consume_back("\r");
    if (number == 1)
      line.consume_front("\xEF\xBB\xBF"); // a byte order mark
    if (!line.trim().empty() && !body(number, line))
      return;
  }
}

} // namespace

std::vector<Request> parsePromptLines(StringRef text) {
  std::vector<Request> out;
  forEachLine(text, [&](size_t number, StringRef line) {
    Request &request = out.emplace_back();
    request.prompt = line.str();
    request.line = number;
    return true;
  });
  return out;
}

Expected<std::vector<Request>> parseRequests(StringRef text) {
  std::vector<Request> out;
  Error error = Error::success();
  forEachLine(text, [&](size_t number, StringRef line) {
    Expected<Request> row = parseRow(line);
    if (row) {
      row->line = number;
      out.push_back(std::move(*row));
      return true;
    }
    consumeError(std::move(error));
    error = fail("line {0}: {1}", number, toString(row.takeError()));
    return false;
  });
  if (error)
    return std::move(error);
  return out;
}

Expected<KnobAssignment> parseKnobAssignment(StringRef text) {
  auto [name, numbers] = text.split('=');
  if (name.empty() || numbers.empty())
    return fail("'{0}' is not of the form name=number", text);
  KnobAssignment out{name.str(), {}};
  SmallVector<StringRef> parts;
  numbers.split(parts, ',');
  for (StringRef number : parts) {
    double value = 0;
    if (number.getAsDouble(value) || !std::isfinite(value))
      return fail("knob '{0}' cannot be '{1}': a finite number is needed", name,
                  number);
    out.second.push_back(value);
  }
  return out;
}

} // namespace weir
