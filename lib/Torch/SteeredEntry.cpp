//===- SteeredEntry.cpp - A SteeredRunner behind the border ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SteeredEntry.h"

#include "weir/Runtime/SteeredRunner.h"

using namespace llvm;

namespace weir {
namespace {

class Steered final : public SteeredProgram {
public:
  explicit Steered(std::unique_ptr<SteeredRunner> runner)
      : runner(std::move(runner)) {}

  const Manifest &manifest() const override { return runner->manifest(); }
  const ModelInfo &model() const override { return runner->model(); }

private:
  template <typename T> static std::string take(Expected<T> result, T &value) {
    if (!result)
      return toString(result.takeError());
    value = std::move(*result);
    return "";
  }

  std::string tryLosses(const TokenWindows &windows,
                        ArrayRef<RowSetting> settings,
                        const LossOptions &options,
                        WindowLosses &losses) override {
    return take(runner->losses(windows, settings, options), losses);
  }
  std::string
  tryGenerate(ArrayRef<PromptRow> rows, const ContinueOptions &options,
              std::vector<std::vector<int64_t>> &tokens) override {
    return take(runner->generate(rows, options), tokens);
  }
  std::string tryReadRecord(StringRef record, int64_t plan,
                            ArrayRef<ReadRow> rows,
                            std::vector<double> &means) override {
    return take(runner->readRecord(record, plan, rows), means);
  }

  std::unique_ptr<SteeredRunner> runner;
};

} // namespace

std::string openSteeredProgram(StringRef path, StringRef model,
                               const OperatorPolicy &operators,
                               std::unique_ptr<SteeredProgram> &program) {
  auto runner = SteeredRunner::open(path, model, operators);
  if (!runner)
    return toString(runner.takeError());
  program = std::make_unique<Steered>(std::move(*runner));
  return "";
}

} // namespace weir
