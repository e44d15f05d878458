//===- SteerToKernels.h - Lowering of steer to kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOKERNELS_STEERTOKERNELS_H
#define WEIR_CONVERSION_STEERTOKERNELS_STEERTOKERNELS_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/Pass/Pass.h"

namespace weir {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Conversion/SteerToKernels/Passes.h.inc"

/// The dialects of MLIR that kernels are written in.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// The symbol of the module that holds the kernels.
inline constexpr llvm::StringLiteral kernelModuleName = "steer.kernels";

/// The site (flow.site) of the call of a kernel.
inline constexpr llvm::StringLiteral kernelSiteName = "weir.site";

/// What an argument of a kernel is, as its attribute `weir.role` says:
/// the value of the site [batch, sequence, d], another input, a constant, the
/// new value, or activations that leave the kernel. `weir.sizes` gives its sizes,
/// of which a negative one is named, and `weir.type` what its numbers are.
inline constexpr llvm::StringLiteral kernelRoleName = "weir.role";
inline constexpr llvm::StringLiteral kernelSizesName = "weir.sizes";
inline constexpr llvm::StringLiteral kernelTypeName = "weir.type";
/// A loop over independent "tokens", "rows" or "gathered" rows, which are no
/// neighbours in memory, of which a code generator takes several iterations side by
/// side, as many as the processor has registers for.
inline constexpr llvm::StringLiteral kernelJamName = "weir.jam";
enum KernelSize : int64_t { BatchSize = -1, SequenceSize = -2, AnySize = -3 };
} // namespace weir

#endif // WEIR_CONVERSION_STEERTOKERNELS_STEERTOKERNELS_H
