//===- Reads.h - What holds for every read of a dictionary ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_STEER_IR_READS_H
#define WEIR_LIB_DIALECT_STEER_IR_READS_H

#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

namespace weir::steer {

/// The features of a `steer.read` or `steer.row_read` are the dictionary's, and its
/// input can be encoded.
template <typename Op> mlir::LogicalResult verifyFeaturesRead(Op op) {
  auto size = static_cast<int64_t>(op.getDictionarySize());
  if (op.getFeatures().empty())
    return op.emitOpError("reads no feature");
  for (int64_t feature : op.getFeatures())
    if (feature < 0 || feature >= size)
      return op.emitOpError("reads feature ")
             << feature << " of a dictionary of " << size;
  if (mlir::ShapedType::isDynamic(lastSize(op.getInput())))
    return op.emitOpError("expects a value of static width");
  if (op.getActivation().getTopK() > size)
    return op.emitOpError("keeps ")
           << op.getActivation().getTopK() << " features of " << size;
  return mlir::success();
}

/// A read that gathers is of a value that holds the activations themselves, one a
/// feature.
template <typename Op> mlir::LogicalResult verifyGather(Op op) {
  if (!op.getGather())
    return mlir::success();
  if (op.getActivation().getKind() != flow::ActivationKind::Identity ||
      op.getNormalization() != flow::Normalization::None)
    return op.emitOpError("gathers activations, which nothing is done to");
  auto size = static_cast<int64_t>(op.getDictionarySize());
  if (lastSize(op.getInput()) != size)
    return op.emitOpError("gathers from ") << lastSize(op.getInput())
                                           << " columns for a dictionary of "
                                           << size;
  return mlir::success();
}

} // namespace weir::steer

#endif // WEIR_LIB_DIALECT_STEER_IR_READS_H
