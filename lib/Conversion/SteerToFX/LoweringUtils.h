//===- LoweringUtils.h - What lowering patterns share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOFX_LOWERINGUTILS_H
#define WEIR_LIB_CONVERSION_STEERTOFX_LOWERINGUTILS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"

namespace weir {

inline mlir::RankedTensorType typeOf(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}

/// The number of features, the last size of a ranked tensor.
inline int64_t lastSize(mlir::Value value) {
  return typeOf(value).getShape().back();
}

/// Fails where a value is not in f32: `steer-widen-patches` comes first.
inline mlir::LogicalResult requireWide(mlir::Operation *op, mlir::Value value,
                                       mlir::PatternRewriter &rewriter) {
  if (typeOf(value).getElementType().isF32())
    return mlir::success();
  return rewriter.notifyMatchFailure(op, "the value is not in f32");
}

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOFX_LOWERINGUTILS_H
