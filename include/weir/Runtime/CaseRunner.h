//===- CaseRunner.h - Recomputing single tokens of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_CASERUNNER_H
#define WEIR_RUNTIME_CASERUNNER_H

#include "weir/Program/Archive.h"
#include "weir/Runtime/CaseProgram.h"
#include "weir/Runtime/Engine.h"
#include "weir/Runtime/TokenWindows.h"

namespace weir {

/// Runs a program as CaseProgram.h describes it.
class CaseRunner {
public:
  /// `windows` outlives the runner. Errors: those of the engines; outputs or
  /// inputs that the program does not have.
  static llvm::Expected<std::unique_ptr<CaseRunner>>
  create(std::shared_ptr<Archive> archive, CaseProgram program,
         const TokenWindows &windows, const EngineOptions &options);

  /// Reads windows, at most `CaseProgram::windows` of them; what was recorded
  /// before is forgotten. Valid until the next call. Errors: those of the engine,
  /// and outputs of another type or shape than they should have.
  llvm::Expected<const RecordedWindows *> record(size_t firstWindow,
                                                 size_t count);
  /// Computes cases of these windows. Errors: those of the engine; rows, tokens
  /// or features that are not there.
  llvm::Expected<CaseResults> run(const CaseBatch &batch);

private:
  CaseRunner(CaseProgram program, const TokenWindows &windows)
      : program(std::move(program)), windows(windows) {}
  llvm::Error open(std::shared_ptr<Archive> archive,
                   const EngineOptions &options);
  llvm::Error recordNow(size_t firstWindow, size_t count);
  llvm::Error runNow(const CaseBatch &batch, CaseResults &results);
  llvm::Expected<Engine *> engineOf(size_t slice);
  std::vector<at::Tensor> inputsOf(size_t slice, const CaseBatch &batch,
                                   const at::Tensor &value);
  llvm::Error check(const CaseBatch &batch) const;

  CaseProgram program;
  const TokenWindows &windows;
  std::unique_ptr<EngineFactory> factory;
  std::unique_ptr<Engine> recorder;
  /// One a slice, made when it is first run.
  std::vector<std::unique_ptr<Engine>> engines;

  at::Tensor ids;                  ///< [b, S] of the windows recorded
  std::vector<at::Tensor> outputs; ///< of the recorder
  std::vector<int64_t> lengths;
  RecordedWindows recorded;
  at::Tensor activations; ///< what the last results point to
};

} // namespace weir

#endif // WEIR_RUNTIME_CASERUNNER_H
