//===- SteerToFX.h - Lowering of steer to fx ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOFX_STEERTOFX_H
#define WEIR_CONVERSION_STEERTOFX_STEERTOFX_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/Pass/Pass.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace weir {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Conversion/SteerToFX/Passes.h.inc"

/// One pattern an operation. Together they leave no steer op in a program whose
/// values are in f32 and whose reads are decomposed.
void populateSteerToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for the steps of a read.
void populateReadToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for gates and knobs.
void populateGateToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for scopes that follow a row's tokens.
void populateScopeToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for gates and counts that leave the program.
void populateOutputToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for layers that features replace.
void populateSubstitutionToFXPatterns(mlir::RewritePatternSet &patterns);
/// The part of them for plans that are tables.
void populateTableToFXPatterns(mlir::RewritePatternSet &patterns);
} // namespace weir

#endif // WEIR_CONVERSION_STEERTOFX_STEERTOFX_H
