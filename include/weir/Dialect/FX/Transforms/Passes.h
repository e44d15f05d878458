//===- Passes.h - Passes of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_TRANSFORMS_PASSES_H
#define WEIR_DIALECT_FX_TRANSFORMS_PASSES_H

#include "weir/Dialect/FX/IR/FX.h"

#include "mlir/Pass/Pass.h"

namespace weir::fx {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Dialect/FX/Transforms/Passes.h.inc"

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_TRANSFORMS_PASSES_H
