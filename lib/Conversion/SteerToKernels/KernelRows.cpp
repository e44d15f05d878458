//===- KernelRows.cpp - Rows of numbers in code for one token ---===//
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
