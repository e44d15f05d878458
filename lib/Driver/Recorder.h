//===- Recorder.h - A program that records, run over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_RECORDER_H
#define WEIR_LIB_DRIVER_RECORDER_H

#include "weir/Driver/Compiler.h"
#include "weir/Torch/TorchRuntime.h"

namespace weir {

struct RecorderOptions {
  /// Where the program is written, a name that nobody else uses at the time: what
  /// is there is removed. Empty: in the system's temporary folder.
  std::string folder;
  OperatorPolicy operators;
  ActivationStreamOptions stream;
  /// Told what is being done; may be empty.
  std::function<void(llvm::StringRef)> stage;
};

/// Lowers and writes the program of a compiler that is steered, maps it, and
/// takes its name away, so that nothing stays behind however this process ends.
/// `windows` outlive what is returned.
llvm::Expected<std::unique_ptr<RecordedActivations>>
openRecorder(Compiler &compiler, TorchRuntime &runtime,
             const TokenWindows &windows, RecorderOptions options);

} // namespace weir

#endif // WEIR_LIB_DRIVER_RECORDER_H
