//===- Shapes.cpp - Shapes of values, activations and gates ---===//
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

/// The size two dimensions broadcast to: null for one that nothing is known of.
/// Sizes that are symbols may turn out equal, so only numbers can differ.
static FailureOr<Attribute> broadcastSize(Attribute a, Attribute b) {
  auto x = dyn_cast_if_present<IntegerAttr>(a);
  auto y = dyn_cast_if_present<IntegerAttr>(b);
  if (x && x.getInt() == 1)
    return b;
  if (y && y.getInt() == 1)
    return a;
  if (x && y && x.getInt() != y.getInt())
    return failure();
  if (x || y)
    return x ? a : b;
  return a ? a : b;
}

FailureOr<RankedTensorType>
weir::steer::broadcastTokens(std::optional<Location> location,
                             ArrayRef<Type> types, Type element) {
  auto first = dyn_cast<RankedTensorType>(types.front());
  if (!first || first.getRank() == 0)
    return emitOptionalError(location, "expects a tensor with one number a "
                                       "token, got ",
                             types.front());
  SmallVector<Attribute> sizes = fx::sizesOf(first);
  for (Type type : types.drop_front()) {
    auto next = dyn_cast<RankedTensorType>(type);
    if (!next || next.getRank() != first.getRank())
      return emitOptionalError(location, "joins ", first, " and ", type,
                               ", which have different ranks");
    for (auto [size, other] : llvm::zip_equal(sizes, fx::sizesOf(next))) {
      FailureOr<Attribute> both = broadcastSize(size, other);
      if (failed(both))
        return emitOptionalError(location, "joins ", first, " and ", type,
                                 ", which cannot be broadcast together");
      size = *both;
    }
  }
  return fx::withLastSize(fx::tensorOf(sizes, element), 1);
}

RankedTensorType weir::steer::broadcastGateType(ArrayRef<Type> types,
                                                Type element) {
  auto type = broadcastTokens(std::nullopt, types, element);
  // Where they do not fit, the operation's verifier says so.
  return succeeded(type) ? *type
                         : fx::withLastSize(
                               fx::withElementType(
                                   cast<RankedTensorType>(types.front()), element),
                               1);
}

LogicalResult weir::steer::verifyFits(Operation *op, Value part, StringRef what,
                                      Value whole) {
  if (!part)
    return success();
  auto type = cast<RankedTensorType>(part.getType());
  auto of = cast<RankedTensorType>(whole.getType());
  bool fits = type.getRank() == of.getRank();
  if (fits)
    for (auto [size, other] : llvm::zip_equal(type.getShape().drop_back(),
                                              of.getShape().drop_back()))
      fits &= size == 1 || size == other || ShapedType::isDynamic(size) ||
              ShapedType::isDynamic(other);
  if (fits)
    return success();
  return op->emitOpError() << "has a " << what << " of type " << type
                           << " that does not fit the tokens of " << of;
}
