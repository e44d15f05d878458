//===- SteeredProgram.h - A SteeredRunner, loaded on demand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TORCH_STEEREDPROGRAM_H
#define WEIR_TORCH_STEEREDPROGRAM_H

#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/ModelInfo.h"
#include "weir/Runtime/SteeredRows.h"
#include "weir/Runtime/TokenWindows.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace weir {

/// What SteeredRunner.h says, behind the border that TensorMath.h tells of; made
/// by TorchRuntime::openSteered. Errors of all functions: those of what they stand
/// for.
class SteeredProgram {
public:
  virtual ~SteeredProgram() = default;

  virtual const Manifest &manifest() const = 0;
  virtual const ModelInfo &model() const = 0;

  llvm::Expected<WindowLosses> losses(const TokenWindows &windows,
                                      llvm::ArrayRef<RowSetting> settings,
                                      const LossOptions &options);
  llvm::Expected<std::vector<std::vector<int64_t>>>
  generate(llvm::ArrayRef<PromptRow> rows, const ContinueOptions &options);
  llvm::Expected<std::vector<double>>
  readRecord(llvm::StringRef record, int64_t plan,
             llvm::ArrayRef<ReadRow> rows);

protected:
  // Messages of errors; empty for none.
  virtual std::string tryLosses(const TokenWindows &windows,
                                llvm::ArrayRef<RowSetting> settings,
                                const LossOptions &options,
                                WindowLosses &losses) = 0;
  virtual std::string
  tryGenerate(llvm::ArrayRef<PromptRow> rows, const ContinueOptions &options,
              std::vector<std::vector<int64_t>> &tokens) = 0;
  virtual std::string tryReadRecord(llvm::StringRef record, int64_t plan,
                                    llvm::ArrayRef<ReadRow> rows,
                                    std::vector<double> &means) = 0;
};

} // namespace weir

#endif // WEIR_TORCH_STEEREDPROGRAM_H
