//===- Shapes.h - Shapes of values, activations and gates ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_STEER_IR_SHAPES_H
#define WEIR_LIB_DIALECT_STEER_IR_SHAPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

namespace weir::steer {

/// The number of features, the last size of a ranked tensor.
inline int64_t lastSize(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType()).getShape().back();
}

/// The type [.., 1] that gates and numbers of these types, one or more, have
/// together. Sizes of 1 broadcast; a size that is known wins over one that is
/// not. Fails with an error at `location`, if there is one, where ranks or sizes
/// differ.
mlir::FailureOr<mlir::RankedTensorType>
broadcastTokens(std::optional<mlir::Location> location,
                llvm::ArrayRef<mlir::Type> types, mlir::Type element);

/// Fails with an error if `part`, which may be null, cannot be broadcast to the
/// tokens of `whole`. `what` names it.
mlir::LogicalResult verifyFits(mlir::Operation *op, mlir::Value part,
                               llvm::StringRef what, mlir::Value whole);

} // namespace weir::steer

#endif // WEIR_LIB_DIALECT_STEER_IR_SHAPES_H
