//===- MatchChains.h - A feature followed along matches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_MATCHCHAINS_H
#define WEIR_DRIVER_MATCHCHAINS_H

#include "weir/Driver/MatchReport.h"

namespace weir {

/// A feature as `weirc match --follow` names it: [DICTIONARY:]LAYER/SITE/INDEX.
struct FollowedFeature {
  std::string dictionary; ///< empty where the spec has one
  int64_t layer = 0;
  std::string site;
  int64_t index = 0;

  /// Errors: a text of another form.
  static llvm::Expected<FollowedFeature> parse(llvm::StringRef text);
};

/// A feature of a chain, and how similar it is to the one before it, which is
/// nearer to the feature that was followed.
struct ChainLink {
  std::string site; ///< "res.12"
  int64_t index = 0;
  double similarity = 0;
};

/// What one match says of a feature: of each feature the most similar
/// predecessor, up to the first layer that has one, and the most similar
/// successor.
struct MatchChain {
  std::string matching;
  ChainLink start; ///< its similarity says nothing
  std::vector<ChainLink> predecessors, successors; ///< nearest first
};

/// Follows a feature along every match of its dictionary that has its site, as
/// the selectors `predecessors` and `successors` would with a count of 1 at each
/// step: similarities of zero and less do not count, except under `mse`. Errors:
/// no match has the site, an index beyond the dictionary.
llvm::Expected<std::vector<MatchChain>>
followFeature(const FollowedFeature &feature, const MatchReport &report,
              mlir::ModuleOp module);

void printChains(llvm::ArrayRef<MatchChain> chains, llvm::raw_ostream &os);
llvm::json::Array toJSON(llvm::ArrayRef<MatchChain> chains);

} // namespace weir

#endif // WEIR_DRIVER_MATCHCHAINS_H
