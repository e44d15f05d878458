//===- AtenBuilder.cpp - Calls of aten operators ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AtenBuilder.h"
#include "LoweringUtils.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;

Value AtenBuilder::call(RankedTensorType type, StringRef target,
                        ArrayRef<fx::Argument> arguments) {
  return fx::CallOp::create(builder, loc, TypeRange(type), target, arguments)
      .getResult(0);
}

/// The sizes of a broadcast: per dimension from the right, the one that is not 1.
RankedTensorType AtenBuilder::broadcast(Value x, Value y, Type element) {
  SmallVector<Attribute> a = fx::sizesOf(typeOf(x)), b = fx::sizesOf(typeOf(y));
  if (a.size() < b.size())
    std::swap(a, b);
  auto isOne = [](Attribute size) {
    auto number = dyn_cast_or_null<IntegerAttr>(size);
    return number && number.getInt() == 1;
  };
  for (auto [wide, narrow] : llvm::zip(llvm::reverse(a), llvm::reverse(b)))
    if (isOne(wide))
      wide = narrow;
  return fx::tensorOf(a, element);
}

Value AtenBuilder::unsqueeze(Value x, int64_t dim) {
  SmallVector<Attribute> sizes = fx::sizesOf(typeOf(x));
  sizes.insert(sizes.begin() + dim, builder.getI64IntegerAttr(1));
  return call(fx::tensorOf(sizes, typeOf(x).getElementType()),
              "aten.unsqueeze.default", {{"self", x}, {"dim", dim}});
}

Value AtenBuilder::select(Value x, int64_t dim, int64_t index) {
  SmallVector<Attribute> sizes = fx::sizesOf(typeOf(x));
  sizes.erase(sizes.begin() + dim);
  return call(fx::tensorOf(sizes, typeOf(x).getElementType()),
              "aten.select.int", {{"self", x}, {"dim", dim}, {"index", index}});
}

Value AtenBuilder::to(Value x, Type element) {
  if (typeOf(x).getElementType() == element)
    return x;
  return call(fx::withElementType(typeOf(x), element), "aten.to.dtype",
              {{"self", x}, {"dtype", element}});
}

Value AtenBuilder::compare(StringRef which, Value x, Value y) {
  return call(broadcast(x, y, builder.getI1Type()),
              ("aten." + which + ".Tensor").str(), {{"self", x}, {"other", y}});
}
Value AtenBuilder::compare(StringRef which, Value x, int64_t y) {
  return call(fx::withElementType(typeOf(x), builder.getI1Type()),
              ("aten." + which + ".Scalar").str(), {{"self", x}, {"other", y}});
}
Value AtenBuilder::compare(StringRef which, Value x, double y) {
  return call(fx::withElementType(typeOf(x), builder.getI1Type()),
              ("aten." + which + ".Scalar").str(), {{"self", x}, {"other", y}});
}

Value AtenBuilder::list(ArrayRef<int64_t> numbers) {
  auto type = RankedTensorType::get({static_cast<int64_t>(numbers.size())},
                                    builder.getI64Type());
  return fx::ConstantOp::create(builder, loc, type,
                                DenseIntElementsAttr::get(type, numbers));
}

Value AtenBuilder::isOneOf(Value x, ArrayRef<int64_t> numbers) {
  if (numbers.size() == 1)
    return compare("eq", x, numbers.front());
  // A row of comparisons costs an operation a number.
  return call(fx::withElementType(typeOf(x), builder.getI1Type()),
              "aten.isin.Tensor_Tensor",
              {{"elements", x}, {"test_elements", list(numbers)}});
}

Value AtenBuilder::logical(StringRef which, Value x, Value y) {
  return call(broadcast(x, y, builder.getI1Type()),
              ("aten.logical_" + which + ".default").str(),
              {{"self", x}, {"other", y}});
}

Value AtenBuilder::binary(StringRef which, Value x, Value y) {
  return call(broadcast(x, y, typeOf(x).getElementType()),
              ("aten." + which + ".Tensor").str(), {{"self", x}, {"other", y}});
}

Value AtenBuilder::addScalar(Value x, int64_t y) {
  return call(typeOf(x), "aten.add.Tensor", {{"self", x}, {"other", y}});
}

Value AtenBuilder::mulScalar(Value x, double y) {
  return call(typeOf(x), "aten.mul.Tensor", {{"self", x}, {"other", y}});
}

Value AtenBuilder::bound(StringRef which, Value x, double y) {
  StringRef argument = which == "clamp_min" ? "min" : "max";
  return call(typeOf(x), ("aten." + which + ".default").str(),
              {{"self", x}, {argument, y}});
}

Value AtenBuilder::relu(Value x) {
  return call(typeOf(x), "aten.relu.default", {{"self", x}});
}

Value AtenBuilder::keepWhere(Value gate, Value x) {
  if (!gate)
    return x;
  return call(broadcast(gate, x, typeOf(x).getElementType()),
              "aten.where.ScalarOther",
              {{"condition", gate}, {"self", x}, {"other", 0.0}});
}

Value AtenBuilder::extremum(StringRef which, Value x, Value y) {
  return call(typeOf(x), ("aten." + which + ".default").str(),
              {{"self", x}, {"other", y}});
}

Value AtenBuilder::where(Value gate, Value x, Value y) {
  if (!gate)
    return x;
  return call(broadcast(x, y, typeOf(x).getElementType()), "aten.where.self",
              {{"condition", gate}, {"self", x}, {"other", y}});
}

Value AtenBuilder::linear(Value x, Value weight, Value bias) {
  auto type = fx::withLastSize(typeOf(x), typeOf(weight).getDimSize(0));
  SmallVector<fx::Argument> arguments = {{"input", x}, {"weight", weight}};
  if (bias)
    arguments.push_back({"bias", bias});
  return call(type, "aten.linear.default", arguments);
}

Value AtenBuilder::matmul(Value x, Value rows) {
  return call(fx::withLastSize(typeOf(x), typeOf(rows).getDimSize(1)),
              "aten.matmul.default", {{"self", x}, {"other", rows}});
}

Value AtenBuilder::cat(ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts.front();
  int64_t size = 0;
  for (Value part : parts)
    size += typeOf(part).getShape().back();
  return call(fx::withLastSize(typeOf(parts.front()), size),
              "aten.cat.default",
              {fx::Argument::tensors("tensors", parts), {"dim", -1}});
}

Value AtenBuilder::columns(Value x, ArrayRef<int64_t> indices) {
  auto type = fx::withLastSize(typeOf(x), indices.size());
  // A run of neighbouring columns is a view.
  bool isRun = true;
  for (auto [i, index] : llvm::enumerate(indices))
    isRun &= index == indices.front() + static_cast<int64_t>(i);
  if (isRun)
    return call(type, "aten.slice.Tensor",
                {{"self", x},
                 {"dim", -1},
                 {"start", indices.front()},
                 {"end", indices.back() + 1}});
  return call(type, "aten.index_select.default",
              {{"self", x}, {"dim", -1}, {"index", list(indices)}});
}

Value AtenBuilder::reduce(StringRef target, Value x,
                          ArrayRef<fx::Argument> arguments) {
  return call(fx::withLastSize(typeOf(x), 1), target, arguments);
}

Value AtenBuilder::norm(Value x) {
  return reduce("aten.linalg_vector_norm.default", x,
                {{"self", x}, {"ord", 2}, {"dim", {-1}}, {"keepdim", true}});
}

Value AtenBuilder::mean(Value x) {
  return reduce("aten.mean.dim", x,
                {{"self", x}, {"dim", {-1}}, {"keepdim", true}});
}

Value AtenBuilder::std(Value x, int64_t correction) {
  return reduce("aten.std.correction", x,
                {{"self", x},
                 {"dim", {-1}},
                 {"correction", correction},
                 {"keepdim", true}});
}

Value AtenBuilder::any(Value x) {
  return reduce("aten.any.dim", x,
                {{"self", x}, {"dim", -1}, {"keepdim", true}});
}

Value AtenBuilder::keepTopK(Value x, int64_t k) {
  auto type = fx::withLastSize(typeOf(x), k);
  auto top = fx::CallOp::create(
      builder, loc,
      TypeRange{type, fx::withElementType(type, builder.getI64Type())},
      "aten.topk.default",
      ArrayRef<fx::Argument>{
          {"self", x}, {"k", k}, {"dim", -1}, {"largest", true}, {"sorted", false}});
  Value zeros = call(typeOf(x), "aten.zeros_like.default", {{"self", x}});
  return call(typeOf(x), "aten.scatter.src",
              {{"self", zeros},
               {"dim", -1},
               {"index", top.getResult(1)},
               {"src", relu(top.getResult(0))}});
}

Value AtenBuilder::expandAs(Value x, Value like) {
  return call(fx::withElementType(typeOf(like), typeOf(x).getElementType()),
              "aten.expand_as.default", {{"self", x}, {"other", like}});
}

Value AtenBuilder::constant(Attribute recipe, ArrayRef<int64_t> shape) {
  return fx::ConstantOp::create(
      builder, loc, RankedTensorType::get(shape, builder.getF32Type()), recipe);
}

Value AtenBuilder::numbers(ArrayRef<double> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getF32Type());
  SmallVector<float> narrowed(values.begin(), values.end());
  return fx::ConstantOp::create(builder, loc, type,
                                DenseElementsAttr::get(type, ArrayRef(narrowed)));
}
