//===- Generator.cpp - Prefill, decode, record ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Generator.h"

#include "Support.h"
#include "TorchSupport.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>

using namespace llvm;

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Adds the columns of [S, policies], which are 0 and 1, to their sums.
void addEdited(const at::Tensor &tokens, std::vector<int64_t> &sums) {
  at::Tensor added = tokens.sum(0, /*keepdim=*/false, at::kDouble);
  for (auto [column, sum] : enumerate(sums))
    sum += static_cast<int64_t>(added[column].item<double>());
}

/// None so far.
EditedTokens nothingEdited(const Manifest &manifest) {
  EditedTokens edited;
  for (const Manifest::Count &count : manifest.counts)
    edited.emplace_back(count.policies.size(), 0);
  return edited;
}

} // namespace

StringRef nameOf(FinishReason reason) {
  switch (reason) {
  case FinishReason::EndOfSequence:
    return "eos";
  case FinishReason::Stop:
    return "stop";
  case FinishReason::MaxNewTokens:
    return "max_new_tokens";
  case FinishReason::MaxLength:
    return "max_length";
  }
  llvm_unreachable("covered");
}

/// The state of the rows that are generated together. Row i of the batch is row
/// i of the program's cache.
struct Generator::Batch {
  struct Row {
    const GenerationRow *request;
    GeneratedRow *result;
    int64_t fed = 0;     ///< positions in the cache
    bool done = false;   ///< no more tokens are chosen
    bool drained = false; ///< nothing is left to feed
    bool wantsToken(int64_t upTo) const {
      return !done && upTo == static_cast<int64_t>(request->prompt.size() +
                                                   result->tokens.size());
    }
  };
  std::vector<Row> rows;
  std::vector<RowSettings> settings;
  size_t firstRow = 0;
  const GenerationOptions *options = nullptr;
};

std::vector<at::Tensor> makeProgramInputs(const Manifest &manifest,
                                          const at::Tensor &ids,
                                          const at::Tensor &positions,
                                          ArrayRef<RowSettings> settings) {
  int64_t rows = ids.size(0);
  std::vector<at::Tensor> inputs;
  for (const std::string &name : manifest.inputs) {
    std::optional<InputRole> role = inputRoleNamed(name);
    if (role == InputRole::InputIds) {
      inputs.push_back(ids);
    } else if (role == InputRole::Positions) {
      inputs.push_back(positions);
    } else if (role == InputRole::Knobs) {
      int64_t width = manifest.knobs.size();
      at::Tensor knobs = at::empty({rows, width}, at::kFloat);
      float *data = knobs.mutable_data_ptr<float>();
      for (int64_t row = 0; row < rows; ++row)
        llvm::copy(settings[row].knobs, data + row * width);
      inputs.push_back(knobs);
    } else {
      at::Tensor column = at::empty({rows}, at::kLong);
      int64_t *data = column.mutable_data_ptr<int64_t>();
      for (int64_t row = 0; row < rows; ++row)
        data[row] = role == InputRole::Plan ? settings[row].plan
                                            : settings[row].promptLength;
      inputs.push_back(column);
    }
  }
  return inputs;
}

Error Generator::checkSettings(const RowSettings &settings) const {
  if (manifest.fixed && settings.plan != 0)
    return fail("the program has the plan '{0}' for every row",
                manifest.plans.front());
  if (settings.plan < Manifest::unsteeredIndex ||
      settings.plan >= static_cast<int64_t>(manifest.plans.size()))
    return fail("plan {0} is none of the program's {1}", settings.plan,
                manifest.plans.size());
  if (settings.knobs.size() != manifest.knobs.size())
    return fail("{0} knobs are given, the program has {1}",
                settings.knobs.size(), manifest.knobs.size());
  return Error::success();
}

Error Generator::check(const GenerationRow &row) const {
  if (row.prompt.empty())
    return fail("the prompt has no token");
  if (static_cast<int64_t>(row.prompt.size()) >= model.maxLength)
    return fail("the prompt has {0} tokens; the program holds {1}, and at least "
                "one is generated",
                row.prompt.size(), model.maxLength);
  for (int64_t id : row.prompt)
    if (id < 0 || id >= model.vocabularySize)
      return fail("token {0} is outside the vocabulary of {1}", id,
                  model.vocabularySize);
  if (Error error = row.sampling.check())
    return error;
  return checkSettings({0, row.plan, row.knobs});
}

Expected<std::vector<at::Tensor>>
Generator::call(const at::Tensor &ids, const at::Tensor &positions,
                ArrayRef<RowSettings> settings) {
  int64_t rows = ids.size(0);
  Expected<std::vector<at::Tensor>> outputs =
      engine.run(makeProgramInputs(manifest, ids, positions, settings));
  if (!outputs)
    return outputs.takeError();
  if (outputs->empty())
    return fail("the program gives no output");
  const at::Tensor &logits = outputs->front();
  if (logits.scalar_type() != at::kFloat || logits.dim() != 3 ||
      logits.size(0) != rows || logits.size(1) != ids.size(1))
    return fail("the program's first output is no [{0}, {1}, V] f32 tensor",
                rows, ids.size(1));
  for (const Manifest::Record &record : manifest.records)
    if (Error error = checkOutput(*outputs, record.output, ids,
                                  "record '" + record.name + "'"))
      return std::move(error);
  for (const Manifest::Count &count : manifest.counts) {
    std::string what = formatv("the count of {0}/{1}", count.layer, count.site);
    if (Error error = checkOutput(*outputs, count.output, ids, what))
      return std::move(error);
    if ((*outputs)[count.output].size(2) !=
        static_cast<int64_t>(count.policies.size()))
      return fail("{0} has another number of policies than the manifest", what);
  }
  return outputs;
}

/// An output beside the logits, for each token.
Error Generator::checkOutput(ArrayRef<at::Tensor> outputs, int64_t output,
                             const at::Tensor &ids,
                             const std::string &what) const {
  if (output >= static_cast<int64_t>(outputs.size()))
    return fail("the program has no output for {0}", what);
  const at::Tensor &values = outputs[output];
  if (values.scalar_type() != at::kFloat || values.dim() != 3 ||
      values.size(0) != ids.size(0) || values.size(1) != ids.size(1))
    return fail("{0} is no [{1}, {2}, k] f32 tensor", what, ids.size(0),
                ids.size(1));
  return Error::success();
}

/// One pass over [b, S] tokens: keeps the records of all that are no padding,
/// and chooses a token for every row whose last one is among them.
Error Generator::feed(Batch &batch, const at::Tensor &ids,
                      const at::Tensor &positions, Generation &out) {
  Expected<std::vector<at::Tensor>> outputs =
      call(ids, positions, batch.settings);
  if (!outputs)
    return outputs.takeError();
  const std::vector<Manifest::Record> &records = manifest.records;
  std::vector<at::Tensor> recorded;
  if (batch.options->record)
    for (auto [index, record] : enumerate(records)) {
      recorded.push_back((*outputs)[record.output].contiguous());
      out.recordWidths[index] = recorded.back().size(2);
    }

  std::vector<at::Tensor> edited;
  if (batch.options->count)
    for (const Manifest::Count &count : manifest.counts)
      edited.push_back((*outputs)[count.output]);

  int64_t steps = ids.size(1);
  at::Tensor logits = outputs->front();
  const int64_t *position = positions.const_data_ptr<int64_t>();
  for (int64_t index = 0; index < ids.size(0); ++index) {
    Batch::Row &row = batch.rows[index];
    int64_t count = 0;
    while (count < steps && position[index * steps + count] >= 0)
      ++count;
    if (count == 0)
      continue;
    row.fed += count;
    row.result->seen += count;
    for (auto [site, values] : enumerate(edited))
      addEdited(values[index].narrow(0, 0, count), row.result->edited[site]);
    for (auto [record, values] : enumerate(recorded)) {
      int64_t width = values.size(2);
      const float *data =
          values.const_data_ptr<float>() + index * steps * width;
      std::vector<float> &kept = row.result->records[record];
      kept.insert(kept.end(), data, data + count * width);
    }
    if (!row.wantsToken(row.fed))
      continue;
    at::Tensor last = logits.select(0, index).select(0, count - 1).contiguous();
    Expected<int64_t> token = sampleToken(
        ArrayRef(last.const_data_ptr<float>(), last.numel()),
        row.request->sampling, row.result->tokens.size(),
        {row.request->prompt, row.result->tokens});
    if (!token)
      return fail("row {0}, token {1}: {2}", batch.firstRow + index,
                  row.result->tokens.size(), toString(token.takeError()));
    row.result->tokens.push_back(*token);
    if (batch.options->onToken)
      batch.options->onToken(batch.firstRow + index, *token);

    row.done = true;
    if (is_contained(batch.options->endOfSequence, *token))
      row.result->finish = FinishReason::EndOfSequence;
    else if (batch.options->isStopped &&
             batch.options->isStopped(batch.firstRow + index,
                                      row.result->tokens))
      row.result->finish = FinishReason::Stop;
    else if (static_cast<int64_t>(row.result->tokens.size()) >=
             batch.options->maxNewTokens)
      row.result->finish = FinishReason::MaxNewTokens;
    else if (row.fed >= model.maxLength)
      row.result->finish = FinishReason::MaxLength;
    else
      row.done = false;
  }
  return Error::success();
}

Error Generator::prefill(Batch &batch, Generation &out) {
  Clock::time_point start = Clock::now();
  int64_t rows = batch.rows.size(), longest = 0;
  for (const Batch::Row &row : batch.rows) {
    int64_t length = row.request->prompt.size();
    longest = std::max(longest, length);
    out.timing.prefillTokens += length;
  }
  int64_t piece = std::max<int64_t>(
      1, batch.options->prefillLogitBytes / 4 / model.vocabularySize / rows);
  for (int64_t from = 0; from < longest; from += piece) {
    int64_t steps = std::min(piece, longest - from);
    at::Tensor ids = at::zeros({rows, steps}, at::kLong);
    at::Tensor positions = at::full({rows, steps}, -1, at::kLong);
    int64_t *id = ids.mutable_data_ptr<int64_t>();
    int64_t *position = positions.mutable_data_ptr<int64_t>();
    for (int64_t row = 0; row < rows; ++row) {
      const std::vector<int64_t> &prompt = batch.rows[row].request->prompt;
      int64_t end = std::min<int64_t>(prompt.size(), from + steps);
      for (int64_t at = from; at < end; ++at) {
        id[row * steps + at - from] = prompt[at];
        position[row * steps + at - from] = at;
      }
    }
    if (Error error = feed(batch, ids, positions, out))
      return error;
  }
  out.timing.prefillSeconds += secondsSince(start);
  return Error::success();
}

Error Generator::decode(Batch &batch, Generation &out) {
  Clock::time_point start = Clock::now();
  int64_t maxLength = model.maxLength;
  for (;;) {
    // Rows behind the last active one are left out; a finished row in between
    // is padding.
    int64_t active = 0;
    for (auto [index, row] : enumerate(batch.rows)) {
      row.drained = row.done && (!batch.options->record ||
                                 row.fed >= maxLength ||
                                 row.fed == static_cast<int64_t>(
                                                row.request->prompt.size() +
                                                row.result->tokens.size()));
      if (!row.drained)
        active = index + 1;
    }
    if (active == 0)
      break;
    at::Tensor ids = at::zeros({active, 1}, at::kLong);
    at::Tensor positions = at::full({active, 1}, -1, at::kLong);
    int64_t *id = ids.mutable_data_ptr<int64_t>();
    int64_t *position = positions.mutable_data_ptr<int64_t>();
    for (int64_t index = 0; index < active; ++index) {
      const Batch::Row &row = batch.rows[index];
      if (row.drained)
        continue;
      id[index] = row.result->tokens.back();
      position[index] = row.fed;
      out.timing.decodeTokens += !row.done;
    }
    if (Error error = feed(batch, ids, positions, out))
      return error;
  }
  out.timing.decodeSeconds += secondsSince(start);
  return Error::success();
}

Error Generator::generateBatch(ArrayRef<GenerationRow> rows, size_t firstRow,
                               const GenerationOptions &options,
                               Generation &out) {
  Batch batch;
  batch.firstRow = firstRow;
  batch.options = &options;
  for (auto [index, row] : enumerate(rows)) {
    GeneratedRow &result = out.rows[firstRow + index];
    result.records.resize(out.recordWidths.size());
    if (options.count)
      result.edited = nothingEdited(manifest);
    batch.rows.push_back({&row, &result});
    batch.settings.push_back(
        {static_cast<int64_t>(row.prompt.size()), row.plan, row.knobs});
  }
  if (Error error = prefill(batch, out))
    return error;
  return decode(batch, out);
}

Expected<Generation> Generator::generate(ArrayRef<GenerationRow> rows,
                                         const GenerationOptions &options) {
  if (options.maxNewTokens < 1)
    return fail("at least one new token has to be asked for");
  for (auto [index, row] : enumerate(rows))
    if (Error error = check(row))
      return fail("row {0}: {1}", index, toString(std::move(error)));

  Generation out;
  out.rows.resize(rows.size());
  if (options.record)
    out.recordWidths.resize(manifest.records.size());
  c10::InferenceMode guard;
  try {
    size_t batch = model.maxBatch;
    for (size_t first = 0; first < rows.size(); first += batch)
      if (Error error = generateBatch(
              rows.slice(first, std::min(batch, rows.size() - first)), first,
              options, out))
        return std::move(error);
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  return out;
}

Error Generator::checkForward(const at::Tensor &ids,
                              ArrayRef<RowSettings> settings) const {
  if (ids.dim() != 2 || ids.scalar_type() != at::kLong || ids.numel() == 0)
    return fail("ids have to be a [b, S] i64 tensor");
  if (ids.size(1) > model.maxLength)
    return fail("rows of {0} tokens; the program holds {1}", ids.size(1),
                model.maxLength);
  if (settings.size() != static_cast<size_t>(ids.size(0)))
    return fail("{0} rows with settings for {1}", ids.size(0), settings.size());
  at::Tensor dense = ids.contiguous();
  const int64_t *id = dense.const_data_ptr<int64_t>();
  int64_t steps = ids.size(1);
  for (int64_t row = 0; row < ids.size(0); ++row) {
    if (Error error = checkSettings(settings[row]))
      return fail("row {0}: {1}", row, toString(std::move(error)));
    bool padding = false;
    for (int64_t at = row * steps; at < (row + 1) * steps; ++at) {
      if (id[at] < -1 || id[at] >= model.vocabularySize)
        return fail("row {0}: id {1} is outside the vocabulary of {2}", row,
                    id[at], model.vocabularySize);
      if (padding && id[at] >= 0)
        return fail("row {0}: padding (-1) is allowed on the right only", row);
      padding |= id[at] < 0;
    }
    int64_t tokens = std::count_if(id + row * steps, id + (row + 1) * steps,
                                   [](int64_t token) { return token >= 0; });
    int64_t length = settings[row].promptLength;
    if (length < 0 || length > tokens)
      return fail("row {0}: a prompt of {1} tokens, but the row has {2}", row,
                  length, tokens);
  }
  return Error::success();
}

/// The outputs of some rows, put together from one pass over the first
/// `prefill` positions and one for each of the others; 0 at padding. The first
/// is the logits, the others are the records and, behind them, the counts.
Expected<std::vector<at::Tensor>>
Generator::forwardRows(const at::Tensor &ids, const at::Tensor &positions,
                       ArrayRef<RowSettings> settings, int64_t prefill) {
  std::vector<int64_t> extra;
  for (const Manifest::Record &record : manifest.records)
    extra.push_back(record.output);
  for (const Manifest::Count &count : manifest.counts)
    extra.push_back(count.output);
  std::vector<std::vector<at::Tensor>> parts(1 + extra.size());
  for (int64_t at = 0; at < ids.size(1);) {
    int64_t steps = at == 0 ? prefill : 1;
    at::Tensor where = positions.narrow(1, at, steps).contiguous();
    Expected<std::vector<at::Tensor>> outputs =
        call(ids.narrow(1, at, steps).contiguous(), where, settings);
    if (!outputs)
      return outputs.takeError();
    at::Tensor unused = where.lt(0).unsqueeze(2);
    // A copy: the next pass may overwrite what an output shares.
    parts[0].push_back(outputs->front().masked_fill(unused, 0));
    for (auto [index, output] : enumerate(extra))
      parts[1 + index].push_back((*outputs)[output].masked_fill(unused, 0));
    at += steps;
  }
  std::vector<at::Tensor> out;
  for (const std::vector<at::Tensor> &part : parts)
    out.push_back(at::cat(part, 1));
  return out;
}

Expected<Generator::Logits>
Generator::forward(const at::Tensor &ids, ArrayRef<RowSettings> settings,
                   std::optional<int64_t> prefill) {
  if (Error error = checkForward(ids, settings))
    return std::move(error);
  if (prefill && *prefill < 1)
    return fail("the prefill needs at least one token");
  c10::InferenceMode guard;
  try {
    at::Tensor padding = ids.lt(0);
    at::Tensor clean = ids.masked_fill(padding, 0);
    at::Tensor positions = at::arange(ids.size(1), at::kLong)
                               .expand(ids.sizes())
                               .masked_fill(padding, -1);
    size_t records = manifest.records.size();
    std::vector<std::vector<at::Tensor>> parts(1 + records +
                                               manifest.counts.size());
    for (int64_t first = 0; first < ids.size(0); first += model.maxBatch) {
      int64_t rows = std::min(model.maxBatch, ids.size(0) - first);
      Expected<std::vector<at::Tensor>> outputs = forwardRows(
          clean.narrow(0, first, rows), positions.narrow(0, first, rows),
          settings.slice(first, rows),
          std::min(prefill.value_or(ids.size(1)), ids.size(1)));
      if (!outputs)
        return outputs.takeError();
      for (auto [part, output] : zip(parts, *outputs))
        part.push_back(std::move(output));
    }
    Logits out;
    out.logits = at::cat(parts[0]);
    for (const std::vector<at::Tensor> &part :
         ArrayRef(parts).slice(1, records))
      out.records.push_back(at::cat(part));
    out.edited.assign(ids.size(0), nothingEdited(manifest));
    for (auto [site, part] : enumerate(ArrayRef(parts).drop_front(1 + records))) {
      at::Tensor tokens = at::cat(part);
      for (auto [row, edited] : enumerate(out.edited))
        addEdited(tokens[row], edited[site]);
    }
    return out;
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
}

} // namespace weir
