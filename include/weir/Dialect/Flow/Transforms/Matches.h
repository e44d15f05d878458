//===- Matches.h - What the passes over matches share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_MATCHES_H
#define WEIR_DIALECT_FLOW_TRANSFORMS_MATCHES_H

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Matching/DictionaryMatch.h"

namespace weir::flow {

/// A link that an op follows, and whether it does so from source to target.
struct FollowedLink {
  Link link;
  bool forward;
  /// Where it leads from the features that are followed.
  SiteAttr end(mlir::MLIRContext *context) const;
};

/// The links of a matching that lead from features at a site to the others on a
/// side of it, in the order in which the matching has them.
llvm::SmallVector<FollowedLink> linksFrom(MatchingOp matching, SiteAttr site,
                                          Side side);

/// Emits an error if features are not of the dictionaries that a matching
/// compares.
mlir::LogicalResult checkCollection(MatchingOp matching,
                                    mlir::FlatSymbolRefAttr collection,
                                    mlir::Location loc);

/// Whether a match compares activations on a text instead of weights.
bool comparesActivations(PairOpInterface op);
/// Whether it needs activations at all, and so the model: to compare them, or to
/// fold their means into weights.
bool needsActivations(PairOpInterface op);

/// The options of a match by weights. Errors: a match by activations.
llvm::Expected<matching::MatchOptions> matchOptionsOf(PairOpInterface op);

/// Who is told of a run of flow-match. Members may be empty.
struct MatchObserver {
  /// Called before each match: how many are done, of how many, and which one is
  /// next ("sae.res.12 -> sae.res.11").
  std::function<void(int64_t done, int64_t total, llvm::StringRef next)> progress;
  /// Gets every result, in the order of the IR.
  std::function<void(ComputedOpInterface op,
                     const matching::Matcher::Outcome &outcome)>
      result;
};

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_MATCHES_H
