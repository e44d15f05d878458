//===- Validation.h - Are matched features causes of each other? ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Causal validation by deactivation (arXiv 2502.03032, section 5): at a token where
// a target feature fires, features that a match calls its predecessors are taken
// away, h <- h - f d, at that token and their own site only. A target that goes
// out was made by them.
//
// An occurrence is a target at a token where it fires. A case is an occurrence and
// the active predecessors that a method takes away from it.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_VALIDATION_H
#define WEIR_DRIVER_VALIDATION_H

#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/Compiler.h"
#include "weir/Runtime/TokenWindows.h"

#include "llvm/Support/JSON.h"

#include <array>

namespace weir {

/// Which of a target's predecessors are taken away.
enum class ValidationMethod : uint8_t {
  Top1,        ///< the most similar of each module, one by one
  RandomOf5,   ///< one of the five most similar of each module, by chance
  Permutation, ///< the one that a permutation gives
  Top5,        ///< the five most similar of each module together
  Exhaustive,  ///< all features of each module, one by one
  Joint,       ///< two and more of the most similar ones of all modules
  Edges,       ///< those that a graph has, one by one
};
constexpr size_t numValidationMethods = 7;
/// As the command line and the tables have it: "random_of_5".
llvm::StringRef nameOf(ValidationMethod method);
std::optional<ValidationMethod> parseValidationMethod(llvm::StringRef name);

struct ValidationOptions {
  /// The text or the tokens; see TokenWindows::read.
  std::string text;
  WindowOptions windows;
  /// Names of the spec's matches: one by top_k and one permutation at most. Empty:
  /// those that there are, if it is one of a kind.
  std::vector<std::string> matches;
  /// Empty: all but the exhaustive one, as far as the matches allow.
  std::vector<ValidationMethod> methods;
  /// Features of each layer, drawn by `seed`. Without it those of the spec's graphs,
  /// whose edges are then what `Edges` and `Joint` take away.
  std::optional<int64_t> sample;
  /// Names of graphs; all that the spec has if empty.
  std::vector<std::string> graphs;
  uint64_t seed = 0;
  /// Tokens at which a target is looked at, at most, one a window.
  int64_t occurrences = 10;
  /// Whether losses are computed, and over how many tokens from the edited one on.
  bool losses = false;
  int64_t lossTokens = 8;
  /// Cases that are computed together.
  int64_t rows = 64;
  /// Told of what is being done; may be empty.
  std::function<void(llvm::StringRef)> progress;
};

struct ValidationFeature {
  uint32_t site = 0; ///< index into ValidationResult::sites
  int32_t index = 0;
  bool operator==(const ValidationFeature &) const = default;
  auto operator<=>(const ValidationFeature &) const = default;
};

struct ValidationCase {
  uint32_t occurrence = 0;
  ValidationMethod method = ValidationMethod::Top1;
  std::vector<ValidationFeature> predecessors;
  /// The target's activation.
  float before = 0, after = 0;
  /// Mean loss in nats of the tokens behind; NaN unless asked for.
  double loss = 0, lossAfter = 0;

  bool isSuccess() const { return after <= 0; }
  double change() const { return 1 - double(after) / double(before); }
};

struct ValidationOccurrence {
  uint32_t target = 0; ///< index into ValidationResult::targets
  uint32_t window = 0;
  int32_t position = 0;
  /// A bit for each module: whether its most similar predecessor is active.
  uint32_t group = 0;
};

/// A direct edge: a predecessor that was taken away alone, or one of a graph.
struct ValidationEdge {
  uint32_t target = 0;
  ValidationFeature predecessor;
  /// Of the graph or the match; NaN where it is none of the target's best.
  double similarity = 0;
  bool isInGraph = false;
  /// Mean change over the occurrences at which it was taken away; NaN without one.
  double effect = 0;
  int64_t cases = 0;
};

struct ValidationResult {
  std::vector<ActivationSite> sites;
  std::vector<ValidationFeature> targets;
  /// What the spec calls features of these sites, where it does.
  std::map<ValidationFeature, std::string> labels;
  /// Whose features the targets are; empty for a sample.
  std::vector<std::string> graphs;
  std::vector<ValidationMethod> methods;
  std::vector<ValidationOccurrence> occurrences;
  std::vector<ValidationCase> cases;
  std::vector<ValidationEdge> edges;
  /// The windows, and how many of them were read.
  TokenWindows windows;
  size_t windowsRead = 0;
  bool losses = false;
  int64_t lossTokens = 0;
  /// Windows that a run before had finished.
  size_t windowsResumed = 0;

  std::string nameOf(const ValidationFeature &feature) const;
  /// "RES+ATT"; "nowhere" for none.
  std::string nameOfGroup(uint32_t group) const;

  void print(llvm::raw_ostream &os) const;
  llvm::json::Object toJSON() const;
  /// A line a case, and the windows [n, context] int64 with -1 behind the end.
  llvm::Error writeCases(llvm::StringRef path) const;
  llvm::Error writeTokens(llvm::StringRef path) const;
  /// To be asked before the work. Errors: another ending than .csv and .npy; a file
  /// that is there and is neither empty nor an older one of these, or is `text`.
  static llvm::Error checkCases(llvm::StringRef path);
  static llvm::Error checkTokens(llvm::StringRef path, llvm::StringRef text);

private:
  void printNamed(llvm::raw_ostream &os) const;
};

/// Validates the graphs or the matches of a spec that `compiler` has loaded, with
/// the options that it has. Effects of edges are added to the cache
/// (Cache/EffectScores.h). A run that was killed goes on where it was, and a finished one is not run again.
/// Errors are reported: what the matches lack, a text that cannot be read or where
/// no target fires, what the model does not allow.
mlir::FailureOr<ValidationResult> validate(Compiler &compiler,
                                           const ValidationOptions &options);

} // namespace weir

#endif // WEIR_DRIVER_VALIDATION_H
