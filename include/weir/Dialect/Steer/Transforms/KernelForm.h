//===- KernelForm.h - What a kernel can do ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What has a kernel form is said once: the choice of a lowering, the outlining
// and the conversion agree on it.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_KERNELFORM_H
#define WEIR_DIALECT_STEER_TRANSFORMS_KERNELFORM_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include <optional>
#include <string>

namespace weir::steer {

/// True for operations that compute with plans, positions, knobs, gates and
/// numbers alone, and see no value of the model.
bool isOfRows(mlir::Operation *op);

/// True for operations of a patch that only look, and make outputs of the
/// program.
bool isObserver(mlir::Operation *op);

/// Why an operation cannot be a part of a kernel, or nothing if it can.
std::optional<std::string> whyNoKernel(mlir::Operation *op);
/// The same for all that a patch does, before or after reads are decomposed.
std::optional<std::string> whyNoKernel(PatchOp patch);

/// Whether an operation outside of a patch, or an operation of a patch for those
/// outside, can be computed on either side.
bool canMoveAcross(mlir::Operation *op);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_KERNELFORM_H
