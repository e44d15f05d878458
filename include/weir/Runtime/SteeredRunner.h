//===- SteeredRunner.h - Runs many settings of one program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_STEEREDRUNNER_H
#define WEIR_RUNTIME_STEEREDRUNNER_H

#include "weir/Runtime/Program.h"
#include "weir/Runtime/SteeredRows.h"
#include "weir/Runtime/TokenWindows.h"

namespace weir {

/// Measures a steered program under settings that are rows of its batches: plans
/// and knobs are per row, so that they cost one pass together.
class SteeredRunner {
public:
  /// Tensors that the program does not hold are those of the archive `model`.
  /// Errors: those of Program::open. Files are not compared with their hashes.
  static llvm::Expected<std::unique_ptr<SteeredRunner>>
  open(llvm::StringRef path, llvm::StringRef model,
       const OperatorPolicy &operators);

  const Manifest &manifest() const { return program->manifest(); }
  const ModelInfo &model() const { return program->model(); }

  /// The losses of all windows under all settings. A token counts from position
  /// `windows.skipFirst()` on, and never the first of a window, which nothing
  /// predicts. The settings of a window lie in one batch where they fit. Errors:
  /// a plan or a number of knobs that the program does not have; what the engine
  /// reports; a loss that is not finite, with its window and setting.
  llvm::Expected<WindowLosses> losses(const TokenWindows &windows,
                                      llvm::ArrayRef<RowSetting> settings,
                                      const LossOptions &options);

  /// The new tokens of each row, without an end-of-sequence token at their end.
  /// Errors as Generator::generate's.
  llvm::Expected<std::vector<std::vector<int64_t>>>
  generate(llvm::ArrayRef<PromptRow> rows, const ContinueOptions &options);

  /// The mean of a record's columns over the tokens of each row that count, under
  /// a plan and the knobs' defaults; 0 for a row without such a token. Errors: no
  /// such record, a row that is longer than the program holds.
  llvm::Expected<std::vector<double>>
  readRecord(llvm::StringRef record, int64_t plan,
             llvm::ArrayRef<ReadRow> rows);

private:
  SteeredRunner() = default;
  llvm::Error check(const RowSetting &setting) const;

  std::unique_ptr<Program> program;
  Manifest logitsOnly; ///< without records and counts, which are not computed
  std::unique_ptr<Engine> engine;
};

} // namespace weir

#endif // WEIR_RUNTIME_STEEREDRUNNER_H
