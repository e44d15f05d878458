//===- TorchRuntime.h - Running programs, loaded on demand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the tools ask of the runtime (lib/Runtime), which needs LibTorch: see
// TensorMath.h. Torch-free to include.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TORCH_TORCHRUNTIME_H
#define WEIR_TORCH_TORCHRUNTIME_H

#include "weir/Operators/Operators.h"
#include "weir/Program/Archive.h"
#include "weir/Resources/ModelTokens.h"
#include "weir/Runtime/ActivationBatch.h"
#include "weir/Runtime/CaseProgram.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/ModelInfo.h"
#include "weir/Runtime/RunJob.h"
#include "weir/Runtime/TokenWindows.h"
#include "weir/Torch/SteeredProgram.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <string>

namespace weir {

/// An ActivationStream and its program; see ActivationStream.h.
class RecordedActivations {
public:
  virtual ~RecordedActivations() = default;

  /// The first window of the next batch; `windows.size()` at the end.
  virtual size_t position() const = 0;
  virtual bool atEnd() const = 0;
  llvm::Error seek(size_t window);
  /// The next batch, valid until the next call.
  llvm::Expected<const ActivationBatch *> read();

protected:
  // Messages of errors; empty for none. See TensorMath.h.
  virtual std::string trySeek(size_t window) = 0;
  virtual std::string tryRead(const ActivationBatch *&batch) = 0;
};

/// A CaseRunner; see CaseRunner.h.
class RecordedCases {
public:
  virtual ~RecordedCases() = default;

  llvm::Expected<const RecordedWindows *> record(size_t firstWindow,
                                                 size_t count);
  llvm::Expected<CaseResults> run(const CaseBatch &batch);

protected:
  // Messages of errors; empty for none.
  virtual std::string tryRecord(size_t firstWindow, size_t count,
                                const RecordedWindows *&recorded) = 0;
  virtual std::string tryRun(const CaseBatch &batch, CaseResults &results) = 0;
};

/// Errors of all functions: those of what they stand for.
class TorchRuntime {
public:
  /// As TensorMath::load.
  static llvm::Expected<TorchRuntime &> load();

  /// The version of LibTorch.
  virtual const char *torchVersion() const = 0;

  /// As `checkProgram` in ProgramCheck.h.
  llvm::Expected<ModelInfo> checkProgram(const Archive &archive,
                                         const Manifest &description,
                                         const OperatorPolicy &operators);
  /// `TokenWindows::read` with the tokenizer of a model, whose file is not
  /// compared with its checksums.
  llvm::Expected<TokenWindows> readWindows(llvm::StringRef text,
                                           llvm::StringRef model,
                                           const OperatorPolicy &operators,
                                           const WindowOptions &options);
  /// A program that records, at a path that may be removed then, run over windows,
  /// which outlive it. Tensors that it does not hold are those of `model`. No file
  /// is compared with its hash.
  llvm::Expected<std::unique_ptr<RecordedActivations>>
  openActivations(llvm::StringRef program, llvm::StringRef model,
                  const OperatorPolicy &operators, const TokenWindows &windows,
                  const ActivationStreamOptions &options);
  /// A program whose plans and knobs are measured, at a path that may be removed
  /// then, with tensors of `model`; see SteeredRunner.h.
  llvm::Expected<std::unique_ptr<SteeredProgram>>
  openSteered(llvm::StringRef program, llvm::StringRef model,
              const OperatorPolicy &operators);
  /// The ids of texts, as the tokenizer of a model has them; its file is not
  /// compared with its checksums. Without texts it needs no tokenizer.
  llvm::Expected<ModelTokens> encode(llvm::ArrayRef<std::string> texts,
                                     llvm::StringRef model,
                                     const OperatorPolicy &operators);
  /// A program with slices, at a path that may be removed then; weights that it
  /// does not hold are those of `model`. `windows` outlives it. `threads` may run a
  /// product, 0 for as many as there are cores.
  llvm::Expected<std::unique_ptr<RecordedCases>>
  openCases(llvm::StringRef program, llvm::StringRef model,
            const OperatorPolicy &operators, CaseProgram parts,
            const TokenWindows &windows, int threads);
  /// `runJob` in RunJob.h, of the tool of that name.
  virtual int runJob(const char *tool, const RunOptions &options,
                     llvm::raw_fd_ostream &out, llvm::raw_fd_ostream &err) = 0;

protected:
  ~TorchRuntime() = default;

  // Messages of errors; empty for none.
  virtual std::string tryCheckProgram(const Archive &archive,
                                      const Manifest &description,
                                      const OperatorPolicy &operators,
                                      ModelInfo &info) = 0;
  virtual std::string tryReadWindows(llvm::StringRef text, llvm::StringRef model,
                                     const OperatorPolicy &operators,
                                     const WindowOptions &options,
                                     TokenWindows &windows) = 0;
  virtual std::string
  tryOpenActivations(llvm::StringRef program, llvm::StringRef model,
                     const OperatorPolicy &operators,
                     const TokenWindows &windows,
                     const ActivationStreamOptions &options,
                     std::unique_ptr<RecordedActivations> &source) = 0;
  virtual std::string
  tryOpenSteered(llvm::StringRef program, llvm::StringRef model,
                 const OperatorPolicy &operators,
                 std::unique_ptr<SteeredProgram> &result) = 0;
  virtual std::string tryEncode(llvm::ArrayRef<std::string> texts,
                                llvm::StringRef model,
                                const OperatorPolicy &operators,
                                ModelTokens &tokens) = 0;
  virtual std::string tryOpenCases(llvm::StringRef program,
                                   llvm::StringRef model,
                                   const OperatorPolicy &operators,
                                   CaseProgram parts, const TokenWindows &windows,
                                   int threads,
                                   std::unique_ptr<RecordedCases> &cases) = 0;
};

} // namespace weir

#endif // WEIR_TORCH_TORCHRUNTIME_H
