//===- Builders.cpp - Building calls and types of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/FX.h"

using namespace mlir;
using namespace weir::fx;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Argument Argument::tensors(StringRef name, ValueRange values) {
  Argument argument(name, Tensors);
  argument.operands.assign(values.begin(), values.end());
  return argument;
}

Argument Argument::optionalTensors(StringRef name, ArrayRef<Value> values) {
  Argument argument(name, OptionalTensors);
  argument.operands.assign(values.begin(), values.end());
  return argument;
}

Argument Argument::sizes(StringRef name, ArrayRef<OpFoldResult> sizes) {
  Argument argument(name, Sizes);
  argument.mixed.assign(sizes.begin(), sizes.end());
  return argument;
}

Argument Argument::none(StringRef name) { return Argument(name, None); }

/// The attribute of an argument; its operands are appended to `operands`.
static Attribute encode(Builder &builder, const Argument &argument,
                        SmallVectorImpl<Value> &operands) {
  MLIRContext *context = builder.getContext();
  auto slot = SlotAttr::get(context);
  SmallVector<Attribute> elements;
  switch (argument.kind) {
  case Argument::Single:
    if (!argument.operands.empty()) {
      operands.push_back(argument.operands.front());
      return slot;
    }
    if (argument.constant)
      return argument.constant;
    if (argument.integer)
      return builder.getI64IntegerAttr(*argument.integer);
    if (argument.flag)
      return builder.getBoolAttr(*argument.flag);
    if (argument.real)
      return builder.getF64FloatAttr(*argument.real);
    if (argument.text)
      return builder.getStringAttr(*argument.text);
    return DTypeAttr::forElementType(argument.type);
  case Argument::Ints:
    for (int64_t number : argument.integers)
      elements.push_back(builder.getI64IntegerAttr(number));
    return ListAttr::get(context, ListKind::Ints, elements);
  case Argument::Tensors:
    operands.append(argument.operands.begin(), argument.operands.end());
    elements.assign(argument.operands.size(), slot);
    return ListAttr::get(context, ListKind::Tensors, elements);
  case Argument::OptionalTensors:
    for (Value value : argument.operands) {
      if (value)
        operands.push_back(value);
      elements.push_back(value ? Attribute(slot) : builder.getUnitAttr());
    }
    return ListAttr::get(context, ListKind::OptionalTensors, elements);
  case Argument::Sizes: {
    bool symbolic = false;
    for (OpFoldResult size : argument.mixed) {
      if (auto value = dyn_cast<Value>(size)) {
        operands.push_back(value);
        elements.push_back(slot);
        symbolic = true;
      } else {
        elements.push_back(cast<Attribute>(size));
      }
    }
    return ListAttr::get(context,
                         symbolic ? ListKind::SymInts : ListKind::Ints,
                         elements);
  }
  case Argument::None:
    break;
  }
  return builder.getUnitAttr();
}

void CallOp::build(OpBuilder &builder, OperationState &state, TypeRange results,
                   StringRef target, ArrayRef<Argument> arguments, bool pure) {
  SmallVector<Attribute> names, values;
  SmallVector<Value> operands;
  for (const Argument &argument : arguments) {
    names.push_back(builder.getStringAttr(argument.name));
    values.push_back(encode(builder, argument, operands));
  }
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.setTarget(builder.getStringAttr(target));
  properties.setArgNames(builder.getArrayAttr(names));
  properties.setArgs(builder.getArrayAttr(values));
  if (pure)
    properties.setPure(builder.getUnitAttr());
  state.addOperands(operands);
  state.addTypes(results);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

SmallVector<Attribute> weir::fx::sizesOf(RankedTensorType type) {
  Builder builder(type.getContext());
  auto dims = dyn_cast_if_present<DimsAttr>(type.getEncoding());
  SmallVector<Attribute> sizes;
  size_t next = 0;
  for (int64_t size : type.getShape()) {
    if (!ShapedType::isDynamic(size))
      sizes.push_back(builder.getI64IntegerAttr(size));
    else
      sizes.push_back(dims ? Attribute(dims.getSizes()[next++]) : Attribute());
  }
  return sizes;
}

RankedTensorType weir::fx::tensorOf(ArrayRef<Attribute> sizes,
                                    Type elementType) {
  SmallVector<int64_t> shape;
  SmallVector<SymExprAttr> symbolic;
  bool known = true;
  for (Attribute size : sizes) {
    if (auto integer = dyn_cast_if_present<IntegerAttr>(size)) {
      shape.push_back(integer.getInt());
      continue;
    }
    shape.push_back(ShapedType::kDynamic);
    if (auto expr = dyn_cast_if_present<SymExprAttr>(size))
      symbolic.push_back(expr);
    else
      known = false;
  }
  Attribute encoding;
  if (known && !symbolic.empty())
    encoding = DimsAttr::get(elementType.getContext(), symbolic);
  return RankedTensorType::get(shape, elementType, encoding);
}

RankedTensorType weir::fx::withLastSize(RankedTensorType type, int64_t size) {
  SmallVector<Attribute> sizes = sizesOf(type);
  assert(!sizes.empty() && "a scalar has no last size");
  sizes.back() = Builder(type.getContext()).getI64IntegerAttr(size);
  return tensorOf(sizes, type.getElementType());
}

RankedTensorType weir::fx::withElementType(RankedTensorType type,
                                           Type elementType) {
  return RankedTensorType::get(type.getShape(), elementType,
                               type.getEncoding());
}

OpFoldResult weir::fx::sizeOf(OpBuilder &builder, Location loc, Value tensor,
                              int64_t dim) {
  Attribute size = sizesOf(cast<RankedTensorType>(tensor.getType()))[dim];
  if (isa_and_present<IntegerAttr>(size))
    return size;
  auto call = CallOp::create(builder, loc,
                             SymIntType::get(builder.getContext(), size),
                             "aten.sym_size.int",
                             {{"self", tensor}, {"dim", dim}});
  return call.getResult(0);
}
