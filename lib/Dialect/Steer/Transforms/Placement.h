//===- Placement.h - Where the policies of a module are written ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PLACEMENT_H
#define WEIR_DIALECT_STEER_TRANSFORMS_PLACEMENT_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/MapVector.h"

namespace weir::steer {

/// Features of one dictionary that one policy writes at one site.
struct Placement {
  PolicyOp policy;
  flow::SiteAttr site;           ///< where it is written
  flow::DictionaryOp dictionary; ///< whose rows are used
  llvm::SmallVector<int64_t> features;
  /// One for each feature, which multiplies the strength of an addition.
  llvm::SmallVector<double> weights;
  /// Lowest and highest layer the policy writes at, for its schedule.
  int64_t firstLayer = 0, lastLayer = 0;
  /// Transfers only: what the features take over, in the same order; empty at
  /// the side that is taken from.
  flow::DictionaryOp sources;
  llvm::SmallVector<int64_t> sourceFeatures;
  /// Where features of a cross-layer transcoder are written beyond their own
  /// layer: the dictionary whose features they are, else null.
  flow::DictionaryOp furtherOf;
};

/// All placements, grouped by site in no particular order; within a site in the
/// order of the policies. Emits errors and fails where a policy cannot be
/// placed.
using Placements =
    llvm::MapVector<flow::SiteAttr, llvm::SmallVector<Placement>>;
/// `stream` are the values of the residual stream that the model has, for
/// policies that are written at all of them.
mlir::FailureOr<Placements>
placePolicies(const mlir::SymbolTable &symbols,
              llvm::ArrayRef<PolicyOp> policies,
              llvm::ArrayRef<flow::SiteAttr> stream = {});

/// Rejects two absolute edits of one feature in one plan, showing both.
mlir::LogicalResult checkConflicts(mlir::ModuleOp module,
                                   const Placements &placements);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PLACEMENT_H
