//===- SteeredLoader.cpp - Errors of a SteeredProgram ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Messages that crossed the border become errors of this side's LLVM.
//
//===----------------------------------------------------------------------===//

#include "weir/Torch/TorchRuntime.h"

using namespace llvm;

namespace weir {

template <typename T>
static Expected<T> valueOr(const std::string &message, T &value) {
  if (!message.empty())
    return createStringError(message);
  return std::move(value);
}

Expected<WindowLosses> SteeredProgram::losses(const TokenWindows &windows,
                                              ArrayRef<RowSetting> settings,
                                              const LossOptions &options) {
  WindowLosses result;
  std::string message = tryLosses(windows, settings, options, result);
  return valueOr(message, result);
}

Expected<std::vector<std::vector<int64_t>>>
SteeredProgram::generate(ArrayRef<PromptRow> rows,
                         const ContinueOptions &options) {
  std::vector<std::vector<int64_t>> result;
  std::string message = tryGenerate(rows, options, result);
  return valueOr(message, result);
}

Expected<std::vector<double>>
SteeredProgram::readRecord(StringRef record, int64_t plan,
                           ArrayRef<ReadRow> rows) {
  std::vector<double> result;
  std::string message = tryReadRecord(record, plan, rows, result);
  return valueOr(message, result);
}

Expected<std::unique_ptr<SteeredProgram>>
TorchRuntime::openSteered(StringRef program, StringRef model,
                          const OperatorPolicy &operators) {
  std::unique_ptr<SteeredProgram> result;
  std::string message = tryOpenSteered(program, model, operators, result);
  return valueOr(message, result);
}

} // namespace weir
