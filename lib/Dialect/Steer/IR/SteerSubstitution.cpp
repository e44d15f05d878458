//===- SteerSubstitution.cpp - Layers replaced by features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Constants.h"
#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// A recipe of one row for each feature, and one of a single vector.
static LogicalResult verifyRecipes(Operation *op, Attribute rows,
                                   Attribute bias) {
  auto part = dyn_cast<flow::RowsAttr>(rows);
  bool isDecoder = part && part.getPart() == flow::RowsPart::Decoder &&
                   part.getFeatures().empty();
  if (!isDecoder && !isa<flow::CarriedAttr>(rows))
    return op->emitOpError("expects a decoder row for every feature, got ")
           << rows;
  auto vector = dyn_cast<flow::RowsAttr>(bias);
  if (!vector || vector.getPart() != flow::RowsPart::DecoderBias ||
      !vector.getFeatures().empty())
    return op->emitOpError("expects the bias of a decoder, got ") << bias;
  return success();
}

//===----------------------------------------------------------------------===//
// ReconstructOp
//===----------------------------------------------------------------------===//

LogicalResult ReconstructOp::verify() {
  if (getDictionarySize() < 1)
    return emitOpError("expects a dictionary of one feature at least");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  if (getActivation().getKind() == flow::ActivationKind::TopK &&
      getActivation().getTopK() > static_cast<int64_t>(getDictionarySize()))
    return emitOpError("keeps ") << getActivation().getTopK()
                                 << " features of " << getDictionarySize();
  return verifyRecipes(*this, getRows(), getBias());
}

int64_t ReconstructOp::getBytesPerToken() {
  // Encoder, its biases, decoder and its bias are f32.
  int64_t features = getDictionarySize(), width = lastSize(getInput());
  return (features * (2 * width + 1) + width) * 4;
}
int64_t ReconstructOp::getOperationsPerToken() {
  return 4 * static_cast<int64_t>(getDictionarySize()) * lastSize(getInput());
}

//===----------------------------------------------------------------------===//
// ChooseOp
//===----------------------------------------------------------------------===//

LogicalResult ChooseOp::verify() {
  return verifyFits(*this, getGate(), "gate", getOriginal());
}

OpFoldResult ChooseOp::fold(FoldAdaptor) {
  if (getReplacement() == getOriginal())
    return getOriginal();
  if (std::optional<bool> held = knownGate(getGate()))
    return *held ? getReplacement() : getOriginal();
  return {};
}

//===----------------------------------------------------------------------===//
// Its steps
//===----------------------------------------------------------------------===//

LogicalResult DecodeOp::verify() {
  RankedTensorType from = getInput().getType(), to = getType();
  if (from.getRank() != to.getRank() ||
      from.getShape().drop_back() != to.getShape().drop_back())
    return emitOpError("makes ") << to << " of " << from
                                 << ", which has other tokens";
  if (ShapedType::isDynamic(lastSize(getInput())) ||
      ShapedType::isDynamic(lastSize(getResult())))
    return emitOpError("expects static numbers of features and columns");
  return verifyRecipes(*this, getRows(), getBias());
}

int64_t DecodeOp::getBytesPerToken() {
  return (lastSize(getInput()) + 1) * lastSize(getResult()) * 4;
}
int64_t DecodeOp::getOperationsPerToken() {
  return 2 * lastSize(getInput()) * lastSize(getResult());
}

LogicalResult DenormalizeOp::verify() {
  if (getNormalization() == flow::Normalization::None)
    return emitOpError("is for normalised dictionaries");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}
