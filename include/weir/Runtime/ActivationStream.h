//===- ActivationStream.h - Recorded activations over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_ACTIVATIONSTREAM_H
#define WEIR_RUNTIME_ACTIVATIONSTREAM_H

#include "weir/Runtime/ActivationBatch.h"
#include "weir/Runtime/Engine.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/Program.h"
#include "weir/Runtime/TokenWindows.h"

namespace weir {

/// Runs a program over windows of tokens, each from position 0, and hands out
/// its records. Which windows go together depends on the options alone, so that
/// a stream that begins in the middle, where a batch begins, gives the same bits
/// as one that came there.
class ActivationStream {
public:
  /// Everything outlives the stream. The knobs have their default values.
  /// Errors: a record or plan that the program does not have.
  static llvm::Expected<ActivationStream>
  create(const Program &program, Engine &engine, const TokenWindows &windows,
         const ActivationStreamOptions &options);

  /// The engine that `create` wants at its best: it computes the given records
  /// and leaves the logits out, and all layers that only the logits need.
  static llvm::Expected<std::unique_ptr<Engine>>
  createEngine(const Program &program,
               llvm::ArrayRef<std::string> records);

  /// The first window of the next batch; `windows.size()` at the end.
  size_t position() const { return next; }
  /// Goes on at a window. Errors: a window at which no batch begins.
  llvm::Error seek(size_t window);
  bool atEnd() const { return next == windows.size(); }
  /// The next batch, valid until the next call. Errors: what the engine
  /// reports; a record that is no [b, S, k] f32 tensor.
  llvm::Expected<const ActivationBatch *> read();

private:
  ActivationStream(const Program &program, Engine &engine,
                   const TokenWindows &windows)
      : program(program), engine(engine), windows(windows) {}
  llvm::Expected<std::vector<at::Tensor>>
  run(llvm::ArrayRef<std::vector<int64_t>> rows, int64_t longest);

  const Program &program;
  Engine &engine;
  const TokenWindows &windows;
  std::vector<Manifest::Record> records;
  int64_t plan = 0;
  size_t rowsPerBatch = 1, next = 0;
  ActivationBatch batch;
};

} // namespace weir

#endif // WEIR_RUNTIME_ACTIVATIONSTREAM_H
