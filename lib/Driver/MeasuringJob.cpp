//===- MeasuringJob.cpp - What jobs share that measure a spec on texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MeasuringJob.h"

#include "ScratchProgram.h"

#include "weir/Program/Fingerprint.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"
#include "weir/Torch/TensorMath.h"

#include <cmath>

using namespace mlir;
using namespace weir;

CompilerOptions MeasuringJob::inner() const {
  CompilerOptions result;
  result.operators = compiler.settings().operators;
  result.progress = progress;
  return result;
}

LogicalResult MeasuringJob::loadRuntime() {
  if (runtime)
    return success();
  auto loaded = TorchRuntime::load();
  if (!loaded)
    return error() << llvm::toString(loaded.takeError());
  runtime = &*loaded;
  if (threads == 0)
    return success();
  auto math = TensorMath::load();
  if (!math)
    return error() << llvm::toString(math.takeError());
  math->setThreads(threads);
  return success();
}

llvm::Expected<std::string> MeasuringJob::hashOfProgram(StringRef path) {
  auto file = sha256OfFile(path);
  if (!file)
    return file.takeError();
  if (tensors.empty()) {
    stage("hashing the model");
    auto archive = compiler.opened()->model();
    if (!archive)
      return archive.takeError();
    tensors = tensorsHash(**archive);
  }
  return sha256(StringRef(*file + " " + tensors));
}

FailureOr<MeasuringJob::Measured> MeasuringJob::openSteered(ModuleOp spec) {
  Compiler steered(context, inner(), compiler.opened());
  if (failed(steered.load(specWithoutProgram(spec))) ||
      failed(steered.steer()) || failed(loadRuntime()))
    return failure();
  Measured result;
  if (failed(withScratchProgram(steered, [&](StringRef path) -> llvm::Error {
        auto opened = runtime->openSteered(path, compiler.settings().model,
                                           compiler.settings().operators);
        if (!opened)
          return opened.takeError();
        result.program = std::move(*opened);
        return hashOfProgram(path).moveInto(result.hash);
      })))
    return failure();
  return std::move(result);
}

FailureOr<WindowLosses>
MeasuringJob::lossesOf(const Measured &measured, const TokenWindows &windows,
                       ArrayRef<RowSetting> settings,
                       std::optional<int64_t> promptTokens,
                       int64_t &resumedRows) {
  std::vector<double> known;
  auto log = openLog(
      llvm::json::Object{{"what", "losses"},
                         {"program", measured.hash},
                         {"settings", describe(settings)},
                         {"windows", hashOf(windows)},
                         {"promptTokens", promptTokens.value_or(-1)}},
      [&](PartReader part) { llvm::append_range(known, part.getAll<double>()); });
  if (failed(log))
    return failure();
  resumedRows = static_cast<int64_t>(known.size());
  LossOptions options;
  options.firstRow = resumedRows;
  options.finished = [&](int64_t, const std::vector<double> &sums) {
    PartWriter part;
    part.putAll(ArrayRef(sums));
    llvm::Error problem = (*log)->append(part);
    return problem ? llvm::toString(std::move(problem)) : std::string();
  };
  options.promptTokens = promptTokens;
  options.progress = [&](int64_t done, int64_t total) {
    stage("losses, " + Twine(done) + " of " + Twine(total) + " rows");
  };
  auto losses = measured.program->losses(windows, settings, options);
  if (!losses)
    return error() << llvm::toString(losses.takeError());
  for (auto [row, sum] : llvm::enumerate(known))
    losses->sums[row % settings.size()][row / settings.size()] = sum;
  return std::move(*losses);
}

std::string MeasuringJob::hashOf(const TokenWindows &windows) {
  std::vector<int64_t> numbers{windows.skipFirst(), windows.context()};
  for (size_t window = 0; window < windows.size(); ++window) {
    numbers.push_back(-1 - windows.length(window));
    windows.append(window, numbers);
  }
  return sha256(StringRef(reinterpret_cast<const char *>(numbers.data()),
                          numbers.size() * sizeof(int64_t)));
}

llvm::json::Array MeasuringJob::describe(ArrayRef<RowSetting> settings) {
  llvm::json::Array rows;
  for (const RowSetting &setting : settings) {
    llvm::json::Array row{setting.plan};
    for (float knob : setting.knobs)
      row.push_back(static_cast<double>(knob));
    rows.push_back(std::move(row));
  }
  return rows;
}

FailureOr<std::unique_ptr<JobLog>>
MeasuringJob::openLog(llvm::json::Object description,
                      llvm::function_ref<void(PartReader)> part) {
  description["torch"] = runtime->torchVersion();
  description["version"] = 1;
  auto cache = compiler.opened()->cache();
  if (!cache)
    return error() << llvm::toString(cache.takeError());
  auto log = JobLog::open(cache->activationFolder(),
                          sha256(StringRef(printJSON(std::move(description)))),
                          "measures", part);
  if (!log)
    return error() << llvm::toString(log.takeError());
  return std::move(*log);
}

bool weir::areEqualLosses(ArrayRef<double> losses, ArrayRef<double> plain) {
  return llvm::all_of(llvm::zip_equal(losses, plain), [](auto pair) {
    auto [x, y] = pair;
    return std::abs(x - y) <= 1e-7 * std::abs(y);
  });
}
