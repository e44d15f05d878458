//===- SteerLoweringOps.cpp - What patches are lowered by ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

//===----------------------------------------------------------------------===//
// Precision
//===----------------------------------------------------------------------===//

OpFoldResult RoundOp::fold(FoldAdaptor) {
  // Every number of a narrow type is one of f32, so rounding gives it back.
  auto widen = getInput().getDefiningOp<WidenOp>();
  if (widen && widen.getInput().getType() == getType())
    return widen.getInput();
  return {};
}

//===----------------------------------------------------------------------===//
// The steps of a read
//===----------------------------------------------------------------------===//

LogicalResult NormalizeOp::verify() {
  if (getNormalization() == flow::Normalization::None)
    return emitOpError("is for normalised dictionaries");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

LogicalResult EncodeOp::verify() {
  auto size = static_cast<int64_t>(getDictionarySize());
  if (size < 1)
    return emitOpError("expects a dictionary of one feature at least");
  for (int64_t feature : getFeatures())
    if (feature < 0 || feature >= size)
      return emitOpError("encodes feature ")
             << feature << " of a dictionary of " << size;
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

int64_t EncodeOp::getBytesPerToken() {
  // Rows and biases are f32.
  return lastSize(getResult()) * (lastSize(getInput()) + 1) * 4;
}
int64_t EncodeOp::getOperationsPerToken() {
  return 2 * lastSize(getResult()) * lastSize(getInput());
}

LogicalResult ActivateOp::verify() {
  int64_t columns = lastSize(getInput());
  auto listed = static_cast<int64_t>(getFeatures().size());
  if (ShapedType::isDynamic(columns))
    return emitOpError("expects a static number of columns");
  if (listed && listed != columns)
    return emitOpError("has ") << columns << " columns for " << listed
                               << " features";
  if (getActivation().getKind() != flow::ActivationKind::TopK)
    return success();
  if (listed)
    return emitOpError("keeps the largest of all features, so it lists none");
  if (getActivation().getTopK() > columns)
    return emitOpError("keeps ")
           << getActivation().getTopK() << " features of " << columns;
  return success();
}

OpFoldResult ActivateOp::fold(FoldAdaptor) {
  using flow::ActivationKind;
  ActivationKind kind = getActivation().getKind();
  if (kind == ActivationKind::Identity)
    return getInput();
  // No activation but the identity is ever negative.
  if (auto inner = getInput().getDefiningOp<ActivateOp>();
      inner && kind == ActivationKind::ReLU &&
      inner.getActivation().getKind() != ActivationKind::Identity)
    return getInput();
  return {};
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

LogicalResult DeliverOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  auto to = cast<MemRefType>(getTo().getType());
  // Narrow numbers are integers in memory, and gates numbers.
  Type element = value.getElementType();
  if (element.isInteger(1))
    element = Float32Type::get(getContext());
  if (element.isF16() || element.isBF16())
    element = IntegerType::get(getContext(), 16);
  if (value.getRank() == 0 || value.getShape().back() != to.getDimSize(0) ||
      element != to.getElementType())
    return emitOpError("delivers rows of ")
           << value << " to a row of another kind, " << to;
  return success();
}
