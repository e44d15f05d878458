//===- Recorder.cpp - A program that records, run over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recorder.h"

#include "ScratchProgram.h"

#include "weir/Program/TensorSource.h"

using namespace mlir;
using namespace weir;

llvm::Expected<std::unique_ptr<RecordedActivations>>
weir::openRecorder(Compiler &compiler, TorchRuntime &runtime,
                   const TokenWindows &windows, RecorderOptions options) {
  std::unique_ptr<RecordedActivations> source;
  llvm::Error error = openScratchProgram(
      compiler, options.folder, [&](StringRef path) -> llvm::Error {
        if (options.stage)
          options.stage("loading the program");
        auto opened = runtime.openActivations(path, compiler.settings().model,
                                              options.operators, windows,
                                              options.stream);
        if (!opened)
          return opened.takeError();
        source = std::move(*opened);
        return llvm::Error::success();
      });
  if (!error)
    return source;
  if (!error.isA<ReportedError>())
    return std::move(error);
  llvm::consumeError(std::move(error));
  return llvm::createStringError(
      "the program that records cannot be made; the messages before this one "
      "say why");
}
