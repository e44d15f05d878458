//===- SweepJob.h - What weirc sweep does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A plan under many values of a knob: what it does to the loss of a text and to
// generated texts. Plans and knobs are of each row, so the points of a sweep are
// rows of one batch of one program.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_SWEEPJOB_H
#define WEIR_DRIVER_SWEEPJOB_H

#include "weir/Driver/EvaluateJob.h"

#include <array>

namespace weir {

/// The knob that is swept, and its values; or one that is set.
struct SweptKnob {
  std::string name;
  std::vector<double> values;
  bool isSwept = false;

  /// "faith=0:8:16" (16 values from 0 to 8, both included) or "mood=2". Values
  /// are rounded to f32, which programs take, and to as few digits as tell it.
  /// Errors: another form; a number that is none or not finite; a count outside
  /// of 1 to 10,000.
  static llvm::Expected<SweptKnob> parse(llvm::StringRef text);
};

struct SweepOptions {
  /// One of them is swept.
  std::vector<SweptKnob> knobs;
  std::string plan; ///< the first of the spec's unless given
  /// An addition of the plan whose forms are compared at equal budget; may be
  /// empty.
  std::string policy;

  /// The text of the losses, or the prompts that are gone on with, or both.
  std::string text;
  WindowOptions windows;
  std::optional<int64_t> promptTokens;
  std::vector<std::string> prompts;
  std::string promptsFile; ///< one a line, or .jsonl with a key "prompt"
  int64_t samples = 1;     ///< of each prompt
  int64_t maxNewTokens = 48;
  double temperature = 0, topP = 1;
  int64_t topK = 0;
  uint64_t seed = 0; ///< row r of each setting has seed + r

  /// What a text is rated by; at most one of them.
  std::vector<std::string> words;
  std::string regex, feature, judge;
  double judgeSeconds = 600;

  /// What a setting may cost to be the best one.
  double maxLossIncrease = 0.5, maxRepetition = 1;
  /// Where the spec with the best setting goes; empty for nowhere.
  std::string output;
  int threads = 0; ///< of the tensor library; 0 for as many as it likes
  std::function<void(llvm::StringRef)> progress;

  /// Errors: what does not go together; numbers that are out of range.
  llvm::Error check() const;
};

/// What `weirc sweep` has found.
struct Sweep {
  struct Form {
    std::string name, plan; ///< "cumulative gaussian"
    /// What makes it: the value of the strength, the keys behind that, and "own" or
    /// "cumulative"; all empty for the form that is written.
    std::string value, schedule, layers;
    /// The same as keys of the policy.
    std::string yaml() const;
    std::optional<double> budget; ///< at a knob of 1; see SweepForms.h
  };
  struct Point {
    size_t form = 0;
    double value = 0;
    std::optional<MeanOverWindows> loss, change; ///< with a text
    // With prompts: means over the texts.
    std::optional<double> repetition, score;
    std::array<double, 3> distinct = {}; ///< 1-, 2- and 3-grams
    std::vector<std::string> texts;      ///< by prompt, then sample
  };

  std::string knob, plan, scoredBy; ///< "words", …, or empty
  /// The feature that rates texts, and what the spec calls it; may be empty.
  std::string feature, label;
  std::vector<Form> forms;
  Point plain; ///< without a plan
  std::vector<Point> points; ///< by form, then value
  std::vector<std::string> prompts;
  /// Of the highest score within the limits, of the form that is written, and of
  /// all forms. None without a score, and where no point within them has a higher
  /// one than the plain model.
  std::optional<size_t> best, bestOfAll;
  /// False if a spec with the best setting was asked for and could not be written,
  /// of which there was an error.
  bool isWritten = true;
  /// What a run before, of the same, had finished: rows of losses, and texts of a
  /// point.
  int64_t resumedRows = 0, resumedTexts = 0;

  void print(llvm::raw_ostream &os) const;
  /// Whether all that was asked for is there.
  bool isWhole() const { return isWritten; }
  llvm::json::Object toJSON() const;
  /// A line a point; the first is the plain model's.
  std::string toCSV() const;
  static constexpr llvm::StringLiteral csvHead =
      "form,value,loss,loss_half_width,change,change_half_width,repetition,"
      "distinct_1,distinct_2,distinct_3,score\n";
};

/// Sweeps a knob of the spec of a compiler that has not loaded it yet. Errors go
/// to the context's diagnostic engine.
mlir::FailureOr<Sweep> sweep(mlir::MLIRContext &context, Compiler &compiler,
                             const SweepOptions &options);

/// A number with as few digits as tell its f32.
std::string shortestFloat(double number);

} // namespace weir

#endif // WEIR_DRIVER_SWEEPJOB_H
