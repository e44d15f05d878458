//===- CaseRunner.cpp - Recomputing single tokens of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/CaseRunner.h"

#include "SparseRows.h"
#include "Support.h"
#include "TorchSupport.h"

#include "weir/Program/InputRoles.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallSet.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <set>

using namespace llvm;

namespace weir {
namespace {

using Source = CaseProgram::Source;

at::Tensor tensorOf(ArrayRef<int64_t> numbers, at::IntArrayRef sizes) {
  return at::tensor(at::ArrayRef<int64_t>(numbers.data(), numbers.size()),
                    at::kLong)
      .reshape(sizes);
}

/// Losses of `next` [n] under logits [n, V].
at::Tensor lossesOf(const at::Tensor &logits, const at::Tensor &next) {
  at::Tensor wide = logits.to(at::kFloat);
  return wide.logsumexp(-1) - wide.gather(-1, next.unsqueeze(-1)).squeeze(-1);
}

} // namespace

Error CaseRunner::open(std::shared_ptr<Archive> archive,
                       const EngineOptions &options) {
  auto opened = createEngineFactory(std::move(archive), options);
  if (!opened)
    return opened.takeError();
  factory = std::move(*opened);
  engines.resize(program.slices.size());
  std::set<size_t> wanted(program.activations.begin(),
                          program.activations.end());
  if (program.logits)
    wanted.insert(*program.logits);
  for (const CaseProgram::Slice &slice : program.slices)
    for (const CaseProgram::Input &input : slice.inputs)
      if (input.source == Source::Recorded || input.source == Source::Value ||
          input.source == Source::Cache)
        wanted.insert(input.index);
  auto made = factory->create(std::vector<size_t>(wanted.begin(), wanted.end()));
  if (!made)
    return made.takeError();
  recorder = std::move(*made);
  return Error::success();
}

Expected<std::unique_ptr<CaseRunner>>
CaseRunner::create(std::shared_ptr<Archive> archive, CaseProgram program,
                   const TokenWindows &windows, const EngineOptions &options) {
  std::unique_ptr<CaseRunner> runner(
      new CaseRunner(std::move(program), windows));
  if (Error error = runner->open(std::move(archive), options))
    return std::move(error);
  return std::move(runner);
}

Expected<Engine *> CaseRunner::engineOf(size_t slice) {
  std::unique_ptr<Engine> &engine = engines[slice];
  if (!engine) {
    const CaseProgram::Slice &part = program.slices[slice];
    std::vector<size_t> wanted;
    for (std::optional<size_t> output :
         {part.activations, part.value, part.logits})
      if (output)
        wanted.push_back(*output);
    auto made = factory->create(wanted);
    if (!made)
      return made.takeError();
    engine = std::move(*made);
  }
  return engine.get();
}

//===----------------------------------------------------------------------===//
// Recording
//===----------------------------------------------------------------------===//

Error CaseRunner::recordNow(size_t firstWindow, size_t count) {
  std::vector<std::vector<int64_t>> rows(count);
  lengths.clear();
  int64_t longest = 0;
  for (size_t row = 0; row < count; ++row) {
    windows.append(firstWindow + row, rows[row]);
    lengths.push_back(static_cast<int64_t>(rows[row].size()));
    longest = std::max(longest, lengths.back());
  }
  const int64_t b = static_cast<int64_t>(count);
  ids = at::zeros({b, longest}, at::kLong);
  for (auto [row, tokens] : enumerate(rows))
    llvm::copy(tokens, ids.mutable_data_ptr<int64_t>() + row * longest);
  // What stands behind the end of a shorter window is read as if it were text: no
  // earlier token sees it, and nobody asks for it.
  at::Tensor positions =
      at::arange(longest, at::kLong).unsqueeze(0).expand({b, longest}).contiguous();

  std::vector<at::Tensor> inputs;
  for (const ProgramInput &input : recorder->inputs()) {
    at::Tensor value;
    if (input.name == roleName(InputRole::InputIds))
      value = ids;
    else if (input.name == roleName(InputRole::Positions))
      value = positions;
    else if (input.name == roleName(InputRole::PromptLength) ||
             input.name == roleName(InputRole::Plan))
      value = at::zeros({b}, at::kLong);
    inputs.push_back(std::move(value));
  }
  auto made = recorder->run(inputs);
  if (!made)
    return made.takeError();
  outputs = std::move(*made);

  recorded.firstWindow = firstWindow;
  recorded.windows = count;
  recorded.activations.resize(program.activations.size());
  for (auto [output, record] :
       zip_equal(program.activations, recorded.activations)) {
    const at::Tensor &values = outputs.at(output);
    if (values.scalar_type() != at::kFloat || values.dim() != 3 ||
        values.size(0) != b || values.size(1) != longest)
      return fail("the activations of output {0} are no [{1}, {2}, F] f32 tensor",
                  output, b, longest);
    const int64_t width = values.size(2);
    at::Tensor dense = values.contiguous();
    const float *data = dense.const_data_ptr<float>();
    record.starts.assign(1, 0);
    record.features.clear();
    record.values.clear();
    for (int64_t row = 0; row < b; ++row)
      for (int64_t at = 0; at < lengths[row]; ++at)
        appendRow(data + (row * longest + at) * width, width, record);
  }

  recorded.losses.clear();
  if (!program.logits)
    return Error::success();
  for (int64_t row = 0; row < b; ++row) {
    const int64_t length = lengths[row];
    if (length > 1) {
      at::Tensor losses = lossesOf(
          outputs.at(*program.logits).select(0, row).narrow(0, 0, length - 1),
          ids.select(0, row).narrow(0, 1, length - 1));
      losses = losses.contiguous();
      const float *data = losses.const_data_ptr<float>();
      recorded.losses.insert(recorded.losses.end(), data, data + length - 1);
    }
    recorded.losses.push_back(std::nanf(""));
  }
  outputs[*program.logits] = at::Tensor();
  return Error::success();
}

Expected<const RecordedWindows *> CaseRunner::record(size_t firstWindow,
                                                     size_t count) {
  if (count == 0 || firstWindow + count > windows.size() ||
      count > static_cast<size_t>(program.windows))
    return fail("windows {0} to {1} cannot be read together", firstWindow,
                firstWindow + count - 1);
  c10::InferenceMode guard;
  try {
    outputs.clear();
    if (Error error = recordNow(firstWindow, count))
      return std::move(error);
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  return &recorded;
}

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

Error CaseRunner::check(const CaseBatch &batch) const {
  const size_t n = batch.rows.size();
  if (n == 0 || batch.positions.size() != n || batch.slices.empty() ||
      batch.tokens < 1)
    return fail("a batch without cases");
  for (auto [row, position] : zip_equal(batch.rows, batch.positions))
    if (row < 0 || row >= static_cast<int64_t>(lengths.size()) ||
        position < 0 || position + batch.tokens > lengths[row])
      return fail("tokens {0} to {1} of row {2} were not recorded", position,
                  position + batch.tokens - 1, row);
  for (size_t slice : batch.slices)
    if (slice >= program.slices.size())
      return fail("there is no slice {0}", slice);
  for (const auto &features : batch.features)
    if (features.size() != n * program.removed)
      return fail("a batch lacks features");
  for (const auto &kept : batch.kept)
    if (kept.size() != n * program.removed)
      return fail("a batch lacks features");
  return Error::success();
}

std::vector<at::Tensor> CaseRunner::inputsOf(size_t slice,
                                             const CaseBatch &batch,
                                             const at::Tensor &value) {
  const int64_t n = static_cast<int64_t>(batch.rows.size()), t = batch.tokens;
  const int64_t k = program.removed;
  at::Tensor rows = tensorOf(batch.rows, {n});
  at::Tensor tokens =
      tensorOf(batch.positions, {n, 1}) + at::arange(t, at::kLong).unsqueeze(0);
  // A slice that goes on from another takes nothing away.
  const bool isFirst = !value.defined();
  auto make = [&](const CaseProgram::Input &input) -> at::Tensor {
    switch (input.source) {
    case Source::Positions:
      return tokens;
    case Source::Value:
      if (!isFirst)
        return value;
      [[fallthrough]];
    case Source::Recorded:
      return outputs.at(input.index).index({rows.unsqueeze(1), tokens});
    case Source::Rows:
      return rows;
    case Source::Cache:
      return outputs.at(input.index);
    case Source::Features:
      return isFirst ? tensorOf(batch.features.at(input.index), {n, 1, k})
                     : at::zeros({n, 1, k}, at::kLong);
    case Source::Kept: {
      at::Tensor kept = at::zeros({n, 1, k}, at::kBool);
      if (isFirst)
        for (auto [at, flag] : enumerate(batch.kept.at(input.index)))
          kept.mutable_data_ptr<bool>()[at] = flag != 0;
      return kept;
    }
    case Source::Tokens: {
      at::Tensor edited = at::zeros({n, t, 1}, at::kBool);
      edited.select(1, 0).fill_(isFirst);
      return edited;
    }
    }
    return {};
  };
  std::vector<at::Tensor> inputs;
  for (const ProgramInput &declared : engines[slice]->inputs()) {
    auto found = find_if(program.slices[slice].inputs,
                         [&](const CaseProgram::Input &input) {
                           return input.name == declared.name;
                         });
    inputs.push_back(found == program.slices[slice].inputs.end() ? at::Tensor()
                                                                 : make(*found));
  }
  return inputs;
}

Error CaseRunner::runNow(const CaseBatch &batch, CaseResults &results) {
  const int64_t n = static_cast<int64_t>(batch.rows.size()), t = batch.tokens;
  at::Tensor value, logits;
  for (size_t slice : batch.slices) {
    auto engine = engineOf(slice);
    if (!engine)
      return engine.takeError();
    auto made = (*engine)->run(inputsOf(slice, batch, value));
    if (!made)
      return made.takeError();
    const CaseProgram::Slice &part = program.slices[slice];
    if (part.activations && results.width == 0) {
      activations = made->at(*part.activations).select(1, 0).contiguous();
      if (activations.scalar_type() != at::kFloat || activations.dim() != 2)
        return fail("the activations of a slice are no [n, t, F] f32 tensor");
      results.activations = activations.const_data_ptr<float>();
      results.width = activations.size(1);
    }
    value = part.value ? made->at(*part.value) : at::Tensor();
    if (part.logits)
      logits = made->at(*part.logits);
  }
  if (!logits.defined())
    return Error::success();
  at::Tensor next = tensorOf(batch.positions, {n, 1}) +
                    at::arange(1, t + 1, at::kLong).unsqueeze(0);
  at::Tensor rows = tensorOf(batch.rows, {n, 1});
  at::Tensor losses =
      lossesOf(logits, ids.index({rows, next.clamp_max(ids.size(1) - 1)}))
          .contiguous();
  const float *data = losses.const_data_ptr<float>();
  results.losses.assign(data, data + n * t);
  return Error::success();
}

Expected<CaseResults> CaseRunner::run(const CaseBatch &batch) {
  if (Error error = check(batch))
    return std::move(error);
  c10::InferenceMode guard;
  CaseResults results;
  try {
    if (Error error = runNow(batch, results))
      return std::move(error);
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  return std::move(results);
}

} // namespace weir
