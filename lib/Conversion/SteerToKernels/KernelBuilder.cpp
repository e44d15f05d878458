//===- KernelBuilder.cpp - Code for one token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;

Type weir::storedType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (element.isF16() || element.isBF16())
    return IntegerType::get(element.getContext(), 16);
  return element;
}

MemRefType weir::rowType(int64_t size, Type element) {
  element = storedType(element);
  auto layout = StridedLayoutAttr::get(element.getContext(),
                                       ShapedType::kDynamic, {1});
  return MemRefType::get({size}, element, layout);
}

Type weir::tokenType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() == 0)
    return type;
  Type element = tensor.getElementType();
  // Plans, positions and slots: one for a row or a token.
  if (element.isInteger(64) && tensor.getRank() < 3)
    return element;
  int64_t size = tensor.getShape().back();
  return size == 1 ? element : Type(rowType(size, element));
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

KernelConstants::KernelConstants(func::FuncOp kernel) : kernel(kernel) {
  auto list = [&](Type element) {
    return kernel.front().addArgument(
        MemRefType::get({ShapedType::kDynamic}, element), kernel.getLoc());
  };
  numbersArgument = list(Float32Type::get(kernel.getContext()));
  integersArgument = list(IntegerType::get(kernel.getContext(), 64));
}

Value KernelConstants::argument(Attribute value, ShapedType type) {
  Value &argument = arguments[value];
  if (!argument) {
    Type element = storedType(type.getElementType());
    argument = kernel.front().addArgument(
        MemRefType::get(type.getShape(), element), kernel.getLoc());
    others.push_back({value, RankedTensorType::get(type.getShape(),
                                                   type.getElementType())});
  }
  return argument;
}

int64_t KernelConstants::place(ArrayRef<double> values) {
  int64_t at = numbers.size();
  for (double value : values)
    numbers.push_back(static_cast<float>(value));
  return at;
}

int64_t KernelConstants::place(ArrayRef<int64_t> values) {
  int64_t at = integers.size();
  llvm::append_range(integers, values);
  return at;
}

SmallVector<std::pair<Attribute, RankedTensorType>> KernelConstants::finish() {
  SmallVector<std::pair<Attribute, RankedTensorType>> all;
  auto list = [&](BlockArgument argument, auto &values, Type element) {
    int64_t count = values.size();
    if (count == 0) {
      kernel.front().eraseArgument(argument.getArgNumber());
      return;
    }
    argument.setType(MemRefType::get({count}, element));
    auto type = RankedTensorType::get({count}, element);
    all.push_back({DenseElementsAttr::get(type, ArrayRef(values)), type});
  };
  list(numbersArgument, numbers, Float32Type::get(kernel.getContext()));
  list(integersArgument, integers, IntegerType::get(kernel.getContext(), 64));
  llvm::append_range(all, others);
  return all;
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}
Value KernelBuilder::f32(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}
Value KernelBuilder::flag(bool value) {
  return arith::ConstantOp::create(b, loc, b.getBoolAttr(value));
}
Value KernelBuilder::add(Value x, Value y) {
  return arith::AddFOp::create(b, loc, x, y);
}
Value KernelBuilder::sub(Value x, Value y) {
  return arith::SubFOp::create(b, loc, x, y);
}
Value KernelBuilder::mul(Value x, Value y) {
  return arith::MulFOp::create(b, loc, x, y);
}
Value KernelBuilder::div(Value x, Value y) {
  return arith::DivFOp::create(b, loc, x, y);
}
Value KernelBuilder::sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
Value KernelBuilder::both(Value x, Value y) {
  return x ? Value(arith::AndIOp::create(b, loc, x, y)) : y;
}
Value KernelBuilder::either(Value x, Value y) {
  return x ? Value(arith::OrIOp::create(b, loc, x, y)) : y;
}
Value KernelBuilder::above(Value x, Value y) {
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
}
Value KernelBuilder::below(Value x, Value y) {
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y);
}
Value KernelBuilder::notZero(Value x) {
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, x, f32(0.0));
}
Value KernelBuilder::where(Value gate, Value x, Value y) {
  return gate ? Value(arith::SelectOp::create(b, loc, gate, x, y)) : x;
}
Value KernelBuilder::keepWhere(Value gate, Value x) {
  return gate ? where(gate, x, f32(0.0)) : x;
}
Value KernelBuilder::relu(Value x) {
  Value zero = f32(0.0);
  return where(below(x, zero), zero, x);
}
Value KernelBuilder::maximum(Value x, Value y) {
  // A NaN in either is the result, as torch's clamp has it.
  Value takesY = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y);
  Value noY = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, y, y);
  return where(either(takesY, noY), y, x);
}
Value KernelBuilder::minimum(Value x, Value y) {
  Value takesY = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  Value noY = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, y, y);
  return where(either(takesY, noY), y, x);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value KernelBuilder::compare(arith::CmpIPredicate which, Value x, Value y) {
  return arith::CmpIOp::create(b, loc, which, x, y);
}

Value KernelBuilder::addInteger(Value x, int64_t y) {
  return arith::AddIOp::create(
      b, loc, x, arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(y)));
}

Value KernelBuilder::toIndex(Value integer) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
}

Value KernelBuilder::isOneOf(Value x, ArrayRef<int64_t> list) {
  if (list.empty())
    return flag(false);
  auto at = integers(list);
  int64_t count = list.size();
  // Few are compared in a row, many in a loop.
  if (count <= 4) {
    Value held;
    for (int64_t i = 0; i < count; ++i)
      held = either(held, compare(arith::CmpIPredicate::eq, x, at(index(i))));
    return held;
  }
  return anyOf(count, [&](Value place) {
    return compare(arith::CmpIPredicate::eq, x, at(place));
  });
}

Value KernelBuilder::anyOf(int64_t count, function_ref<Value(Value)> at) {
  auto loop = scf::ForOp::create(
      b, loc, index(0), index(count), index(1), flag(false),
      [&](OpBuilder &, Location, Value place, ValueRange held) {
        scf::YieldOp::create(b, loc, either(held.front(), at(place)));
      });
  return loop.getResult(0);
}

Value KernelBuilder::subtract(Value x, Value y) {
  return arith::SubIOp::create(b, loc, x, y);
}

Value KernelBuilder::wholeNumber(int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value));
}

//===----------------------------------------------------------------------===//
// Constants of the site
//===----------------------------------------------------------------------===//

Value KernelBuilder::number(double value) {
  Value at = index(constants.place(ArrayRef(value)));
  return memref::LoadOp::create(b, loc, constants.numberList(), at);
}

Value KernelBuilder::integer(int64_t value) {
  Value at = index(constants.place(ArrayRef(value)));
  return memref::LoadOp::create(b, loc, constants.integerList(), at);
}

std::function<Value(Value)> KernelBuilder::numbers(ArrayRef<double> values) {
  if (llvm::all_equal(values)) {
    Value single = number(values.front());
    return [single](Value) { return single; };
  }
  int64_t first = constants.place(values);
  return [=, this](Value column) -> Value {
    Value at = arith::AddIOp::create(b, loc, column, index(first));
    return memref::LoadOp::create(b, loc, constants.numberList(), at);
  };
}

std::function<Value(Value)> KernelBuilder::integers(ArrayRef<int64_t> values) {
  int64_t first = constants.place(values);
  return [=, this](Value column) -> Value {
    Value at = arith::AddIOp::create(b, loc, column, index(first));
    return memref::LoadOp::create(b, loc, constants.integerList(), at);
  };
}

Value KernelBuilder::rows(Attribute recipe, ArrayRef<int64_t> shape) {
  return constants.argument(recipe,
                            RankedTensorType::get(shape, b.getF32Type()));
}

Value KernelBuilder::table(DenseElementsAttr entries) {
  return constants.argument(entries, entries.getType());
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

Value KernelBuilder::element(Value columns, Value column) {
  auto type = dyn_cast<MemRefType>(columns.getType());
  if (!type)
    return columns;
  Value loaded = memref::LoadOp::create(b, loc, columns, column);
  if (!type.getElementType().isInteger(8))
    return loaded;
  Value zero = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, loaded, zero);
}

Value KernelBuilder::columns(int64_t count, Type element,
                             function_ref<Value(Value)> at, StringRef jam) {
  if (count == 1)
    return at(index(0));
  Value buffer = scratch(count, element);
  auto loop = forRange(index(count), [&](Value column) {
    memref::StoreOp::create(b, loc, at(column), buffer, column);
  });
  if (!jam.empty())
    loop->setAttr(kernelJamName, b.getStringAttr(jam));
  return buffer;
}

void KernelBuilder::forEach(int64_t count, function_ref<void(Value)> body) {
  forRange(index(count), body);
}

scf::ForOp KernelBuilder::forRange(Value from, Value end, int64_t step,
                                   function_ref<void(Value)> body) {
  return scf::ForOp::create(
      b, loc, from, end, index(step), ValueRange(),
      [&](OpBuilder &nested, Location, Value at, ValueRange) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(nested.getInsertionBlock(),
                            nested.getInsertionPoint());
        body(at);
        scf::YieldOp::create(b, loc);
      });
}

void KernelBuilder::ifHolds(Value gate, function_ref<void()> then,
                            function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(b, loc, gate, /*withElseRegion=*/
                                  static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  then();
  if (!otherwise)
    return;
  b.setInsertionPointToStart(branch.elseBlock());
  otherwise();
}
