//===- Substitutions.h - Policies that replace layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_SUBSTITUTIONS_H
#define WEIR_DIALECT_STEER_TRANSFORMS_SUBSTITUTIONS_H

#include "Placement.h"
#include "ProgramInputs.h"

namespace weir::steer {

/// Policies and the indices of the plans that name them.
using PlansOfPolicy =
    llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>>;
using SiteMarkers = llvm::DenseMap<flow::SiteAttr, fx::SiteOp>;
/// What edits sites before their patches do, by site: a policy and its gate.
using ReplacedSites =
    llvm::DenseMap<flow::SiteAttr,
                   llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>>>;

/// Rejects, at the policies, what has no meaning in a plan that replaces layers:
/// an edit or a read inside of a replaced block, which is not computed where the
/// plan is fixed, and two replacements that overlap. `others` are policies of
/// plans that have no placement: records of values.
mlir::LogicalResult checkSubstitutions(mlir::ModuleOp module,
                                       const PlansOfPolicy &plans,
                                       llvm::ArrayRef<PolicyOp> substitutes,
                                       const Placements &placements,
                                       llvm::ArrayRef<PolicyOp> others);

/// Puts what takes a block's place before the mark of the residual stream behind
/// it, so that all that is read and edited there is the new value. What it is made
/// of is the stream before the block, after all edits there.
mlir::LogicalResult substituteLayers(mlir::ModuleOp module,
                                     fx::ProgramOp program,
                                     ProgramInputs &inputs,
                                     const PlansOfPolicy &plans,
                                     const SiteMarkers &markers,
                                     llvm::ArrayRef<PolicyOp> substitutes,
                                     ReplacedSites &replaced);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_SUBSTITUTIONS_H
