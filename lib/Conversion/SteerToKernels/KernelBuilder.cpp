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
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>

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

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

int64_t KernelBuilder::sizeOf(Value row) {
  return cast<MemRefType>(row.getType()).getDimSize(0);
}

Value KernelBuilder::scratch(int64_t size, Type element) {
  MemRefType type = rowType(size, element);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&kernel.front());
  Value buffer = memref::AllocaOp::create(
      b, loc, MemRefType::get({size}, type.getElementType()),
      b.getI64IntegerAttr(64));
  return memref::CastOp::create(b, loc, type, buffer);
}

Value KernelBuilder::scratchMatrix(int64_t rows, int64_t columns, Type element) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&kernel.front());
  return memref::AllocaOp::create(
      b, loc,
      MemRefType::get({rows, columns}, element ? element : b.getF32Type()),
      b.getI64IntegerAttr(64));
}

void KernelBuilder::storeAt(Value scalar, Value matrix, ArrayRef<Value> at) {
  memref::StoreOp::create(b, loc, scalar, matrix, at);
}

Value KernelBuilder::asType(Value value, Type type) {
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

void KernelBuilder::deliver(Value value, Value to) {
  steer::DeliverOp::create(b, loc, value, to);
}

Value KernelBuilder::row(Value matrix, Value index) {
  auto type = cast<MemRefType>(matrix.getType());
  int64_t size = type.getShape().back();
  SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> sizes(type.getRank(), b.getIndexAttr(1));
  SmallVector<OpFoldResult> strides(type.getRank(), b.getIndexAttr(1));
  offsets.front() = index;
  sizes.back() = b.getIndexAttr(size);
  return memref::SubViewOp::create(b, loc, rowType(size, type.getElementType()),
                                   matrix, offsets, sizes, strides);
}

static VectorType vectorOf(Type element) {
  return VectorType::get({KernelBuilder::lanes}, element);
}

Value KernelBuilder::load(Value row, Value at, Value mask) {
  VectorType type = vectorOf(cast<MemRefType>(row.getType()).getElementType());
  if (!mask)
    return vector::LoadOp::create(b, loc, type, row, at);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, loc, type, row, at, mask, zero);
}

void KernelBuilder::store(Value value, Value row, Value at, Value mask) {
  if (mask)
    vector::MaskedStoreOp::create(b, loc, row, at, mask, value);
  else
    vector::StoreOp::create(b, loc, value, row, at);
}

Value KernelBuilder::splat(Value scalar) {
  return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType()), scalar);
}

Value KernelBuilder::fma(Value x, Value y, Value z) {
  return math::FmaOp::create(b, loc, x, y, z);
}

/// A mask for the first `count` lanes.
static Value firstLanes(OpBuilder &b, Location loc, int64_t count) {
  return vector::ConstantMaskOp::create(b, loc, vectorOf(b.getI1Type()),
                                        ArrayRef<int64_t>(count));
}

void KernelBuilder::forEachVector(int64_t size,
                                  function_ref<void(Value, Value)> body) {
  int64_t whole = size / lanes * lanes;
  if (whole)
    forRange(index(0), index(whole), lanes,
             [&](Value at) { body(at, Value()); });
  if (whole < size)
    body(index(whole), firstLanes(b, loc, size - whole));
}

Value KernelBuilder::sum(int64_t size,
                         function_ref<Value(Value, Value, Value)> step) {
  VectorType type = vectorOf(b.getF32Type());
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  SmallVector<Value> sums(accumulators, zero);
  constexpr int64_t stride = lanes * accumulators;
  int64_t done = size / stride * stride;
  if (done) {
    auto loop = scf::ForOp::create(
        b, loc, index(0), index(done), index(stride), sums,
        [&](OpBuilder &nested, Location, Value at, ValueRange carried) {
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPoint(nested.getInsertionBlock(),
                              nested.getInsertionPoint());
          SmallVector<Value> next;
          for (auto [i, sum] : llvm::enumerate(carried)) {
            Value place =
                i ? Value(arith::AddIOp::create(b, loc, at, index(i * lanes)))
                  : at;
            next.push_back(step(place, Value(), sum));
          }
          scf::YieldOp::create(b, loc, next);
        });
    sums.assign(loop.getResults().begin(), loop.getResults().end());
  }
  for (int64_t i = 0; done < size; ++i, done += lanes) {
    int64_t left = size - done;
    Value mask = left < lanes ? firstLanes(b, loc, left) : Value();
    sums[i] = step(index(done), mask, sums[i]);
  }
  Value total = sums[0];
  for (Value sum : ArrayRef(sums).drop_front())
    total = add(total, sum);
  // Their order is the code generator's, who names it.
  return vector::ReductionOp::create(b, loc, vector::CombiningKind::ADD, total,
                                     arith::FastMathFlags::reassoc);
}

Value KernelBuilder::dot(Value x, Value y) {
  return sum(sizeOf(x), [&](Value at, Value mask, Value sum) {
    return fma(load(x, at, mask), load(y, at, mask), sum);
  });
}

Value KernelBuilder::norm(Value x) {
  return sqrt(sum(sizeOf(x), [&](Value at, Value mask, Value sum) {
    Value part = load(x, at, mask);
    return fma(part, part, sum);
  }));
}

Value KernelBuilder::mean(Value x) {
  Value total = sum(sizeOf(x), [&](Value at, Value mask, Value sum) {
    return add(sum, load(x, at, mask));
  });
  return div(total, f32(static_cast<double>(sizeOf(x))));
}

Value KernelBuilder::deviation(Value x, Value mean) {
  Value centre = splat(mean);
  Value zero = splat(f32(0.0));
  Value squares = sum(sizeOf(x), [&](Value at, Value mask, Value sum) -> Value {
    Value part = sub(load(x, at, mask), centre);
    if (mask)
      part = arith::SelectOp::create(b, loc, mask, part, zero);
    return fma(part, part, sum);
  });
  return sqrt(div(squares, f32(static_cast<double>(sizeOf(x) - 1))));
}

Value KernelBuilder::inputScale(Value x, flow::Normalization normalization) {
  if (normalization == flow::Normalization::LayerNorm)
    return deviation(x, mean(x));
  return div(norm(x), f32(std::sqrt(static_cast<double>(sizeOf(x)))));
}

Value KernelBuilder::normalize(Value x, flow::Normalization normalization) {
  Value scale = inputScale(x, normalization), centre;
  if (normalization == flow::Normalization::LayerNorm) {
    centre = splat(mean(x));
    scale = add(scale, f32(1e-5));
  } else {
    // A zero vector has no direction to stretch: divide by one instead.
    scale = where(above(scale, f32(0.0)), scale, f32(1.0));
  }
  Value to = scratch(sizeOf(x), b.getF32Type()), divisor = splat(scale);
  forEachVector(sizeOf(x), [&](Value at, Value mask) {
    Value part = load(x, at, mask);
    if (centre)
      part = sub(part, centre);
    store(div(part, divisor), to, at, mask);
  });
  return to;
}

Value KernelBuilder::destinationOf(Operation *op) {
  Value result = op->getResult(0);
  if (result.hasOneUse())
    if (auto deliver = dyn_cast<steer::DeliverOp>(*result.user_begin()))
      return deliver.getTo();
  auto type = cast<RankedTensorType>(result.getType());
  return scratch(type.getShape().back(), type.getElementType());
}

void KernelBuilder::addRow(Value c, Value row, Value to) {
  Value factor = splat(c);
  forEachVector(sizeOf(to), [&](Value at, Value mask) {
    store(fma(factor, load(row, at, mask), load(to, at, mask)), to, at, mask);
  });
}

void KernelBuilder::addRows(int64_t count,
                            function_ref<Value(Value)> coefficient,
                            function_ref<Value(Value)> row, Value to,
                            bool skipZeros) {
  Value number = index(count), list;
  if (skipZeros) {
    list = scratch(count, b.getIndexType());
    Value none = index(0), one = index(1);
    number = scf::ForOp::create(
                 b, loc, none, number, one, none,
                 [&](OpBuilder &nested, Location, Value at, ValueRange known) {
                   OpBuilder::InsertionGuard guard(b);
                   b.setInsertionPoint(nested.getInsertionBlock(),
                                       nested.getInsertionPoint());
                   memref::StoreOp::create(b, loc, at, list, known.front());
                   Value isSome = arith::IndexCastUIOp::create(
                       b, loc, b.getIndexType(), notZero(coefficient(at)));
                   Value next =
                       arith::AddIOp::create(b, loc, known.front(), isSome);
                   scf::YieldOp::create(b, loc, next);
                 })
                 .getResult(0);
  }
  auto columnAt = [&](Value at) -> Value {
    return list ? Value(memref::LoadOp::create(b, loc, list, at)) : at;
  };
  Value rest = arith::RemUIOp::create(b, loc, number, index(addedRows));
  Value whole = arith::SubIOp::create(b, loc, number, rest);
  forRange(index(0), whole, addedRows, [&](Value at) {
    SmallVector<std::pair<Value, Value>> added;
    for (int64_t i = 0; i < addedRows; ++i) {
      Value column =
          columnAt(arith::AddIOp::create(b, loc, at, index(i)));
      added.push_back({splat(coefficient(column)), row(column)});
    }
    forEachVector(sizeOf(to), [&](Value place, Value mask) {
      Value sum = load(to, place, mask);
      for (auto [factor, each] : added)
        sum = fma(factor, load(each, place, mask), sum);
      store(sum, to, place, mask);
    });
  });
  forRange(whole, number, 1, [&](Value at) {
    Value column = columnAt(at);
    addRow(coefficient(column), row(column), to);
  });
}

void KernelBuilder::addRounded(Value x, Value c, Value row, Value to) {
  Value factor = splat(c);
  forEachVector(sizeOf(to), [&](Value at, Value mask) {
    Value added = mul(factor, load(row, at, mask));
    store(add(load(x, at, mask), added), to, at, mask);
  });
}

void KernelBuilder::copy(Value x, Value to, Type narrow) {
  Type from = cast<MemRefType>(x.getType()).getElementType();
  Type type = cast<MemRefType>(to.getType()).getElementType();
  int64_t size = sizeOf(x);
  if (from == type && type.isF32()) {
    forEachVector(size, [&](Value at, Value mask) {
      store(load(x, at, mask), to, at, mask);
    });
    return;
  }
  auto convert = [&](Value value) -> Value {
    if (from == type)
      return value;
    auto shaped = [&](Type element) {
      return isa<VectorType>(value.getType()) ? Type(vectorOf(element)) : element;
    };
    if (type.isF32()) {
      Value bits = arith::BitcastOp::create(b, loc, shaped(narrow), value);
      return arith::ExtFOp::create(b, loc, shaped(type), bits);
    }
    Value rounded = arith::TruncFOp::create(b, loc, shaped(narrow), value);
    return arith::BitcastOp::create(b, loc, shaped(type), rounded);
  };
  // No processor loads parts of a vector of 16-bit numbers well: the rest is
  // taken number by number.
  int64_t whole = size / lanes * lanes;
  if (whole)
    forEachVector(whole, [&](Value at, Value) {
      store(convert(load(x, at, Value())), to, at, Value());
    });
  for (int64_t i = whole; i < size; ++i) {
    Value at = index(i);
    memref::StoreOp::create(
        b, loc, convert(memref::LoadOp::create(b, loc, x, at)), to, at);
  }
}
