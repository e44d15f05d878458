//===- ActivationMatching.h - Statistics of activations over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matching by activations, the whole way: a program that records every feature
// of the dictionaries in question is compiled, a text runs through it once for
// all of them, and what the features do together is counted
// (Matching/Coactivation.h says what exactly).
//
//   auto collected = collectCoactivations(options);
//   auto found = collected->statistics.matches(pair, k);  // one pair after another
//   found->pearson.indices;             // [F, k]
//   found->together.givenFirst;         // [F, k]: P(match fires | feature fires)
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_ACTIVATIONMATCHING_H
#define WEIR_DRIVER_ACTIVATIONMATCHING_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Matching/Coactivation.h"
#include "weir/Operators/Operators.h"
#include "weir/Resources/Resources.h"
#include "weir/Runtime/TokenWindows.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>

namespace weir {

/// One dictionary: a place that a collection covers.
struct ActivationSite {
  std::string collection; ///< the symbol of a flow.collection
  fx::SiteKind kind = fx::SiteKind::Res;
  int64_t layer = 0;
  bool operator==(const ActivationSite &) const = default;
};

/// A spec with the collections of another one and one plan: to record all
/// features of each site, those of a collection that is there. The sites differ.
/// Errors: a collection that is not there.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
makeRecordingSpec(mlir::ModuleOp spec, llvm::ArrayRef<ActivationSite> sites);
/// What the program calls the record of the site at `index` of these.
std::string recordName(size_t index, const ActivationSite &site);

struct ActivationProgress {
  int64_t tokens = 0, totalTokens = 0;
  /// Of this run, without what was there before it was resumed.
  double tokensPerSecond = 0;
};

struct ActivationMatchingOptions {
  /// Declares the collections (flow.collection), and maybe the sites of the
  /// model (steer.model): an imported spec. Not changed.
  mlir::ModuleOp spec;
  /// The exported model (.pt2), and what the dictionaries' paths are relative to:
  /// the folder of the spec.
  std::shared_ptr<Resources> resources;
  /// What the model may call.
  OperatorPolicy operators;

  /// Dictionaries; one may be there twice.
  std::vector<ActivationSite> sites;
  /// Pairs of indices into `sites`.
  std::vector<std::pair<size_t, size_t>> pairs;

  /// The text or the tokens; see TokenWindows::read.
  std::string text;
  WindowOptions windows;
  /// Limits the memory for the activations of a batch; see ActivationStream.
  int64_t recordBytes = 512 << 20;

  /// Where checkpoints are, made if it is not there; empty for none. The file
  /// `KEY.coactivations` in it belongs to exactly this job: KEY is a hash of the
  /// model, the dictionaries, the sites and pairs, the text and all options that
  /// change a number. A killed run goes on from it, and a finished one is not
  /// run again.
  std::string checkpoints;
  /// Seconds between two checkpoints; longer if writing one takes more than a
  /// tenth of that. The last one is written at the end.
  double checkpointSeconds = 30;

  /// Called with what is being done, and after every batch. Both may be empty.
  std::function<void(llvm::StringRef)> stage;
  std::function<void(const ActivationProgress &)> progress;
};

struct CollectedActivations {
  /// Dictionaries and pairs are those of the options, in their order.
  matching::Coactivations statistics;
  /// 64 hexadecimal digits; see `checkpoints`.
  std::string key;
  /// Tokens that a checkpoint already had.
  int64_t resumedTokens = 0;
};

/// Runs the text through the model and collects. The same job gives the same
/// bits whether it was interrupted or not, as long as the number of threads is
/// the same (the model's products depend on it). While it runs, it needs free
/// space of the model's size beside the checkpoints (in the system's temporary
/// folder if there are none).
///
/// What is wrong with the spec, the sites or the dictionaries is reported to the
/// context's diagnostic engine, at its place in the spec, and the error says so.
/// Other errors: a text, model or checkpoint that cannot be read; a collection
/// that is not there; a job that another process is running; activations that
/// are NaN or infinite.
llvm::Expected<CollectedActivations>
collectCoactivations(const ActivationMatchingOptions &options);

/// Matches by activations for the resources that it is given to: statistics are
/// kept in their cache. `progress` is told what is being done, and may be empty.
std::unique_ptr<ActivationSource>
makeActivationSource(Resources &resources, OperatorPolicy operators = {},
                     std::function<void(llvm::StringRef)> progress = {});

} // namespace weir

#endif // WEIR_DRIVER_ACTIVATIONMATCHING_H
