//===- StepKernels.cpp - What a token needs beside its products ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention over a cache in three steps, of which the first is the product of
// BlockKernels.cpp: scores of a query with the keys that it sees, their softmax, and
// the sum of the values by these weights. And norms. Sums have one order on all
// processors, which depends on the sizes of the one row alone.
//
//===----------------------------------------------------------------------===//

#include "KernelFunction.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

namespace {

/// Vectors of values that are summed side by side.
constexpr int64_t vectorsTogether = 4;

class StepBuilder {
public:
  explicit StepBuilder(BlockBuilder &b) : b(b) {}

  Value number(double value) {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(b.numbers(), static_cast<float>(value)));
  }
  Value scalar(double value) {
    return arith::ConstantOp::create(
        b, b.getF32FloatAttr(static_cast<float>(value)));
  }
  Value load(Value from, Value row, Value column) {
    return vector::LoadOp::create(b, b.numbers(), from, ValueRange{row, column});
  }
  void store(Value vector, Value to, Value row, Value column) {
    vector::StoreOp::create(b, vector, to, ValueRange{row, column});
  }
  Value at(Value from, Value row, Value column) {
    return memref::LoadOp::create(b, from, ValueRange{row, column});
  }
  Value columns(Value matrix) { return memref::DimOp::create(b, matrix, 1); }
  Value fma(Value a, Value c, Value d) {
    return math::FmaOp::create(b, a, c, d);
  }
  /// The larger one; `second` where one of them is no number, as maxps.
  Value larger(Value first, Value second) {
    Value isLarger = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, first,
                                           second);
    return arith::SelectOp::create(b, isLarger, first, second);
  }

  /// Powers of e, of numbers that are not above zero. Below -87, where results are no
  /// normal numbers any more, it is zero; what is no number stays none.
  Value exponential(Value x) {
    auto integers = VectorType::get(lanes, b.getI32Type());
    auto integer = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(b,
                                       DenseElementsAttr::get(integers, value));
    };
    // x = n log 2 + r: adding 1.5 x 2^23 rounds n to an integer in the lowest bits.
    Value magic = number(12582912.0);
    Value shifted = fma(x, number(1.4426950408889634), magic);
    Value n = b.difference(shifted, magic);
    Value r = fma(n, number(-0.693359375), x);
    r = fma(n, number(2.12194440054690583e-4), r);
    // The polynomial of Cephes' expf.
    Value p = number(1.9875691500e-4);
    for (double coefficient : {1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                               1.6666665459e-1, 5.0000001201e-1})
      p = fma(p, r, number(coefficient));
    p = fma(p, b.times(r, r), b.sum(r, number(1.0)));
    Value bits = arith::BitcastOp::create(b, integers, shifted);
    bits = arith::ShLIOp::create(b, bits, integer(23));
    bits = arith::AddIOp::create(b, bits, integer(127 << 23));
    Value power = arith::BitcastOp::create(b, b.numbers(), bits);
    Value isSmall = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x,
                                          number(-87.0));
    return arith::SelectOp::create(b, isSmall, b.zeros(), b.times(p, power));
  }

private:
  BlockBuilder &b;
};

/// Rows of scores, a whole number of vectors, to weights: exp(factor s) / sum. What
/// is behind a row's last score is -infinity and gets zero.
void addSoftmax(BlockBuilder &b, ModuleOp module) {
  StepBuilder s(b);
  Type f32 = b.getF32Type();
  KernelFunction f(b, module, "softmax", {f32, f32, f32});
  Value scores = f.matrix(0), factor = f.matrix(1), out = f.matrix(2);
  Value columns = s.columns(scores), zero = b.index(0);
  Value scale = b.spread(s.at(factor, zero, zero));
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    auto largest = b.sumLoop(
        columns, lanes, s.number(-INFINITY), [&](Value at, auto next) {
          Value scaled = b.times(s.load(scores, row, at), scale);
          next[0] = s.larger(scaled, next[0]);
        });
    Value most = largest.getResult(0);
    for (int64_t count = lanes / 2; count >= 1; count /= 2) {
      SmallVector<int64_t> from;
      for (int64_t i = 0; i < lanes; ++i)
        from.push_back((i + count) % lanes);
      most = s.larger(b.shuffled(most, from), most);
    }
    auto sums =
        b.sumLoop(columns, lanes, b.zeros(), [&](Value at, auto next) {
          Value scaled = b.times(s.load(scores, row, at), scale);
          Value power = s.exponential(b.difference(scaled, most));
          s.store(power, out, row, at);
          next[0] = b.sum(next[0], power);
        });
    Value share = arith::DivFOp::create(b, s.scalar(1.0),
                                        b.halved(sums.getResult(0)));
    Value all = b.spread(share);
    b.loop(zero, columns, lanes, [&](Value at) {
      s.store(b.times(s.load(out, row, at), all), out, row, at);
    });
  });
  func::ReturnOp::create(b);
}

/// Weights [T, n] times values [n, d], into y [T, d]; d is a whole number of vectors.
void addCombine(BlockBuilder &b, ModuleOp module) {
  StepBuilder s(b);
  Type f32 = b.getF32Type();
  KernelFunction f(b, module, "combine", {f32, f32, f32});
  Value weights = f.matrix(0), values = f.matrix(1), y = f.matrix(2);
  Value count = s.columns(weights), width = s.columns(values);
  int64_t wide = vectorsTogether * lanes;
  Value rest = arith::RemUIOp::create(b, width, b.index(wide));
  Value whole = arith::SubIOp::create(b, width, rest);
  auto part = [&](Value row, Value first, int64_t vectors) {
    Vectors zeros(vectors, b.zeros());
    auto made = b.sumLoop(count, 1, zeros, [&](Value i, auto next) {
      Value weight = b.spread(s.at(weights, row, i));
      for (int64_t v = 0; v < vectors; ++v)
        next[v] = s.fma(weight, s.load(values, i, b.plus(first, v * lanes)),
                        next[v]);
    });
    for (int64_t v = 0; v < vectors; ++v)
      s.store(made.getResult(v), y, row, b.plus(first, v * lanes));
  };
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    b.loop(b.index(0), whole, wide,
           [&](Value first) { part(row, first, vectorsTogether); });
    b.loop(whole, width, lanes, [&](Value first) { part(row, first, 1); });
  });
  func::ReturnOp::create(b);
}

/// Rows [T, width] to rows of a mean square of 1, times a weight for each column:
/// x / sqrt(mean(x^2) + epsilon) w.
void addNorm(BlockBuilder &b, ModuleOp module) {
  StepBuilder s(b);
  Type f32 = b.getF32Type();
  KernelFunction f(b, module, "rms_norm", {f32, f32, f32, f32});
  Value x = f.matrix(0), weight = f.matrix(1), numbers = f.matrix(2),
        y = f.matrix(3);
  Value width = s.columns(x), zero = b.index(0);
  // 1 / width, and epsilon.
  Value share = s.at(numbers, zero, zero);
  Value epsilon = s.at(numbers, zero, b.index(1));
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    auto squares =
        b.sumLoop(width, lanes, b.zeros(), [&](Value at, auto next) {
          Value loaded = s.load(x, row, at);
          next[0] = s.fma(loaded, loaded, next[0]);
        });
    Value mean = b.times(b.halved(squares.getResult(0)), share);
    Value root = math::SqrtOp::create(b, b.sum(mean, epsilon));
    Value scale =
        b.spread(arith::DivFOp::create(b, s.scalar(1.0), root).getResult());
    b.loop(zero, width, lanes, [&](Value at) {
      Value scaled = b.times(s.load(x, row, at), scale);
      s.store(b.times(s.load(weight, zero, at), scaled), y, row, at);
    });
  });
  func::ReturnOp::create(b);
}

} // namespace

void codegen::addStepKernels(BlockBuilder &b, ModuleOp module) {
  addSoftmax(b, module);
  addCombine(b, module);
  addNorm(b, module);
}
