//===- ActivationStream.cpp - Recorded activations over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ActivationStream.h"

#include "SparseRows.h"
#include "Support.h"
#include "TorchSupport.h"

#include "weir/Runtime/Generator.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <bit>

using namespace llvm;

namespace weir {
namespace {

Expected<std::vector<Manifest::Record>>
findRecords(const Manifest &manifest, ArrayRef<std::string> names) {
  std::vector<Manifest::Record> found;
  for (const std::string &name : names) {
    auto it = find_if(manifest.records, [&](const Manifest::Record &record) {
      return record.name == name;
    });
    if (it == manifest.records.end()) {
      std::vector<std::string> known;
      for (const Manifest::Record &record : manifest.records)
        known.push_back(record.name);
      return fail("the program has no record '{0}', only {1}", name,
                  known.empty() ? "none" : join(known, ", "));
    }
    found.push_back(*it);
  }
  return found;
}

} // namespace

void appendRow(const float *values, int64_t width, SparseRecord &out) {
  constexpr int64_t step = 16;
  auto take = [&](int64_t feature) {
    // NaN is taken as well: whoever reads the values has to see it.
    if (values[feature] != 0) {
      out.features.push_back(static_cast<int32_t>(feature));
      out.values.push_back(values[feature]);
    }
  };
  int64_t at = 0;
  // Most are 0: look at several at once, without their signs.
  for (; at + step <= width; at += step) {
    uint32_t any = 0;
    for (int64_t i = 0; i < step; ++i)
      any |= std::bit_cast<uint32_t>(values[at + i]) << 1;
    if (any != 0)
      for (int64_t i = 0; i < step; ++i)
        take(at + i);
  }
  for (; at < width; ++at)
    take(at);
  out.starts.push_back(static_cast<int64_t>(out.values.size()));
}

Expected<ActivationStream>
ActivationStream::create(const Program &program, Engine &engine,
                         const TokenWindows &windows,
                         const ActivationStreamOptions &options) {
  const Manifest &manifest = program.manifest();
  ActivationStream stream(program, engine, windows);
  Expected<std::vector<Manifest::Record>> records =
      findRecords(manifest, options.records);
  if (!records)
    return records.takeError();
  stream.records = std::move(*records);
  if (options.plan < Manifest::unsteeredIndex ||
      options.plan >= static_cast<int64_t>(manifest.plans.size()))
    return fail("plan {0} is none of the program's {1}", options.plan,
                manifest.plans.size());
  stream.plan = options.plan;

  int64_t bytesPerToken = 1;
  for (const Manifest::Record &record : stream.records)
    bytesPerToken += static_cast<int64_t>(record.features.size()) * 4;
  const int64_t fitting =
      options.recordBytes / bytesPerToken / windows.context();
  stream.rowsPerBatch = static_cast<size_t>(
      std::clamp<int64_t>(fitting, 1, program.model().maxBatch));
  stream.batch.records.resize(stream.records.size());
  return stream;
}

Expected<std::unique_ptr<Engine>>
ActivationStream::createEngine(const Program &program,
                               ArrayRef<std::string> names) {
  Expected<std::vector<Manifest::Record>> records =
      findRecords(program.manifest(), names);
  if (!records)
    return records.takeError();
  std::vector<size_t> outputs;
  for (const Manifest::Record &record : *records)
    outputs.push_back(static_cast<size_t>(record.output));
  return program.createReferenceEngine(ArrayRef<size_t>(outputs));
}

Error ActivationStream::seek(size_t window) {
  if (window > windows.size() ||
      (window < windows.size() && window % rowsPerBatch != 0))
    return fail("no batch begins at window {0}", window);
  next = window;
  return Error::success();
}

Expected<std::vector<at::Tensor>>
ActivationStream::run(ArrayRef<std::vector<int64_t>> rows, int64_t longest) {
  const int64_t count = static_cast<int64_t>(rows.size());
  at::Tensor ids = at::zeros({count, longest}, at::kLong);
  at::Tensor positions = at::full({count, longest}, -1, at::kLong);
  std::vector<RowSettings> settings;
  std::vector<float> knobs;
  for (const Manifest::Knob &knob : program.manifest().knobs)
    knobs.push_back(static_cast<float>(knob.defaultValue));
  for (auto [row, tokens] : enumerate(rows)) {
    copy(tokens, ids.mutable_data_ptr<int64_t>() + row * longest);
    int64_t *position = positions.mutable_data_ptr<int64_t>() + row * longest;
    for (size_t at = 0; at < tokens.size(); ++at)
      position[at] = static_cast<int64_t>(at);
    settings.push_back({static_cast<int64_t>(tokens.size()), plan, knobs});
  }
  return engine.run(
      makeProgramInputs(program.manifest(), ids, positions, settings));
}

Expected<const ActivationBatch *> ActivationStream::read() {
  batch.firstWindow = next;
  batch.windows = std::min(rowsPerBatch, windows.size() - next);
  batch.tokens = 0;
  std::vector<std::vector<int64_t>> rows(batch.windows);
  int64_t longest = 0;
  for (size_t row = 0; row < batch.windows; ++row) {
    windows.append(next + row, rows[row]);
    longest = std::max(longest, windows.length(next + row));
    batch.tokens += windows.counted(next + row);
  }
  for (SparseRecord &record : batch.records) {
    record.starts.assign(1, 0);
    record.features.clear();
    record.values.clear();
  }
  if (batch.windows == 0)
    return &batch;

  c10::InferenceMode guard;
  try {
    Expected<std::vector<at::Tensor>> outputs = run(rows, longest);
    if (!outputs)
      return outputs.takeError();
    const int64_t skip = windows.skipFirst();
    for (auto [record, out] : zip(records, batch.records)) {
      const int64_t width = static_cast<int64_t>(record.features.size());
      const int64_t sizes[] = {static_cast<int64_t>(rows.size()), longest,
                               width};
      if (record.output >= static_cast<int64_t>(outputs->size()) ||
          !(*outputs)[record.output].defined() ||
          (*outputs)[record.output].scalar_type() != at::kFloat ||
          (*outputs)[record.output].sizes() != at::IntArrayRef(sizes))
        return fail("record '{0}' is no [{1}, {2}, {3}] f32 tensor",
                    record.name, sizes[0], sizes[1], sizes[2]);
      at::Tensor values = (*outputs)[record.output].contiguous();
      const float *data = values.const_data_ptr<float>();
      for (auto [row, tokens] : enumerate(rows))
        for (int64_t at = skip; at < static_cast<int64_t>(tokens.size()); ++at)
          appendRow(data + (row * longest + at) * width, width, out);
    }
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
  next += batch.windows;
  return &batch;
}

} // namespace weir
