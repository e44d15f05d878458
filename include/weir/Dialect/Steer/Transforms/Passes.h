//===- Passes.h - Passes over the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PASSES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_PASSES_H

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Resources/ModelTokens.h"

#include "mlir/Pass/Pass.h"

namespace weir::steer {

/// What is asked of `steer-select-lowering`.
enum class LoweringChoice { Aten, Kernel, Auto };

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"

/// `steer-resolve-markers` with a model to ask; the one above knows none.
std::unique_ptr<mlir::Pass> createSteerResolveMarkersPass(TokenLookup lookup);
} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PASSES_H
