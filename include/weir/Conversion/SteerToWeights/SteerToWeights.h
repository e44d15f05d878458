//===- SteerToWeights.h - Edits become weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOWEIGHTS_STEERTOWEIGHTS_H
#define WEIR_CONVERSION_STEERTOWEIGHTS_STEERTOWEIGHTS_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/Pass/Pass.h"

namespace weir {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Conversion/SteerToWeights/Passes.h.inc"
} // namespace weir

#endif // WEIR_CONVERSION_STEERTOWEIGHTS_STEERTOWEIGHTS_H
