//===- RunOutput.cpp - What a run prints and writes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProcessMemory.h"
#include "RunStages.h"
#include "Support.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

using namespace llvm;
using namespace weir;
using namespace weir::run;

TensorView run::viewOf(const at::Tensor &tensor) {
  TensorView view;
  view.dtype = tensor.scalar_type() == at::kLong ? DType::Int64 : DType::Float32;
  view.shape.assign(tensor.sizes().begin(), tensor.sizes().end());
  view.data = static_cast<const std::byte *>(tensor.const_data_ptr());
  view.owner = std::make_shared<at::Tensor>(tensor);
  return view;
}

void Job::warnOfRecords(ArrayRef<int64_t> plans) {
  if (options.recordFile.empty())
    return;
  std::vector<std::string> empty;
  for (auto [row, plan] : enumerate(plans))
    if (!program->manifest().planRecords(plan))
      empty.push_back(std::to_string(row));
  if (!empty.empty())
    err << "weir-run: warning: --record: the plan of row"
        << (empty.size() > 1 ? "s " : " ") << join(empty, ", ")
        << " records nothing, so that the values are zeros\n";
}

/// The records of rows of different lengths in one array a record, padded with
/// zeros; "input_ids" tells the padding (-1), "prompt_length" where the
/// generated tokens begin.
Error Job::writeRecords(const Generation &generation) const {
  const std::vector<Manifest::Record> &records = program->manifest().records;
  int64_t count = rows.size(), longest = 0;
  for (auto [row, result] : zip(rows, generation.rows))
    longest = std::max<int64_t>(
        longest, row.generation.prompt.size() + result.tokens.size());
  at::Tensor tokens = at::full({count, longest}, -1, at::kLong);
  at::Tensor lengths = at::empty({count}, at::kLong);
  std::vector<NamedTensor> tensors;
  for (auto [index, row] : enumerate(rows)) {
    int64_t *to = tokens.mutable_data_ptr<int64_t>() + index * longest;
    to = llvm::copy(row.generation.prompt, to);
    llvm::copy(generation.rows[index].tokens, to);
    lengths.mutable_data_ptr<int64_t>()[index] = row.generation.prompt.size();
  }
  tensors.push_back({roleName(InputRole::InputIds).str(), viewOf(tokens)});
  tensors.push_back({roleName(InputRole::PromptLength).str(), viewOf(lengths)});
  for (auto [index, record] : enumerate(records)) {
    int64_t width = generation.recordWidths[index];
    at::Tensor values = at::zeros({count, longest, width}, at::kFloat);
    for (auto [row, result] : enumerate(generation.rows))
      llvm::copy(result.records[index],
                 values.mutable_data_ptr<float>() + row * longest * width);
    tensors.push_back({record.name, viewOf(values)});
  }
  return writeNpz(options.recordFile, tensors);
}

/// What a row says, up to the stop string that ended it.
Expected<std::string> Job::textOf(size_t index,
                                  const GeneratedRow &result) const {
  Expected<std::string> text = tokenizer->decode(result.tokens);
  if (!text)
    return text;
  return rows[index].stops.before(*text).str();
}

/// Writes what a new token adds to the text, but no part of a stop string; the
/// rest when there is no more token.
void Job::show(TextStream &stream, std::optional<int64_t> token) {
  if (token) {
    Expected<std::string> text = stream.push(*token);
    if (text)
      streamed += *text;
    else
      consumeError(text.takeError());
  } else {
    streamed += stream.finish();
  }
  const StopStrings &stops = rows.front().stops;
  StringRef text = stops.before(streamed);
  if (token && text.size() == streamed.size())
    text = text.drop_back(stops.undecided(text));
  out << text.drop_front(std::min(shown, text.size()));
  shown = std::max(shown, text.size());
  out.flush();
}

void Job::printText(const Generation &generation) {
  for (auto [index, row] : enumerate(rows)) {
    if (rows.size() > 1)
      out << "--- " << index << " " << row.plan << "\n";
    Expected<std::string> text = textOf(index, generation.rows[index]);
    if (text)
      out << *text << "\n";
    else
      out << toString(text.takeError()) << "\n";
  }
}

static double perSecond(int64_t tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0;
}

Error Job::printJSON(const Generation &generation) {
  json::Array list;
  for (auto [index, row] : enumerate(rows)) {
    const GeneratedRow &result = generation.rows[index];
    Expected<std::string> text = textOf(index, result);
    if (!text)
      return text.takeError();
    json::Object knobs;
    for (auto [knob, value] :
         zip(program->manifest().knobs, row.generation.knobs))
      knobs[knob.name] = value;
    list.push_back(json::Object{
        {"prompt", row.text},
        {"prompt_tokens", static_cast<int64_t>(row.generation.prompt.size())},
        {"plan", row.plan},
        {"knobs", std::move(knobs)},
        {"seed", row.generation.sampling.seed},
        {"text", *text},
        {"tokens", json::Array(result.tokens)},
        {"finish", nameOf(result.finish)}});
  }
  const GenerationTiming &timing = generation.timing;
  auto phase = [](int64_t tokens, double seconds) {
    return json::Object{{"tokens", tokens},
                        {"seconds", seconds},
                        {"tokens_per_second", perSecond(tokens, seconds)}};
  };
  json::Object value{
      {"weir", 1},
      {"model", program->model().model},
      {"engine", engine->name()},
      {"threads", at::get_num_threads()},
      {"rows", std::move(list)},
      {"prefill", phase(timing.prefillTokens, timing.prefillSeconds)},
      {"decode", phase(timing.decodeTokens, timing.decodeSeconds)}};
  if (std::shared_ptr<InputFile> file = program->archive().file())
    if (std::optional<ProcessMemory> memory = processMemory(*file))
      value["memory"] =
          json::Object{{"own_bytes", static_cast<int64_t>(memory->own)},
                       {"state_bytes", static_cast<int64_t>(memory->state)},
                       {"mapped_bytes", static_cast<int64_t>(memory->mapped)}};
  if (options.stats)
    value["stats"] = stats->toJSON();
  out << formatv("{0:2}", json::Value(std::move(value))) << "\n";
  return Error::success();
}

void Job::printTiming(const GenerationTiming &timing) {
  auto line = [&](StringRef phase, int64_t tokens, double seconds) {
    err << phase << ": " << tokens << " tokens, "
        << llvm::format("%.3f s, %.1f tokens/s", seconds,
                        perSecond(tokens, seconds))
        << "\n";
  };
  line("prefill", timing.prefillTokens, timing.prefillSeconds);
  line("decode", timing.decodeTokens, timing.decodeSeconds);
}
