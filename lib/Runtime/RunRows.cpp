//===- RunRows.cpp - Requests become rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunStages.h"
#include "Support.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace weir;
using namespace weir::run;

static constexpr StringLiteral tokenizerRecord = "extra/tokenizer.json";

Expected<std::vector<float>>
Job::knobValues(size_t row, size_t count,
                ArrayRef<std::pair<std::string, double>> ofRow) const {
  const Manifest &manifest = program->manifest();
  std::vector<float> values;
  for (const Manifest::Knob &knob : manifest.knobs)
    values.push_back(static_cast<float>(knob.defaultValue));
  auto set = [&](const std::pair<std::string, double> &knob) -> Error {
    Expected<size_t> index = manifest.knobIndex(knob.first);
    if (!index)
      return index.takeError();
    const Manifest::Knob &declared = manifest.knobs[*index];
    if (!(knob.second >= declared.min && knob.second <= declared.max))
      return fail("knob '{0}' is {1}; its range is {2}..{3}", knob.first,
                  shortNumber(knob.second), shortNumber(declared.min),
                  shortNumber(declared.max));
    values[*index] = static_cast<float>(knob.second);
    return Error::success();
  };
  for (const auto &[name, numbers] : commonKnobs) {
    if (numbers.size() > 1 && numbers.size() != count)
      return fail("--knob gives {0} values of '{1}' for {2} rows",
                  numbers.size(), name, count);
    if (Error error =
            set({name, numbers.size() > 1 ? numbers[row] : numbers.front()}))
      return std::move(error);
  }
  for (const auto &knob : ofRow)
    if (Error error = set(knob))
      return std::move(error);
  return values;
}

Expected<std::pair<std::string, int64_t>>
Job::planOf(size_t row, size_t count,
            const std::optional<std::string> &own) const {
  const Manifest &manifest = program->manifest();
  if (options.plans.size() > 1 && options.plans.size() != count)
    return fail("--plan names {0} plans for {1} rows", options.plans.size(),
                count);
  std::string name =
      own                        ? *own
      : options.plans.size() > 1 ? options.plans[row]
      : !options.plans.empty()   ? options.plans.front()
      : !manifest.plans.empty()  ? manifest.plans.front()
                                 : Manifest::unsteered.str();
  Expected<int64_t> index = manifest.planIndex(name);
  if (!index)
    return index.takeError();
  return std::make_pair(name, *index);
}

Expected<std::vector<Request>> Job::readRequests() const {
  if (options.promptsFile.empty()) {
    std::vector<Request> out;
    for (const std::string &prompt : options.prompts)
      out.emplace_back().prompt = prompt;
    return out;
  }
  Expected<std::string> text = readText(options.promptsFile);
  if (!text)
    return text.takeError();
  if (sys::path::extension(options.promptsFile) != ".jsonl") {
    std::vector<Request> out = parsePromptLines(*text);
    if (out.empty())
      return fail("{0}: there is no prompt", options.promptsFile);
    return out;
  }
  Expected<std::vector<Request>> out = parseRequests(*text);
  if (!out)
    return fail("{0}: {1}", options.promptsFile, toString(out.takeError()));
  if (out->empty())
    return fail("{0}: there is no prompt", options.promptsFile);
  return out;
}

/// Messages that were checked when they were read.
static bool endsWithAssistant(StringRef messages) {
  if (messages.empty())
    return false;
  Expected<json::Value> list = parseJSON(messages);
  if (!list) {
    consumeError(list.takeError());
    return false;
  }
  const json::Object *last = list->getAsArray()->back().getAsObject();
  return last->getString("role") == "assistant";
}

Error Job::prepareRow(size_t index, Row &row) const {
  Request &request = row.request;
  GenerationRow &generation = row.generation;
  bool isChat = options.chat || !request.messages.empty();
  row.text = request.prompt;
  if (isChat) {
    ChatOptions chatOptions;
    chatOptions.continueFinalMessage = options.continueMessage;
    chatOptions.tools = request.tools;
    if (options.continueMessage && !endsWithAssistant(request.messages))
      return fail("--continue goes on with an assistant's message, which has to "
                  "be the last of \"messages\"");
    Expected<std::unique_ptr<ChatTemplate>> chat =
        program->loadChatTemplate(options.chatTemplate, !request.tools.empty());
    if (!chat)
      return chat.takeError();
    Expected<std::string> text = (*chat)->render(
        request.messages.empty() ? chatMessages(options.system, request.prompt)
                                 : request.messages,
        chatOptions);
    if (!text)
      return text.takeError();
    row.text = std::move(*text);
  }
  // A chat template writes the special tokens itself.
  Expected<std::vector<int64_t>> tokens = tokenizer->encode(row.text, !isChat);
  if (!tokens)
    return tokens.takeError();
  generation.prompt = std::move(*tokens);

  Expected<std::pair<std::string, int64_t>> plan =
      planOf(index, rows.size(), request.plan);
  if (!plan)
    return plan.takeError();
  std::tie(row.plan, generation.plan) = std::move(*plan);
  Expected<std::vector<float>> knobs =
      knobValues(index, rows.size(), request.knobs);
  if (!knobs)
    return knobs.takeError();
  generation.knobs = std::move(*knobs);
  generation.sampling.temperature =
      request.temperature.value_or(options.temperature);
  generation.sampling.topP = request.topP.value_or(options.topP);
  generation.sampling.seed = request.seed.value_or(options.seed + index);
  generation.sampling.topK = request.topK.value_or(options.topK);
  generation.sampling.repetitionPenalty =
      request.repetitionPenalty.value_or(options.repetitionPenalty);
  generation.sampling.frequencyPenalty =
      request.frequencyPenalty.value_or(options.frequencyPenalty);
  Expected<StopStrings> stops =
      StopStrings::make(request.stop.value_or(options.stop));
  if (!stops)
    return stops.takeError();
  row.stops = std::move(*stops);
  return Error::success();
}

Error Job::checkLines(ArrayRef<Request> requests) const {
  bool byRow = options.plans.size() > 1 ||
               any_of(commonKnobs, [](const KnobAssignment &knob) {
                 return knob.second.size() > 1;
               });
  for (auto [index, request] : enumerate(requests))
    if (byRow && request.line > index + 1)
      return fail("{0}: line {1} is empty; with a plan or a knob for each row "
                  "every line has to be one",
                  options.promptsFile, index + 1);
  return Error::success();
}

Error Job::prepareRows() {
  if (!is_contained(program->archive().records(), tokenizerRecord))
    return fail("{0}: the program has no tokenizer, so that it cannot read a "
                "text; give token ids with --ids",
                options.program);
  Expected<std::unique_ptr<Tokenizer>> loaded = program->loadTokenizer();
  if (!loaded)
    return loaded.takeError();
  tokenizer = std::move(*loaded);
  Expected<std::vector<Request>> requests = readRequests();
  if (!requests)
    return requests.takeError();
  if (Error error = checkLines(*requests))
    return error;
  for (Request &request : *requests)
    rows.emplace_back().request = std::move(request);
  Generator generator(program->manifest(), program->model(), *engine);
  for (auto [index, row] : enumerate(rows)) {
    Error error = prepareRow(index, row);
    if (!error)
      error = generator.check(row.generation);
    if (error)
      return row.request.line > index + 1
                 ? fail("row {0} (line {1}): {2}", index, row.request.line,
                        toString(std::move(error)))
                 : fail("row {0}: {1}", index, toString(std::move(error)));
  }
  std::vector<int64_t> plans;
  for (const Row &row : rows)
    plans.push_back(row.generation.plan);
  warnOfRecords(plans);
  return Error::success();
}
