//===- MeasurePasses.h - What is measured on texts for policies ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The passes over the steer dialect that need a model that runs and the numbers
// of dictionaries. They get them as resources; without any, they find files below
// the current folder and no model.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_H

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Resources/Resources.h"

#include "mlir/Pass/Pass.h"

#include <optional>

namespace weir::steer {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Dialect/Steer/Transforms/MeasurePasses.h.inc"

/// The dose of a site above which text falls apart, measured on SmolLM2
/// (docs/dose.md): of the residual stream, or of what a layer adds to it, which is
/// several times shorter. None where that was not measured.
std::optional<double> collapsingDose(fx::SiteKind kind);

std::unique_ptr<mlir::Pass>
createSteerMeasureDosesPass(std::shared_ptr<Resources> resources);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_H
