//===- SteeredRunner.cpp - Runs many settings of one program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/SteeredRunner.h"

#include "Support.h"
#include "TorchSupport.h"

#include "weir/Program/ArchiveGraph.h"
#include "weir/Runtime/Generator.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace weir {
namespace {

/// Token ids of rows of different lengths, padded on the right, and their
/// positions, -1 at padding.
struct PaddedRows {
  at::Tensor ids, positions; ///< [rows, longest] i64

  explicit PaddedRows(ArrayRef<std::vector<int64_t>> rows) {
    size_t longest = 1;
    for (const std::vector<int64_t> &row : rows)
      longest = std::max(longest, row.size());
    const std::array<int64_t, 2> sizes = {static_cast<int64_t>(rows.size()),
                                          static_cast<int64_t>(longest)};
    ids = at::zeros(sizes, at::kLong);
    positions = at::full(sizes, -1, at::kLong);
    for (auto [index, row] : enumerate(rows)) {
      copy(row, ids.mutable_data_ptr<int64_t>() + index * longest);
      int64_t *position =
          positions.mutable_data_ptr<int64_t>() + index * longest;
      for (size_t at = 0; at < row.size(); ++at)
        position[at] = static_cast<int64_t>(at);
    }
  }
};

/// Sum of -log p over tokens begin.. of a row, of its logits [S, V] f32.
double lossOf(const at::Tensor &logits, ArrayRef<int64_t> row, int64_t begin) {
  const int64_t count = static_cast<int64_t>(row.size()) - begin;
  at::Tensor used = logits.narrow(0, begin - 1, count);
  at::Tensor targets = at::empty({count, 1}, at::kLong);
  copy(row.drop_front(begin), targets.mutable_data_ptr<int64_t>());
  at::Tensor chosen = used.gather(1, targets).squeeze(1);
  return (at::logsumexp(used, {1}) - chosen)
      .sum(/*dtype=*/at::kDouble)
      .item<double>();
}

} // namespace

Expected<std::unique_ptr<SteeredRunner>>
SteeredRunner::open(StringRef path, StringRef model,
                    const OperatorPolicy &operators) {
  Expected<std::shared_ptr<Archive>> tensors = Archive::open(model);
  if (!tensors)
    return tensors.takeError();
  releaseGraph(**tensors);
  OpenOptions how;
  how.verify = false;
  how.engine.tensors = std::move(*tensors);
  how.engine.operators = operators;
  Expected<std::unique_ptr<Program>> opened = Program::open(path, how);
  if (!opened)
    return opened.takeError();
  auto result = std::unique_ptr<SteeredRunner>(new SteeredRunner);
  result->program = std::move(*opened);
  result->logitsOnly = result->program->manifest();
  result->logitsOnly.records.clear();
  result->logitsOnly.counts.clear();
  Expected<std::unique_ptr<Engine>> engine =
      result->program->createReferenceEngine({size_t(0)});
  if (!engine)
    return engine.takeError();
  result->engine = std::move(*engine);
  return std::move(result);
}

Error SteeredRunner::check(const RowSetting &setting) const {
  const Manifest &known = manifest();
  if (setting.plan < Manifest::unsteeredIndex ||
      setting.plan >= static_cast<int64_t>(known.plans.size()))
    return fail("plan {0} is none of the program's {1}", setting.plan,
                known.plans.size());
  if (setting.knobs.size() != known.knobs.size())
    return fail("{0} knobs are given, the program has {1}",
                setting.knobs.size(), known.knobs.size());
  return Error::success();
}

Expected<WindowLosses>
SteeredRunner::losses(const TokenWindows &windows,
                      ArrayRef<RowSetting> settings,
                      const LossOptions &options) {
  for (const RowSetting &setting : settings)
    if (Error error = check(setting))
      return std::move(error);
  WindowLosses out;
  out.sums.assign(settings.size(), std::vector<double>(windows.size(), 0));
  const int64_t begin = std::max<int64_t>(1, windows.skipFirst());
  for (size_t window = 0; window < windows.size(); ++window)
    out.predicted.push_back(
        std::max<int64_t>(0, windows.length(window) - begin));

  const int64_t bytes =
      4 * std::max<int64_t>(1, model().vocabularySize) * windows.context();
  const size_t batch = std::clamp<int64_t>(options.logitBytes / bytes, 1,
                                           model().maxBatch);
  const size_t total = windows.size() * settings.size();
  c10::InferenceMode guard;
  try {
    for (size_t first = options.firstRow; first < total; first += batch) {
      const size_t last = std::min(first + batch, total);
      std::vector<std::vector<int64_t>> rows(last - first);
      std::vector<RowSettings> steering;
      for (size_t at = first; at < last; ++at) {
        std::vector<int64_t> &row = rows[at - first];
        windows.append(at / settings.size(), row);
        const RowSetting &setting = settings[at % settings.size()];
        const int64_t length = static_cast<int64_t>(row.size());
        steering.push_back(
            {std::min(options.promptTokens.value_or(length), length),
             setting.plan, setting.knobs});
      }
      PaddedRows padded(rows);
      Expected<std::vector<at::Tensor>> outputs = engine->run(makeProgramInputs(
          logitsOnly, padded.ids, padded.positions, steering));
      if (!outputs)
        return outputs.takeError();
      const at::Tensor &logits = outputs->front();
      if (logits.scalar_type() != at::kFloat || logits.dim() != 3 ||
          logits.size(0) != padded.ids.size(0) ||
          logits.size(1) != padded.ids.size(1))
        return fail("the program's first output is no [{0}, {1}, V] f32 tensor",
                    padded.ids.size(0), padded.ids.size(1));
      std::vector<double> found(last - first, 0);
      for (size_t at = first; at < last; ++at) {
        const size_t window = at / settings.size();
        if (out.predicted[window] == 0)
          continue;
        const double sum =
            lossOf(logits.select(0, at - first), rows[at - first], begin);
        if (!std::isfinite(sum))
          return fail("window {0}: the loss under setting {1} is not finite",
                      window, at % settings.size());
        out.sums[at % settings.size()][window] = found[at - first] = sum;
      }
      if (options.finished)
        if (std::string why = options.finished(first, found); !why.empty())
          return fail("{0}", why);
      if (options.progress)
        options.progress(static_cast<int64_t>(last),
                         static_cast<int64_t>(total));
    }
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  return out;
}

Expected<std::vector<std::vector<int64_t>>>
SteeredRunner::generate(ArrayRef<PromptRow> rows,
                        const ContinueOptions &options) {
  std::vector<GenerationRow> requests;
  for (const PromptRow &row : rows) {
    GenerationRow &request = requests.emplace_back();
    request.prompt = row.prompt;
    request.plan = row.setting.plan;
    request.knobs = row.setting.knobs;
    request.sampling.temperature = options.temperature;
    request.sampling.topP = options.topP;
    request.sampling.topK = options.topK;
    request.sampling.seed = row.seed;
  }
  GenerationOptions generation;
  generation.maxNewTokens = options.maxNewTokens;
  if (!options.ignoreEndOfSequence)
    generation.endOfSequence = model().eos;
  int64_t tokens = 0;
  if (options.progress)
    generation.onToken = [&](size_t, int64_t) { options.progress(++tokens); };
  Generator generator(logitsOnly, model(), *engine);
  Expected<Generation> result = generator.generate(requests, generation);
  if (!result)
    return result.takeError();
  std::vector<std::vector<int64_t>> out;
  for (GeneratedRow &row : result->rows) {
    if (row.finish == FinishReason::EndOfSequence)
      row.tokens.pop_back();
    out.push_back(std::move(row.tokens));
  }
  return out;
}

Expected<std::vector<double>>
SteeredRunner::readRecord(StringRef name, int64_t plan,
                          ArrayRef<ReadRow> rows) {
  const Manifest &known = manifest();
  auto record = find_if(known.records, [&](const Manifest::Record &each) {
    return each.name == name;
  });
  if (record == known.records.end())
    return fail("the program has no record '{0}'", name);
  RowSetting setting{plan, {}};
  for (const Manifest::Knob &knob : known.knobs)
    setting.knobs.push_back(static_cast<float>(knob.defaultValue));
  if (Error error = check(setting))
    return std::move(error);
  for (const ReadRow &row : rows)
    if (static_cast<int64_t>(row.tokens.size()) > model().maxLength)
      return fail("a row of {0} tokens; the program holds {1}",
                  row.tokens.size(), model().maxLength);
  // Its own engine, which computes this record and no logits.
  Expected<std::unique_ptr<Engine>> reader =
      program->createReferenceEngine({static_cast<size_t>(record->output)});
  if (!reader)
    return reader.takeError();
  std::vector<double> out(rows.size(), 0);
  c10::InferenceMode guard;
  try {
    const size_t batch = static_cast<size_t>(model().maxBatch);
    for (size_t first = 0; first < rows.size(); first += batch) {
      ArrayRef<ReadRow> part =
          rows.slice(first, std::min(batch, rows.size() - first));
      std::vector<std::vector<int64_t>> tokens;
      std::vector<RowSettings> steering;
      for (const ReadRow &row : part) {
        tokens.push_back(row.tokens);
        steering.push_back({static_cast<int64_t>(row.tokens.size()),
                            setting.plan, setting.knobs});
      }
      PaddedRows padded(tokens);
      Expected<std::vector<at::Tensor>> outputs = (*reader)->run(
          makeProgramInputs(known, padded.ids, padded.positions, steering));
      if (!outputs)
        return outputs.takeError();
      const at::Tensor &values = (*outputs)[record->output];
      if (!values.defined() || values.dim() != 3 ||
          values.size(0) != padded.ids.size(0) ||
          values.size(1) != padded.ids.size(1))
        return fail("record '{0}' is no [{1}, {2}, k] tensor", name,
                    padded.ids.size(0), padded.ids.size(1));
      for (auto [index, row] : enumerate(part))
        if (row.from < row.tokens.size())
          out[first + index] =
              values.select(0, index)
                  .slice(0, row.from, row.tokens.size())
                  .to(at::kDouble)
                  .mean()
                  .item<double>();
    }
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  return out;
}

} // namespace weir
