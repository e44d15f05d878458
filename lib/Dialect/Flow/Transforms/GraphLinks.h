//===- GraphLinks.h - What a walk follows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FLOW_TRANSFORMS_GRAPHLINKS_H
#define WEIR_LIB_DIALECT_FLOW_TRANSFORMS_GRAPHLINKS_H

#include "weir/Dialect/Flow/Transforms/Graphs.h"
#include "weir/Resources/DictionaryStore.h"

#include "llvm/ADT/StringMap.h"

namespace weir::flow {

/// The matches of a walk as they lie in the cache, with thresholds and effects.
struct GraphLinks {
  std::vector<matching::GraphLink> links;
  /// Everything that a walk along them depends on.
  std::string key;
};

/// Finds the links of one walk after the other; what several need is read once.
class LinkReader {
public:
  /// With `candidates`, effects are shown and nothing is asked of them.
  LinkReader(mlir::ModuleOp module, Resources &resources, DictionaryStore &store,
             bool candidates)
      : module(module), resources(resources), store(store),
        candidates(candidates) {}

  /// Emits an error at the part of the walk that cannot be had.
  mlir::FailureOr<GraphLinks> read(WalkOpInterface walk);
  /// The `weirc validate` that measures the effect of every edge that a walk may
  /// ask for, as a shell takes it. `name`: the graph's in the spec. After `read`
  /// of a walk with a text.
  std::string measuringCommand(WalkOpInterface walk, llvm::StringRef name);

private:
  struct Side {
    DictionaryOp dictionary;
    matching::GraphPlace place;
  };
  Side sideOf(mlir::FlatSymbolRefAttr dictionary);
  llvm::Expected<matching::MatchView> matchOf(llvm::StringRef key);
  llvm::Expected<double> nullQuantile(PairOpInterface pair, DictionaryOp earlier,
                                      double quantile, mlir::Location loc);
  llvm::Expected<const EffectScores *> effectsOf(DictionaryOp earlier,
                                                 DictionaryOp later,
                                                 llvm::StringRef text,
                                                 mlir::Location loc);
  llvm::Expected<std::string> contentOf(DictionaryOp dictionary);

  mlir::ModuleOp module;
  Resources &resources;
  DictionaryStore &store;
  bool candidates;
  llvm::StringMap<matching::MatchView> matches;
  llvm::StringMap<std::vector<double>> randomCosines; ///< by rows
  llvm::StringMap<std::string> contents;              ///< by dictionary
  llvm::StringMap<std::string> texts;                 ///< hashes
  std::string model;                                  ///< hash, once needed
  llvm::StringMap<EffectScores> effects;              ///< by key
};

} // namespace weir::flow

#endif // WEIR_LIB_DIALECT_FLOW_TRANSFORMS_GRAPHLINKS_H
