//===- Steer.h - The steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEER_H
#define WEIR_DIALECT_STEER_IR_STEER_H

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/PatchEmitter.h"

#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"

#include "weir/Dialect/Steer/IR/SteerDialect.h.inc"
#include "weir/Dialect/Steer/IR/SteerEnums.h.inc"

namespace weir::steer {
/// The order of a site's edits: one write, then projections, then one norm.
enum class EditStage { Write = 1, Project, Rescale };
} // namespace weir::steer

#include "weir/Dialect/Steer/IR/SteerInterfaces.h.inc"
#include "weir/Dialect/Steer/IR/SteerOpInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/Steer/IR/SteerAttrs.h.inc"

namespace weir::steer {

/// The plans in which a gate can hold: looks through conjunctions for
/// `steer.in_plans`. None if nothing restricts the plans.
std::optional<llvm::SmallVector<int64_t>> plansOf(mlir::Value gate);

} // namespace weir::steer

#define GET_OP_CLASSES
#include "weir/Dialect/Steer/IR/SteerOps.h.inc"

#endif // WEIR_DIALECT_STEER_IR_STEER_H
