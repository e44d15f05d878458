//===- BlockKernels.cpp - Products with weights in blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights stay as a GGUF file holds them: rows of blocks, each with a scale or two
// and 32 or 256 small integers. For each type there is one way to make f32 vectors
// of a block (BlockTypes.h), and two kernels that use it: one writes rows of numbers,
// the other multiplies them with few tokens as they come. With many tokens it pays
// to write some rows and to multiply those (`product`).
//
// All products have one order of sums: number i of a row goes to lane i mod 16 of
// accumulator i / 16 mod 2, by fused multiplications and additions in the order of
// i; the two are added and then halved. So a token's result depends neither on the
// other tokens, nor on the kernel, nor on the processor.
//
// A third kernel multiplies with tokens that were rounded to bytes, 32 numbers with a
// common scale. It takes the integers of two groups of 32 as they are, unsigned: the
// products of four neighbours are added as integers, from what the least of them has
// too much, so that lane i has those of 4 i to 4 i + 3 of 64 numbers. These go into one
// accumulator of 16 lanes, times both scales; minima times the sum of a group's numbers
// go into another.
//
//===----------------------------------------------------------------------===//

#include "BlockTypes.h"
#include "Codegen.h"
#include "KernelFunction.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

namespace {

/// Tokens that are multiplied with a block while it is in registers.
constexpr int64_t tokensTogether = 4;

/// Rows of blocks to rows of f32.
void addUnpack(BlockBuilder &b, ModuleOp module, const BlockType &type) {
  KernelFunction f(b, module, "unpack_" + type.name,
                   {b.getI8Type(), b.getF32Type()});
  Value rows = f.matrix(0), out = f.matrix(1);
  Value width = memref::DimOp::create(b, out, 1);
  Value blocks = arith::DivUIOp::create(b, width, b.index(type.numbers));
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    b.loop(b.index(0), blocks, 1, [&](Value block) {
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      Value first = arith::MulIOp::create(b, block, b.index(type.numbers));
      Vectors made = type.unpack(WeightBlock(b, rows, row, at));
      for (auto [i, vector] : llvm::enumerate(made))
        vector::StoreOp::create(b, vector, out,
                                ValueRange{row, b.plus(first, i * lanes)});
    });
  });
  func::ReturnOp::create(b);
}

/// Builds the loops over rows and, within, over some tokens at a time.
void forRowsAndTokens(BlockBuilder &b, KernelFunction &f, Value x,
                      function_ref<void(Value, Value, int64_t)> multiply) {
  Value tokens = memref::DimOp::create(b, x, 0);
  Value rest = arith::RemUIOp::create(b, tokens, b.index(tokensTogether));
  Value whole = arith::SubIOp::create(b, tokens, rest);
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    b.loop(b.index(0), whole, tokensTogether,
           [&](Value token) { multiply(row, token, tokensTogether); });
    b.loop(whole, tokens, 1, [&](Value token) { multiply(row, token, 1); });
  });
  func::ReturnOp::create(b);
}

/// Rows of blocks times tokens x [T, width], into y [T, rows].
void addLinear(BlockBuilder &b, ModuleOp module, const BlockType &type) {
  KernelFunction f(b, module, "linear_" + type.name,
                   {b.getI8Type(), b.getF32Type(), b.getF32Type()});
  Value rows = f.matrix(0), x = f.matrix(1), y = f.matrix(2);
  Value blocks = arith::DivUIOp::create(b, memref::DimOp::create(b, x, 1),
                                        b.index(type.numbers));
  forRowsAndTokens(b, f, x, [&](Value row, Value token, int64_t count) {
    SmallVector<Value> sums(2 * count, b.zeros());
    auto made = b.sumLoop(blocks, 1, sums, [&](Value block, auto next) {
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      Value first = arith::MulIOp::create(b, block, b.index(type.numbers));
      Vectors weights = type.unpack(WeightBlock(b, rows, row, at));
      for (auto [i, weight] : llvm::enumerate(weights))
        for (int64_t t = 0; t < count; ++t) {
          Value numbers = vector::LoadOp::create(
              b, b.numbers(), x,
              ValueRange{b.plus(token, t), b.plus(first, i * lanes)});
          Value &sum = next[2 * t + i % 2];
          sum = math::FmaOp::create(b, weight, numbers, sum);
        }
    });
    for (int64_t t = 0; t < count; ++t) {
      Value total = b.halved(
          b.sum(made.getResult(2 * t), made.getResult(2 * t + 1)));
      memref::StoreOp::create(b, total, y, ValueRange{b.plus(token, t), row});
    }
  });
}

/// Adds to 16 x i32 the products of four neighbours each: 64 unsigned bytes, none of
/// them above `most`, times 64 signed ones, none of them below -127.
Value addProducts(BlockBuilder &b, Value sums, Value weights, Value x,
                  int64_t most) {
  auto part = [&](Value vector, int64_t first, int64_t count) -> Value {
    return vector::ExtractStridedSliceOp::create(
        b, vector, ArrayRef<int64_t>(first), ArrayRef<int64_t>(count),
        ArrayRef<int64_t>(1));
  };
  using Products = Variant::Products;
  if (b.variant.products == Products::Fours)
    return b.instruction("llvm.x86.avx512.vpdpbusd.512", b.integers(lanes),
                         {sums, weights, x});
  bool fits = 2 * most * 127 <= std::numeric_limits<int16_t>::max();
  if (b.variant.products == Products::Pairs && fits) {
    Value one = arith::ConstantOp::create(
        b, DenseElementsAttr::get(b.integers(lanes, 16), int16_t(1)));
    Vectors halves;
    for (int64_t at : {int64_t(0), 2 * lanes}) {
      Value pairs = b.instruction(
          "llvm.x86.avx2.pmadd.ub.sw", b.integers(lanes, 16),
          {part(weights, at, 2 * lanes), part(x, at, 2 * lanes)});
      halves.push_back(b.instruction("llvm.x86.avx2.pmadd.wd",
                                     b.integers(lanes / 2), {pairs, one}));
    }
    return arith::AddIOp::create(b, sums, b.joined(halves[0], halves[1]));
  }
  // A product of two bytes fits 16 bits.
  auto wide = b.integers(4 * lanes, 16);
  Value left = arith::ExtUIOp::create(b, wide, weights);
  Value right = arith::ExtSIOp::create(b, wide, x);
  Value products = arith::MulIOp::create(b, left, right);
  for (int64_t i = 0; i < 4; ++i) {
    SmallVector<int64_t> from;
    for (int64_t lane = 0; lane < lanes; ++lane)
      from.push_back(4 * lane + i);
    Value some = arith::ExtSIOp::create(b, b.integers(lanes),
                                        b.shuffled(products, from));
    sums = arith::AddIOp::create(b, sums, some);
  }
  return sums;
}

/// Rows of blocks times rounded tokens (see `addRound`): x [T, width] i8, `fours` of
/// them [T, width / 4] i32, and their scales [T, width / 16], all for a width that is
/// a multiple of 64. The last matrix is [T, rows].
void addRounded(BlockBuilder &b, ModuleOp module, const BlockType &type) {
  Type f32 = b.getF32Type(), i8 = b.getI8Type();
  KernelFunction f(b, module, "rounded_" + type.name,
                   {i8, i8, b.getI32Type(), f32, f32});
  Value rows = f.matrix(0), x = f.matrix(1), fours = f.matrix(2),
        scales = f.matrix(3), y = f.matrix(4);
  // Of the rows: tokens may be wider.
  Value blocks = arith::DivUIOp::create(b, memref::DimOp::create(b, rows, 1),
                                        b.index(type.bytes));
  auto four = VectorType::get(4, f32);
  SmallVector<int64_t> ofGroups(lanes, 0);
  std::fill(ofGroups.begin() + lanes / 2, ofGroups.end(), 2);
  int64_t pairsOfBlock = type.numbers / 64, most = type.name == "Q8_0" ? 255 : 63;
  forRowsAndTokens(b, f, x, [&](Value row, Value token, int64_t count) {
    auto add = [&](Value block, bool hasNext, MutableArrayRef<Value> next) {
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      WeightBlock first(b, rows, row, at), second = first.next(type.bytes);
      IntegerPairs pairs = type.integers(first, hasNext ? &second : nullptr);
      Value firstPair =
          pairsOfBlock
              ? arith::MulIOp::create(b, block, b.index(pairsOfBlock)).getResult()
              : arith::DivUIOp::create(b, block, b.index(2)).getResult();
      for (auto [i, pair] : llvm::enumerate(pairs))
        for (int64_t t = 0; t < count; ++t) {
          Value line = b.plus(token, t);
          auto load = [&](VectorType vector, Value from) -> Value {
            Value place = arith::MulIOp::create(
                b, b.plus(firstPair, i), b.index(vector.getNumElements()));
            return vector::LoadOp::create(b, vector, from,
                                          ValueRange{line, place});
          };
          Value sums = b.constant(SmallVector<int32_t>(lanes, 0));
          if (pair.less)
            sums = arith::ShLIOp::create(
                b, load(b.integers(lanes), fours),
                b.constant(
                    SmallVector<int32_t>(lanes, llvm::Log2_64(pair.less))));
          sums = addProducts(b, sums, pair.values, load(b.bytes(4 * lanes), x),
                             most);
          Value products = arith::SIToFPOp::create(b, b.numbers(), sums);
          Value both = load(four, scales);
          if (pair.four)
            both = b.times(pair.four, both);
          Value scale = b.shuffled(both, ofGroups);
          if (pair.fine)
            scale = b.times(pair.fine, scale);
          next[t] = math::FmaOp::create(b, products, scale, next[t]);
          if (pair.hasMinimum)
            next[count + t] = b.sum(next[count + t], both);
        }
    };
    Value none = arith::ConstantOp::create(b, DenseElementsAttr::get(four, 0.0f));
    SmallVector<Value> sums(count, b.zeros());
    sums.append(count, none);
    SmallVector<Value> made;
    if (pairsOfBlock) {
      made = b.sumLoop(blocks, 1, sums, [&](Value block, auto next) {
                add(block, false, next);
              }).getResults();
    } else {
      Value odd = arith::RemUIOp::create(b, blocks, b.index(2));
      Value even = arith::SubIOp::create(b, blocks, odd);
      made = b.sumLoop(even, 2, sums, [&](Value block, auto next) {
                add(block, true, next);
              }).getResults();
      made = b.sumLoop(even, blocks, 1, made, [&](Value block, auto next) {
                add(block, false, next);
              }).getResults();
    }
    for (int64_t t = 0; t < count; ++t) {
      Value minima = made[count + t];
      Value total = b.sum(b.halved(made[t]),
                          b.sum(b.lane(minima, 1), b.lane(minima, 3)));
      memref::StoreOp::create(b, total, y, ValueRange{b.plus(token, t), row});
    }
  });
}

/// Rounds rows x [T, width] to bytes, 32 numbers with a common scale: integers [T,
/// width], the negative sums of four of them each [T, width / 4], and for each 32 the
/// scale, and that times their sum [T, width / 16].
void addRound(BlockBuilder &b, ModuleOp module) {
  Type f32 = b.getF32Type();
  KernelFunction f(b, module, "round",
                   {f32, b.getI8Type(), b.getI32Type(), f32}, /*results=*/3);
  Value x = f.matrix(0), out = f.matrix(1), fours = f.matrix(2),
        scales = f.matrix(3);
  Value width = memref::DimOp::create(b, x, 1);
  auto scalar = [&](float value) -> Value {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  };
  auto larger = [&](Value first, Value second) -> Value {
    Value is = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, first, second);
    return arith::SelectOp::create(b, is, first, second);
  };
  auto reduced = [&](Value vector, auto combine) -> Value {
    for (int64_t count = lanes / 2; count >= 1; count /= 2) {
      SmallVector<int64_t> from;
      for (int64_t i = 0; i < lanes; ++i)
        from.push_back((i + count) % lanes);
      vector = combine(b.shuffled(vector, from), vector);
    }
    return vector;
  };
  auto sumOf = [&](Value first, Value second) -> Value {
    return arith::AddIOp::create(b, first, second);
  };
  b.loop(f.begin(), f.end(), 1, [&](Value row) {
    b.loop(b.index(0), width, 2 * lanes, [&](Value first) {
      Vectors given, whole;
      for (int64_t i : {0, 1})
        given.push_back(vector::LoadOp::create(
            b, b.numbers(), x, ValueRange{row, b.plus(first, i * lanes)}));
      Value most = reduced(
          larger(math::AbsFOp::create(b, given[0]).getResult(),
                 math::AbsFOp::create(b, given[1]).getResult()),
          larger);
      // Zero, or none where a number is not finite.
      Value none = b.halved(b.sum(b.difference(given[0], given[0]),
                                  b.difference(given[1], given[1])));
      Value scale =
          arith::DivFOp::create(b, b.lane(most, 0), scalar(127.0f));
      // The smallest numbers have no reciprocal.
      Value isNormal = arith::CmpFOp::create(
          b, arith::CmpFPredicate::OGE, scale,
          scalar(std::numeric_limits<float>::min()));
      Value isFinite = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, none,
                                             scalar(0.0f));
      Value isUsed = arith::AndIOp::create(b, isNormal, isFinite);
      Value divisor = b.spread(scale);
      Value used = vector::BroadcastOp::create(b, b.integers(lanes, 1), isUsed);
      Value zero = b.constant(SmallVector<int32_t>(lanes, 0));
      for (Value vector : given) {
        // Adding 1.5 x 2^23 leaves the nearest integer in the lowest bits.
        Value quotient = arith::DivFOp::create(b, vector, divisor);
        Value shifted = b.sum(quotient, b.spread(scalar(12582912.0f)));
        Value bits = arith::BitcastOp::create(b, b.integers(lanes), shifted);
        Value integers = arith::SubIOp::create(
            b, bits, b.constant(SmallVector<int32_t>(lanes, 0x4B400000)));
        whole.push_back(arith::SelectOp::create(b, used, integers, zero));
      }
      Value four;
      for (int64_t i = 0; i < 4; ++i) {
        SmallVector<int64_t> from;
        for (int64_t lane = 0; lane < lanes / 2; ++lane)
          from.push_back(4 * lane + i);
        Value some = vector::ShuffleOp::create(b, whole[0], whole[1], from);
        four = four ? sumOf(four, some) : some;
      }
      Value negative = arith::SubIOp::create(
          b, b.constant(SmallVector<int32_t>(lanes / 2, 0)), four);
      Value total = b.lane(reduced(sumOf(whole[0], whole[1]), sumOf), 0);
      Value used0 = arith::SelectOp::create(b, isNormal, scale, scalar(0.0f));
      Value given0 = b.sum(used0, none);
      Value ofSum =
          b.times(given0, arith::SIToFPOp::create(b, f32, total).getResult());
      for (int64_t i : {0, 1}) {
        Value small = arith::TruncIOp::create(b, b.bytes(lanes), whole[i]);
        vector::StoreOp::create(b, small, out,
                                ValueRange{row, b.plus(first, i * lanes)});
      }
      Value ofFours = arith::DivUIOp::create(b, first, b.index(4));
      vector::StoreOp::create(b, negative, fours, ValueRange{row, ofFours});
      Value ofScales = arith::DivUIOp::create(b, first, b.index(lanes));
      memref::StoreOp::create(b, given0, scales, ValueRange{row, ofScales});
      memref::StoreOp::create(b, ofSum, scales,
                              ValueRange{row, b.plus(ofScales, 1)});
    });
  });
  func::ReturnOp::create(b);
}

/// Rows of f32 [R, width] times tokens x [T, width], into y [T, R]. Several of both
/// at a time, see Jam.cpp.
void addProduct(BlockBuilder &b, ModuleOp module) {
  Type f32 = b.getF32Type();
  KernelFunction f(b, module, "product", {f32, f32, f32});
  Value rows = f.matrix(0), x = f.matrix(1), y = f.matrix(2);
  Value tokens = memref::DimOp::create(b, x, 0);
  Value width = memref::DimOp::create(b, x, 1);
  auto ofTokens = b.loop(b.index(0), tokens, 1, [&](Value token) {
    auto ofRows = b.loop(f.begin(), f.end(), 1, [&](Value row) {
      Vectors zeros(2, b.zeros());
      auto made = b.sumLoop(width, 2 * lanes, zeros, [&](Value first, auto next) {
        for (int64_t i : {0, 1}) {
          Value at = b.plus(first, i * lanes);
          auto load = [&](Value from, Value line) -> Value {
            return vector::LoadOp::create(b, b.numbers(), from,
                                          ValueRange{line, at});
          };
          Value weight = load(rows, row), numbers = load(x, token);
          next[i] = math::FmaOp::create(b, weight, numbers, next[i]);
        }
      });
      Value total = b.halved(b.sum(made.getResult(0), made.getResult(1)));
      memref::StoreOp::create(b, total, y, ValueRange{token, row});
    });
    ofRows->setAttr("weir.jam", b.getStringAttr("rows"));
  });
  ofTokens->setAttr("weir.jam", b.getStringAttr("tokens"));
  func::ReturnOp::create(b);
}

} // namespace

OwningOpRef<ModuleOp> codegen::makeBlockKernels(MLIRContext *context,
                                                const Variant &variant) {
  BlockBuilder b(context, variant);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, b.getLoc());
  for (const BlockType &type : blockTypes()) {
    addUnpack(b, *module, type);
    addLinear(b, *module, type);
    if (type.integers)
      addRounded(b, *module, type);
  }
  addRound(b, *module);
  addProduct(b, *module);
  addStepKernels(b, *module);
  return module;
}
