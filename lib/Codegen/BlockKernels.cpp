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
// common scale. It takes the integers of a block as they are: products of two
// neighbours are added as integers, so that lane i has those of 2 i and 2 i + 1 of 32
// numbers, and then go into one accumulator of 16 lanes, times both scales. Activations
// come as i16, of which every processor multiplies and adds pairs.
//
//===----------------------------------------------------------------------===//

#include "BlockTypes.h"
#include "Codegen.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

namespace {

/// Tokens that are multiplied with a block while it is in registers.
constexpr int64_t tokensTogether = 4;

/// A function of a part of the rows and of matrices, of which all but the last are
/// read only.
class KernelFunction {
public:
  KernelFunction(BlockBuilder &b, ModuleOp module, const Twine &name,
                 ArrayRef<Type> elements) {
    auto layout = StridedLayoutAttr::get(b.getContext(), 0,
                                         {ShapedType::kDynamic, 1});
    SmallVector<Type> arguments = {b.getIndexType(), b.getIndexType()};
    for (Type element : elements)
      arguments.push_back(MemRefType::get(
          {ShapedType::kDynamic, ShapedType::kDynamic}, element, layout));
    b.setInsertionPointToEnd(module.getBody());
    function = func::FuncOp::create(b, b.getStringAttr(name).getValue(),
                                    b.getFunctionType(arguments, {}));
    for (auto [i, element] : llvm::enumerate(elements)) {
      bool isLast = i + 1 == elements.size();
      unsigned at = i + 2;
      function.setArgAttr(at, "weir.role",
                          b.getStringAttr(isLast ? "result" : "constant"));
      function.setArgAttr(at, "weir.type", TypeAttr::get(element));
      function.setArgAttr(at, "weir.sizes",
                          b.getDenseI64ArrayAttr({-3, -3}));
    }
    b.setInsertionPointToStart(function.addEntryBlock());
  }
  Value begin() { return function.getArgument(0); }
  Value end() { return function.getArgument(1); }
  Value matrix(unsigned i) { return function.getArgument(2 + i); }

private:
  func::FuncOp function;
};

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

/// Sums of the products of neighbours: two of 32 x i16 give 16 x i32.
Value pairSums(BlockBuilder &b, Value first, Value second) {
  auto wide = VectorType::get(lanes, b.getI32Type());
  auto part = [&](Value vector, int64_t odd) -> Value {
    SmallVector<int64_t> from;
    for (int64_t i = 0; i < lanes; ++i)
      from.push_back(2 * i + odd);
    return arith::ExtSIOp::create(b, wide, b.shuffled(vector, from));
  };
  auto product = [&](int64_t odd) -> Value {
    Value left = part(first, odd), right = part(second, odd);
    return arith::MulIOp::create(b, left, right);
  };
  Value even = product(0), odd = product(1);
  return arith::AddIOp::create(b, even, odd);
}

/// Rows of blocks times rounded tokens: x [T, width] i16 of bytes, and for each 32
/// of them in `scales` [T, width / 16] their scale, and that times their sum.
void addRounded(BlockBuilder &b, ModuleOp module, const BlockType &type) {
  KernelFunction f(
      b, module, "rounded_" + type.name,
      {b.getI8Type(), b.getI16Type(), b.getF32Type(), b.getF32Type()});
  Value rows = f.matrix(0), x = f.matrix(1), scales = f.matrix(2),
        y = f.matrix(3);
  Value blocks = arith::DivUIOp::create(b, memref::DimOp::create(b, x, 1),
                                        b.index(type.numbers));
  forRowsAndTokens(b, f, x, [&](Value row, Value token, int64_t count) {
    // Of what is added to integers there is a sum, as a second of two numbers.
    auto pair = VectorType::get(2, b.getF32Type());
    Value zero = arith::ConstantOp::create(b, DenseElementsAttr::get(pair, 0.0f));
    SmallVector<Value> sums(count, b.zeros());
    sums.append(count, zero);
    auto made = b.sumLoop(blocks, 1, sums, [&](Value block, auto next) {
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      Value first = arith::MulIOp::create(b, block, b.index(type.numbers));
      Value firstScale =
          arith::MulIOp::create(b, block, b.index(type.numbers / lanes));
      Groups groups = type.integers(WeightBlock(b, rows, row, at));
      for (auto [i, group] : llvm::enumerate(groups))
        for (int64_t t = 0; t < count; ++t) {
          Value line = b.plus(token, t);
          Value numbers = vector::LoadOp::create(
              b, VectorType::get(2 * lanes, b.getI16Type()), x,
              ValueRange{line, b.plus(first, 2 * lanes * i)});
          Value ofToken = vector::LoadOp::create(
              b, pair, scales, ValueRange{line, b.plus(firstScale, 2 * i)});
          Value products = arith::SIToFPOp::create(
              b, b.numbers(), pairSums(b, group.values, numbers));
          Value scale, more;
          if (group.both) {
            more = b.times(group.both, ofToken);
            scale = b.spread(b.lane(more, 0));
          } else {
            scale = b.times(group.scale, b.spread(b.lane(ofToken, 0)));
            if (group.more)
              more = b.times(
                  vector::BroadcastOp::create(b, pair, group.more), ofToken);
          }
          next[t] = math::FmaOp::create(b, products, scale, next[t]);
          if (more)
            next[count + t] = b.sum(next[count + t], more);
        }
    });
    for (int64_t t = 0; t < count; ++t) {
      Value total =
          b.sum(b.halved(made.getResult(t)), b.lane(made.getResult(count + t), 1));
      memref::StoreOp::create(b, total, y, ValueRange{b.plus(token, t), row});
    }
  });
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

OwningOpRef<ModuleOp> codegen::makeBlockKernels(MLIRContext *context) {
  BlockBuilder b(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, b.getLoc());
  for (const BlockType &type : blockTypes()) {
    addUnpack(b, *module, type);
    addLinear(b, *module, type);
    if (type.integers)
      addRounded(b, *module, type);
  }
  addProduct(b, *module);
  return module;
}
