//===- Sweeper.h - One run of weirc sweep ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SWEEPER_H
#define WEIR_LIB_DRIVER_SWEEPER_H

#include "MeasuringJob.h"
#include "ModelTokenizer.h"

#include "weir/Driver/SweepJob.h"
#include "weir/Runtime/TextScores.h"

namespace weir {

/// One sweep. How texts are made is in SweepTexts.cpp, how they are rated and which
/// setting is the best in SweepScores.cpp, the rest in SweepJob.cpp.
class Sweeper : MeasuringJob {
public:
  Sweeper(mlir::MLIRContext &context, Compiler &compiler,
          const SweepOptions &options)
      : MeasuringJob(context, compiler, options.threads, options.progress),
        options(options) {}

  mlir::FailureOr<Sweep> run();

private:
  /// The plan that reads a feature of texts, and the beginning of its policy's name.
  /// Names in a spec begin with a letter.
  static constexpr llvm::StringLiteral readerName = "0-reader";

  mlir::LogicalResult checkKnobs();
  mlir::LogicalResult findForms();
  mlir::LogicalResult addReader();
  mlir::LogicalResult openProgram();
  mlir::LogicalResult readPrompts();
  mlir::LogicalResult measureLosses();
  mlir::LogicalResult generate();
  mlir::FailureOr<std::vector<std::vector<int64_t>>>
  tokensOf(llvm::ArrayRef<PromptRow> rows, ContinueOptions how);
  mlir::LogicalResult rate(llvm::ArrayRef<std::vector<int64_t>> tokens);
  mlir::LogicalResult rateAlone(const TextScore &score);
  mlir::LogicalResult
  rateByFeature(llvm::ArrayRef<std::vector<int64_t>> tokens);
  mlir::LogicalResult rateByJudge();
  void setScores(llvm::ArrayRef<double> scores);
  void chooseBest();
  mlir::LogicalResult writeSpec();

  SteeredProgram &program() { return *measured.program; }
  const SweptKnob &swept() const {
    return *llvm::find_if(options.knobs,
                          [](const SweptKnob &knob) { return knob.isSwept; });
  }
  /// The points, the plain model's first.
  size_t numPoints() const { return 1 + result.points.size(); }
  Sweep::Point &point(size_t at) {
    return at == 0 ? result.plain : result.points[at - 1];
  }
  /// Texts of each point.
  size_t textsOfPoint() const { return prompts.size() * options.samples; }

  const SweepOptions &options;
  mlir::OwningOpRef<mlir::ModuleOp> spec;
  Measured measured;
  std::vector<RowSetting> settings; ///< of the points, the plain one first
  std::vector<std::vector<int64_t>> prompts;
  std::unique_ptr<Tokenizer> tokenizer;
  Sweep result;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_SWEEPER_H
