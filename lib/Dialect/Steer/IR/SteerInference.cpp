//===- SteerInference.cpp - Result types of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Types are inferred before operands are verified, so nothing is certain of them
// here.

#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

using InferredTypes = SmallVectorImpl<Type>;

/// A tensor, or null after an error.
static RankedTensorType tensorOf(std::optional<Location> location, Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (type && type.getRank() > 0)
    return type;
  (void)emitOptionalError(location, "expects a tensor with a last dimension, got ",
                          value.getType());
  return {};
}

/// The tokens of a value, with another number of columns.
static LogicalResult inferColumns(std::optional<Location> location, Value like,
                                  int64_t columns, Type element,
                                  InferredTypes &types) {
  RankedTensorType type = tensorOf(location, like);
  if (!type)
    return failure();
  types.push_back(fx::withLastSize(fx::withElementType(type, element), columns));
  return success();
}

static LogicalResult inferElement(std::optional<Location> location, Value like,
                                  Type element, InferredTypes &types) {
  RankedTensorType type = tensorOf(location, like);
  if (!type)
    return failure();
  types.push_back(fx::withElementType(type, element));
  return success();
}

/// One number a row of `input`, broadcast over the row's tokens: [batch, 1, 1],
/// or [tokens, 1] where they are flattened.
static LogicalResult inferPerRow(std::optional<Location> location, Value input,
                                 bool flattened, Type element,
                                 InferredTypes &types) {
  RankedTensorType type = tensorOf(location, input);
  if (!type)
    return failure();
  Attribute one = Builder(type.getContext()).getI64IntegerAttr(1);
  SmallVector<Attribute> sizes = {fx::sizesOf(type).front(), one};
  if (!flattened)
    sizes.push_back(one);
  types.push_back(fx::tensorOf(sizes, element));
  return success();
}

static LogicalResult inferJoined(std::optional<Location> location,
                                 ValueRange inputs, Type element,
                                 InferredTypes &types) {
  auto type =
      broadcastTokens(location, llvm::to_vector(inputs.getTypes()), element);
  if (failed(type))
    return failure();
  types.push_back(*type);
  return success();
}

LogicalResult ReadOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor, InferredTypes &types) {
  return inferColumns(location, adaptor.getInput(), adaptor.getFeatures().size(),
                      Float32Type::get(context), types);
}

LogicalResult PickOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor, InferredTypes &types) {
  return inferColumns(location, adaptor.getInput(), adaptor.getColumns().size(),
                      Float32Type::get(context), types);
}

LogicalResult InputScaleOp::inferReturnTypes(MLIRContext *context,
                                             std::optional<Location> location,
                                             Adaptor adaptor,
                                             InferredTypes &types) {
  return inferColumns(location, adaptor.getInput(), 1, Float32Type::get(context),
                      types);
}

LogicalResult StrengthOp::inferReturnTypes(MLIRContext *context,
                                           std::optional<Location> location,
                                           Adaptor adaptor,
                                           InferredTypes &types) {
  auto f32 = Float32Type::get(context);
  SmallVector<Value> inputs;
  for (Value input : {adaptor.getGate(), adaptor.getTimes()})
    if (input)
      inputs.push_back(input);
  if (!inputs.empty())
    return inferJoined(location, inputs, f32, types);
  types.push_back(RankedTensorType::get({1}, f32));
  return success();
}

LogicalResult InPlansOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          InferredTypes &types) {
  return inferPerRow(location, adaptor.getPlan(), adaptor.getFlattened(),
                     IntegerType::get(context, 1), types);
}

LogicalResult KnobValueOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            InferredTypes &types) {
  return inferPerRow(location, adaptor.getKnobs(), adaptor.getFlattened(),
                     Float32Type::get(context), types);
}

/// One number a token.
static LogicalResult inferPerToken(std::optional<Location> location,
                                   Value positions, Type element,
                                   InferredTypes &types) {
  RankedTensorType type = tensorOf(location, positions);
  if (!type)
    return failure();
  SmallVector<Attribute> sizes = fx::sizesOf(type);
  sizes.push_back(Builder(type.getContext()).getI64IntegerAttr(1));
  types.push_back(fx::tensorOf(sizes, element));
  return success();
}

LogicalResult TokensOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor, InferredTypes &types) {
  return inferPerToken(location, adaptor.getPositions(),
                       IntegerType::get(context, 1), types);
}

LogicalResult MarkedOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor, InferredTypes &types) {
  return inferPerToken(location, adaptor.getPositions(),
                       IntegerType::get(context, 1), types);
}

LogicalResult RowMarkedOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            InferredTypes &types) {
  return inferPerToken(location, adaptor.getPositions(),
                       IntegerType::get(context, 1), types);
}

LogicalResult RowRampOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          InferredTypes &types) {
  return inferPerToken(location, adaptor.getPositions(),
                       Float32Type::get(context), types);
}

LogicalResult RampOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> location,
                                       Adaptor adaptor, InferredTypes &types) {
  return inferPerToken(location, adaptor.getPositions(),
                       Float32Type::get(context), types);
}

LogicalResult ProductOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          InferredTypes &types) {
  return inferJoined(location, {adaptor.getLhs(), adaptor.getRhs()},
                     Float32Type::get(context), types);
}

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context,
                                          std::optional<Location> location,
                                          Adaptor adaptor,
                                          InferredTypes &types) {
  return inferElement(location, adaptor.getInput(), IntegerType::get(context, 1),
                      types);
}

template <typename Adaptor>
static LogicalResult inferGates(MLIRContext *context,
                                std::optional<Location> location,
                                Adaptor adaptor, InferredTypes &types) {
  if (adaptor.getInputs().empty())
    return emitOptionalError(location, "joins no gate");
  return inferJoined(location, adaptor.getInputs(), IntegerType::get(context, 1),
                     types);
}

LogicalResult AllOp::inferReturnTypes(MLIRContext *context,
                                      std::optional<Location> location,
                                      Adaptor adaptor, InferredTypes &types) {
  return inferGates(context, location, adaptor, types);
}

LogicalResult AnyOp::inferReturnTypes(MLIRContext *context,
                                      std::optional<Location> location,
                                      Adaptor adaptor, InferredTypes &types) {
  return inferGates(context, location, adaptor, types);
}

LogicalResult WidenOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location> location,
                                        Adaptor adaptor, InferredTypes &types) {
  return inferElement(location, adaptor.getInput(), Float32Type::get(context),
                      types);
}

LogicalResult RoundOp::inferReturnTypes(MLIRContext *,
                                        std::optional<Location> location,
                                        Adaptor adaptor, InferredTypes &types) {
  return inferElement(location, adaptor.getInput(), adaptor.getTo(), types);
}

LogicalResult EncodeOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor, InferredTypes &types) {
  int64_t listed = adaptor.getFeatures().size();
  return inferColumns(location, adaptor.getInput(),
                      listed ? listed : adaptor.getDictionarySize(),
                      Float32Type::get(context), types);
}
