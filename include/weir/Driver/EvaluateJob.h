//===- EvaluateJob.h - What weirc evaluate does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tables of the papers for a model, its dictionaries and the plans of a spec,
// over a text: the loss and how much each plan changes it (substituted layers are
// plans as all others), how well dictionaries reconstruct, and how matches hold
// over distance: by their cosines, and by how often features are active together.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_EVALUATEJOB_H
#define WEIR_DRIVER_EVALUATEJOB_H

#include "weir/Driver/Compiler.h"
#include "weir/Driver/DictionaryStatistics.h"
#include "weir/Runtime/TokenWindows.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace weir {

struct EvaluateOptions {
  /// The text or the tokens; see TokenWindows::read.
  std::string text;
  WindowOptions windows;
  /// Tokens of a window that are its prompt to policies; all unless given.
  std::optional<int64_t> promptTokens;
  /// Threads of the tensor library; 0 for as many as it likes.
  int threads = 0;
  /// Limits the memory for recorded activations, and so the rows of a batch.
  int64_t recordBytes = 512 << 20;
  /// A command that judges matched features by their contexts (Judge.h), the
  /// seconds that it has, how many pairs it gets, and what chooses them.
  std::string judge;
  double judgeSeconds = 600;
  int64_t judgedPairs = 50;
  uint64_t seed = 0;
  /// Seconds between two times that what was counted of activations is kept, longer
  /// if that takes more than a tenth of them.
  double checkpointSeconds = 30;
  std::function<void(llvm::StringRef)> progress;
};

/// A mean over the predicted tokens of a text, and half the width of its 95%
/// interval, which takes windows for independent: 1.96 standard errors of a ratio
/// of sums over windows. None with one window.
struct MeanOverWindows {
  double value = 0;
  std::optional<double> halfWidth;

  /// `sums` and `counts` are of windows; windows without a token do not count.
  static MeanOverWindows of(llvm::ArrayRef<double> sums,
                            llvm::ArrayRef<int64_t> counts);
  /// The change from `before` to `after`, window by window.
  static MeanOverWindows ofChange(llvm::ArrayRef<double> after,
                                  llvm::ArrayRef<double> before,
                                  llvm::ArrayRef<int64_t> counts);
  llvm::json::Object toJSON() const;
};

/// What `weirc evaluate` has found.
struct Evaluation {
  struct PlanLoss {
    std::string plan;
    MeanOverWindows loss, change; ///< nats a token; change from the plain model
    /// It edits, and yet every window has the loss of the plain model.
    bool hasNoEffect = false;
  };
  struct DictionaryEntry {
    std::string collection, kind; ///< "sae", "res"
    int64_t layer = 0, features = 0, silent = 0;
    double l0 = 0;
    std::optional<double> explainedVariance;
  };
  struct MatchScore {
    std::string matching, source, target, kind; ///< "flow", "res.12", "res.11"
    int64_t steps = 1, distance = 0, pairs = 0;
    bool sameKind = false;
    double cosine = 0; ///< mean over the pairs, of decoder rows
    MatchStatistics::Scores active;
  };
  /// Matches and compositions of matches that are as far apart: means, each
  /// weighted with its pairs or features.
  struct DecayPoint {
    std::string matching, kind;
    int64_t distance = 0, pairs = 0;
    double cosine = 0;
    MatchStatistics::Scores active;
  };
  struct JudgedPair {
    std::string matching, source, target; ///< "11/res/743"
    /// What the spec calls them, or empty.
    std::string sourceLabel, targetLabel;
    double similarity = 0;
    std::string verdict;
  };

  std::string text;
  int64_t windows = 0, tokens = 0, predicted = 0, context = 0;
  MeanOverWindows plain;
  std::vector<PlanLoss> plans;
  std::vector<DictionaryEntry> dictionaries;
  std::vector<MatchScore> matches;
  std::vector<JudgedPair> judged;
  /// What a run before, of the same, had finished: rows of losses, and windows whose
  /// activations were counted.
  int64_t resumedRows = 0, resumedWindows = 0;

  std::vector<DecayPoint> decay() const;
  void print(llvm::raw_ostream &os) const;
  /// Whether all that was asked for is there.
  bool isWhole() const { return true; }
  llvm::json::Object toJSON() const;
  /// One number a line.
  std::string toCSV() const;
  static constexpr llvm::StringLiteral csvHead =
      "section,name,measure,value\n";
};

/// Evaluates the spec of a compiler that has not loaded it yet. Errors go to the
/// context's diagnostic engine, at their line of the spec where they have one;
/// a plan without effect on the text is a warning.
mlir::FailureOr<Evaluation> evaluate(mlir::MLIRContext &context,
                                     Compiler &compiler,
                                     const EvaluateOptions &options);

} // namespace weir

#endif // WEIR_DRIVER_EVALUATEJOB_H
