//===- MeasuringJob.cpp - What jobs share that measure a spec on texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MeasuringJob.h"

#include "ScratchProgram.h"

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

FailureOr<std::unique_ptr<SteeredProgram>>
MeasuringJob::openSteered(ModuleOp spec) {
  Compiler steered(context, inner(), compiler.opened());
  if (failed(steered.load(specWithoutProgram(spec))) ||
      failed(steered.steer()) || failed(loadRuntime()))
    return failure();
  std::unique_ptr<SteeredProgram> program;
  if (failed(withScratchProgram(steered, [&](StringRef path) -> llvm::Error {
        auto opened = runtime->openSteered(path, compiler.settings().operators);
        if (!opened)
          return opened.takeError();
        program = std::move(*opened);
        return llvm::Error::success();
      })))
    return failure();
  return program;
}

FailureOr<WindowLosses>
MeasuringJob::lossesOf(SteeredProgram &program, const TokenWindows &windows,
                       ArrayRef<RowSetting> settings,
                       std::optional<int64_t> promptTokens) {
  LossOptions options;
  options.promptTokens = promptTokens;
  options.progress = [&](int64_t done, int64_t total) {
    stage("losses, " + Twine(done) + " of " + Twine(total) + " rows");
  };
  auto losses = program.losses(windows, settings, options);
  if (!losses)
    return error() << llvm::toString(losses.takeError());
  return std::move(*losses);
}

bool weir::areEqualLosses(ArrayRef<double> losses, ArrayRef<double> plain) {
  return llvm::all_of(llvm::zip_equal(losses, plain), [](auto pair) {
    auto [x, y] = pair;
    return std::abs(x - y) <= 1e-7 * std::abs(y);
  });
}
