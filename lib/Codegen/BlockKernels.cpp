//===- BlockKernels.cpp - Products with weights in blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights stay as a GGUF file holds them: rows of blocks, each with a scale or two
// and 32 or 256 small integers (ggml's quants.c says where which bits lie). For each
// type there is one way to make f32 vectors of a block, with the roundings of
// gguf-py's dequantisation, and two kernels that use it: one writes rows of numbers,
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

#include "Codegen.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;

namespace {

constexpr int64_t lanes = 16;
/// Tokens that are multiplied with a block while it is in registers.
constexpr int64_t tokensTogether = 4;

/// Builds what kernels of all types have in common.
class BlockBuilder : public ImplicitLocOpBuilder {
public:
  explicit BlockBuilder(MLIRContext *context)
      : ImplicitLocOpBuilder(UnknownLoc::get(context), context) {}

  VectorType bytes(int64_t count) { return VectorType::get(count, getI8Type()); }
  VectorType numbers() { return VectorType::get(lanes, getF32Type()); }

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(*this, value);
  }
  Value plus(Value a, int64_t b) {
    return b ? arith::AddIOp::create(*this, a, index(b)).getResult() : a;
  }
  Value splat(int64_t value, int64_t count = lanes) {
    return each(SmallVector<int8_t>(count, value));
  }
  Value each(ArrayRef<int8_t> values) {
    return arith::ConstantOp::create(
        *this, DenseElementsAttr::get(bytes(values.size()), values));
  }
  Value zeros() {
    return arith::ConstantOp::create(
        *this, DenseElementsAttr::get(numbers(), 0.0f));
  }
  Value andOf(Value a, int64_t mask) {
    return arith::AndIOp::create(*this, a, splat(mask, widthOf(a)));
  }
  Value shifted(Value a, int64_t right) {
    return right ? arith::ShRUIOp::create(*this, a, splat(right, widthOf(a)))
                       .getResult()
                 : a;
  }
  Value orOf(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value less(Value a, int64_t b) {
    return arith::SubIOp::create(*this, a, splat(b, widthOf(a)));
  }
  Value spread(Value number) {
    return vector::BroadcastOp::create(*this, numbers(), number);
  }
  Value lane(Value vector, int64_t i) {
    return vector::ExtractOp::create(*this, vector, i);
  }
  Value shuffled(Value vector, ArrayRef<int64_t> from) {
    return vector::ShuffleOp::create(*this, vector, vector, from);
  }
  /// Integers of a byte as f32.
  Value fromSigned(Value small) {
    return arith::SIToFPOp::create(*this, f32Of(small), small);
  }
  Value fromUnsigned(Value small) {
    return arith::UIToFPOp::create(*this, f32Of(small), small);
  }
  Value times(Value a, Value b) { return arith::MulFOp::create(*this, a, b); }
  Value sum(Value a, Value b) { return arith::AddFOp::create(*this, a, b); }
  Value difference(Value a, Value b) {
    return arith::SubFOp::create(*this, a, b);
  }

  /// Halves a vector until one number is left.
  Value halved(Value vector) {
    for (int64_t count = lanes / 2; count >= 1; count /= 2) {
      auto part = [&](int64_t first) -> Value {
        return vector::ExtractStridedSliceOp::create(
            *this, vector, ArrayRef<int64_t>(first), ArrayRef<int64_t>(count),
            ArrayRef<int64_t>(1));
      };
      Value low = part(0), high = part(count);
      vector = sum(low, high);
    }
    return lane(vector, 0);
  }

  scf::ForOp loop(Value from, Value to, int64_t step,
                  function_ref<void(Value)> body) {
    auto made = scf::ForOp::create(*this, from, to, index(step));
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(made.getBody());
    body(made.getInductionVar());
    return made;
  }

private:
  int64_t widthOf(Value vector) {
    return cast<VectorType>(vector.getType()).getNumElements();
  }
  Type f32Of(Value vector) {
    return VectorType::get(widthOf(vector), getF32Type());
  }
};

/// One block of a row, from which vectors of numbers are made.
class Block {
public:
  Block(BlockBuilder &b, Value rows, Value row, Value offset)
      : b(b), rows(rows), row(row), offset(offset) {}

  /// Bytes of the block, from a place in it on.
  Value load(int64_t at, int64_t count) {
    return vector::LoadOp::create(b, b.bytes(count), rows,
                                  ValueRange{row, b.plus(offset, at)});
  }
  /// The number of 16 bits at a place, as f32.
  Value half(int64_t at) {
    Value number = vector::BitCastOp::create(
        b, VectorType::get(1, b.getF16Type()), load(at, 2));
    return arith::ExtFOp::create(b, b.getF32Type(), b.lane(number, 0));
  }
  /// Two such numbers, one after the other, as 2 x f32.
  Value halves(int64_t at) {
    Value numbers = vector::BitCastOp::create(
        b, VectorType::get(2, b.getF16Type()), load(at, 4));
    return arith::ExtFOp::create(b, VectorType::get(2, b.getF32Type()), numbers);
  }
  /// 16 values of four bits, a half of each byte.
  Value nibbles(int64_t at, bool isUpper) {
    Value packed = load(at, lanes);
    return isUpper ? b.shifted(packed, 4) : b.andOf(packed, 15);
  }
  /// A number for each of 16 bits: 16 where it is set, else 0.
  Value sixteens(int64_t at) {
    Value set = vector::BitCastOp::create(
        b, VectorType::get(lanes, b.getI1Type()), load(at, 2));
    return arith::SelectOp::create(b, set, b.splat(16), b.splat(0));
  }

  BlockBuilder &b;

private:
  Value rows, row, offset;
};

using Vectors = SmallVector<Value, 16>;

/// The scale of a block, and its minimum or null, for all lanes.
std::pair<Value, Value> scaleAndMinimum(Block block, bool hasMinimum) {
  BlockBuilder &b = block.b;
  if (!hasMinimum)
    return {b.spread(block.half(0)), Value()};
  Value both = block.halves(0);
  return {b.spread(b.lane(both, 0)), b.spread(b.lane(both, 1))};
}

Vectors q4(Block block, bool hasMinimum) {
  BlockBuilder &b = block.b;
  auto [d, m] = scaleAndMinimum(block, hasMinimum);
  Vectors out;
  for (bool isUpper : {false, true}) {
    Value q = block.nibbles(hasMinimum ? 4 : 2, isUpper);
    out.push_back(hasMinimum ? b.sum(b.times(d, b.fromUnsigned(q)), m)
                             : b.times(d, b.fromSigned(b.less(q, 8))));
  }
  return out;
}

Vectors q5(Block block, bool hasMinimum) {
  BlockBuilder &b = block.b;
  auto [d, m] = scaleAndMinimum(block, hasMinimum);
  int64_t bits = hasMinimum ? 4 : 2;
  Vectors out;
  for (int64_t i : {0, 1}) {
    Value q = b.orOf(block.nibbles(bits + 4, /*isUpper=*/i),
                     block.sixteens(bits + 2 * i));
    out.push_back(hasMinimum ? b.sum(b.times(d, b.fromUnsigned(q)), m)
                             : b.times(d, b.fromSigned(b.less(q, 16))));
  }
  return out;
}

Vectors q8(Block block) {
  BlockBuilder &b = block.b;
  Value d = b.spread(block.half(0));
  Vectors out;
  for (int64_t i : {0, 1})
    out.push_back(
        b.times(b.fromSigned(block.load(2 + i * lanes, lanes)), d));
  return out;
}

/// Of Q4_K and Q5_K: six bits each, in twelve bytes.
std::pair<Value, Value> scalesOfK(Block block) {
  BlockBuilder &b = block.b;
  Value head = block.load(0, 16);
  auto eightOf = [](int8_t first, int8_t second) {
    return SmallVector<int8_t>{first,  first,  first,  first,
                               second, second, second, second};
  };
  auto masked = [&](Value v, int8_t first, int8_t second) -> Value {
    return arith::AndIOp::create(b, v, b.each(eightOf(first, second)));
  };
  auto upper = [&](int64_t at) {
    Value twice = b.shuffled(
        head, {at, at + 1, at + 2, at + 3, at, at + 1, at + 2, at + 3});
    return masked(b.shifted(twice, 2), 0, 48);
  };
  Value lowScales = b.shuffled(head, {4, 5, 6, 7, 12, 13, 14, 15});
  Value scales = b.orOf(masked(lowScales, 63, 15), upper(4));
  Value lowMinima = arith::ShRUIOp::create(
      b, b.shuffled(head, {8, 9, 10, 11, 12, 13, 14, 15}),
      b.each(eightOf(0, 4)));
  Value minima = b.orOf(masked(lowMinima, 63, 15), upper(8));
  auto eight = VectorType::get(8, b.getF32Type());
  auto all = [&](int64_t at) -> Value {
    return vector::BroadcastOp::create(b, eight, block.half(at));
  };
  return {b.times(all(0), b.fromUnsigned(scales)),
          b.times(all(2), b.fromUnsigned(minima))};
}

/// Q4_K and Q5_K: eight groups of 32.
Vectors qk(Block block, bool hasFifthBit) {
  BlockBuilder &b = block.b;
  auto [d, m] = scalesOfK(block);
  int64_t first = hasFifthBit ? 48 : 16;
  Vectors out;
  for (int64_t group = 0; group < 8; ++group) {
    Value scale = b.spread(b.lane(d, group)), least = b.spread(b.lane(m, group));
    for (int64_t i : {0, 1}) {
      Value q = block.nibbles(first + 32 * (group / 2) + lanes * i, group % 2);
      if (hasFifthBit) {
        Value bit = b.shifted(block.load(16 + lanes * i, lanes), group);
        // Sixteen where it is set.
        bit = arith::ShLIOp::create(b, b.andOf(bit, 1), b.splat(4));
        q = b.orOf(q, bit);
      }
      out.push_back(b.difference(b.times(scale, b.fromUnsigned(q)), least));
    }
  }
  return out;
}

/// Q6_K: 16 groups of 16, each with a signed scale.
Vectors q6k(Block block) {
  BlockBuilder &b = block.b;
  Value scales =
      b.times(b.spread(block.half(208)), b.fromSigned(block.load(192, 16)));
  Vectors out;
  for (int64_t part = 0; part < 8; ++part) {
    int64_t side = part / 4, quarter = part % 4;
    for (int64_t i : {0, 1}) {
      Value q = block.nibbles(64 * side + 32 * (quarter % 2) + lanes * i,
                              quarter / 2);
      Value bits = b.andOf(
          b.shifted(block.load(128 + 32 * side + lanes * i, lanes), 2 * quarter),
          3);
      bits = arith::ShLIOp::create(b, bits, b.splat(4));
      Value scale = b.spread(b.lane(scales, 2 * part + i));
      out.push_back(
          b.times(scale, b.fromSigned(b.less(b.orOf(q, bits), 32))));
    }
  }
  return out;
}

/// Numbers of 16 bits, without a scale.
Vectors plain(Block block, bool isBrain) {
  BlockBuilder &b = block.b;
  Vectors out;
  for (int64_t i : {0, 1}) {
    Value loaded = block.load(2 * lanes * i, 2 * lanes);
    auto vectorOf = [](Type element) { return VectorType::get(lanes, element); };
    if (!isBrain) {
      Value number =
          vector::BitCastOp::create(b, vectorOf(b.getF16Type()), loaded);
      out.push_back(arith::ExtFOp::create(b, b.numbers(), number));
      continue;
    }
    Value number =
        vector::BitCastOp::create(b, vectorOf(b.getI16Type()), loaded);
    Value wide = arith::ExtUIOp::create(b, vectorOf(b.getI32Type()), number);
    Value sixteen = arith::ConstantOp::create(
        b, DenseElementsAttr::get(vectorOf(b.getI32Type()), int32_t(16)));
    out.push_back(arith::BitcastOp::create(
        b, b.numbers(), arith::ShLIOp::create(b, wide, sixteen)));
  }
  return out;
}

/// 32 numbers of a row as integers: number i is `scale` of lane i / 2 times integer i
/// plus `more`.
struct Integers {
  Value values; ///< 32 x i16
  Value scale;  ///< 16 x f32, or null: the first of `both`
  Value more;   ///< f32, or null for 0 or the second of `both`
  Value both;   ///< 2 x f32, scale and more, or null
};
using Groups = SmallVector<Integers, 8>;

/// 32 bytes as integers, `less` of which is taken.
Value shorts(BlockBuilder &b, Value bytes, bool isSigned, int64_t less = 0) {
  auto type = VectorType::get(2 * lanes, b.getI16Type());
  Value wide = isSigned ? arith::ExtSIOp::create(b, type, bytes).getResult()
                        : arith::ExtUIOp::create(b, type, bytes).getResult();
  if (!less)
    return wide;
  Value taken = arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, static_cast<int16_t>(less)));
  return arith::SubIOp::create(b, wide, taken);
}

Value joined(BlockBuilder &b, Value low, Value high) {
  return vector::ShuffleOp::create(
      b, low, high, llvm::to_vector(llvm::seq<int64_t>(2 * lanes)));
}

Groups integersOf4Or5(Block block, bool hasFifthBit, bool hasMinimum) {
  BlockBuilder &b = block.b;
  int64_t at = hasMinimum ? 4 : 2, first = hasFifthBit ? at + 4 : at;
  Value low = block.nibbles(first, false), high = block.nibbles(first, true);
  if (hasFifthBit) {
    low = b.orOf(low, block.sixteens(at));
    high = b.orOf(high, block.sixteens(at + 2));
  }
  int64_t less = hasMinimum ? 0 : hasFifthBit ? 16 : 8;
  return {{shorts(b, joined(b, low, high), /*isSigned=*/false, less),
           hasMinimum ? Value() : b.spread(block.half(0)), Value(),
           hasMinimum ? block.halves(0) : Value()}};
}

Groups integersOf8(Block block) {
  BlockBuilder &b = block.b;
  return {{shorts(b, block.load(2, 2 * lanes), /*isSigned=*/true),
           b.spread(block.half(0)), Value(), Value()}};
}

Groups integersOfK(Block block, bool hasFifthBit) {
  BlockBuilder &b = block.b;
  auto [scales, minima] = scalesOfK(block);
  int64_t first = hasFifthBit ? 48 : 16;
  Value fifth = hasFifthBit ? block.load(16, 2 * lanes) : Value();
  Groups out;
  for (int64_t group = 0; group < 8; ++group) {
    Value bytes = block.load(first + 32 * (group / 2), 2 * lanes);
    bytes = group % 2 ? b.shifted(bytes, 4) : b.andOf(bytes, 15);
    if (hasFifthBit) {
      Value bit = b.andOf(b.shifted(fifth, group), 1);
      bytes = b.orOf(
          bytes, arith::ShLIOp::create(b, bit, b.splat(4, 2 * lanes)));
    }
    out.push_back({shorts(b, bytes, /*isSigned=*/false),
                   b.spread(b.lane(scales, group)),
                   arith::NegFOp::create(b, b.lane(minima, group)), Value()});
  }
  return out;
}

Groups integersOf6K(Block block) {
  BlockBuilder &b = block.b;
  Value scales =
      b.times(b.spread(block.half(208)), b.fromSigned(block.load(192, 16)));
  Groups out;
  for (int64_t group = 0; group < 8; ++group) {
    int64_t side = group / 4, quarter = group % 4;
    Value bytes = block.load(64 * side + 32 * (quarter % 2), 2 * lanes);
    bytes = quarter / 2 ? b.shifted(bytes, 4) : b.andOf(bytes, 15);
    Value bits = b.andOf(
        b.shifted(block.load(128 + 32 * side, 2 * lanes), 2 * quarter), 3);
    bits = arith::ShLIOp::create(b, bits, b.splat(4, 2 * lanes));
    SmallVector<int64_t> from(lanes, 2 * group);
    std::fill(from.begin() + lanes / 2, from.end(), 2 * group + 1);
    out.push_back({shorts(b, b.orOf(bytes, bits), /*isSigned=*/false, 32),
                   b.shuffled(scales, from), Value(), Value()});
  }
  return out;
}

struct BlockType {
  StringLiteral name;
  int64_t numbers, bytes;
  Vectors (*unpack)(Block);
  Groups (*integers)(Block); ///< null for numbers of 16 bits
};

// As in ggml (and lib/Kernels/Blocks.cpp, whose sizes these are).
const BlockType types[] = {
    {"F16", 32, 64, [](Block block) { return plain(block, false); }, nullptr},
    {"BF16", 32, 64, [](Block block) { return plain(block, true); }, nullptr},
    {"Q4_0", 32, 18, [](Block block) { return q4(block, false); },
     [](Block block) { return integersOf4Or5(block, false, false); }},
    {"Q4_1", 32, 20, [](Block block) { return q4(block, true); },
     [](Block block) { return integersOf4Or5(block, false, true); }},
    {"Q5_0", 32, 22, [](Block block) { return q5(block, false); },
     [](Block block) { return integersOf4Or5(block, true, false); }},
    {"Q5_1", 32, 24, [](Block block) { return q5(block, true); },
     [](Block block) { return integersOf4Or5(block, true, true); }},
    {"Q8_0", 32, 34, q8, integersOf8},
    {"Q4_K", 256, 144, [](Block block) { return qk(block, false); },
     [](Block block) { return integersOfK(block, false); }},
    {"Q5_K", 256, 176, [](Block block) { return qk(block, true); },
     [](Block block) { return integersOfK(block, true); }},
    {"Q6_K", 256, 210, q6k, integersOf6K},
};

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
      Vectors made = type.unpack(Block(b, rows, row, at));
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
    auto made = scf::ForOp::create(b, b.index(0), blocks, b.index(1), sums);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(made.getBody());
      Value block = made.getInductionVar();
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      Value first = arith::MulIOp::create(b, block, b.index(type.numbers));
      SmallVector<Value> next(made.getRegionIterArgs());
      Vectors weights = type.unpack(Block(b, rows, row, at));
      for (auto [i, weight] : llvm::enumerate(weights))
        for (int64_t t = 0; t < count; ++t) {
          Value numbers = vector::LoadOp::create(
              b, b.numbers(), x,
              ValueRange{b.plus(token, t), b.plus(first, i * lanes)});
          Value &sum = next[2 * t + i % 2];
          sum = math::FmaOp::create(b, weight, numbers, sum);
        }
      scf::YieldOp::create(b, next);
    }
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
    auto made = scf::ForOp::create(b, b.index(0), blocks, b.index(1), sums);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(made.getBody());
      Value block = made.getInductionVar();
      Value at = arith::MulIOp::create(b, block, b.index(type.bytes));
      Value first = arith::MulIOp::create(b, block, b.index(type.numbers));
      Value firstScale =
          arith::MulIOp::create(b, block, b.index(type.numbers / lanes));
      SmallVector<Value> next(made.getRegionIterArgs());
      Groups groups = type.integers(Block(b, rows, row, at));
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
      scf::YieldOp::create(b, next);
    }
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
  Value none = b.index(0), by = b.index(2 * lanes);
  auto ofTokens = b.loop(none, tokens, 1, [&](Value token) {
    auto ofRows = b.loop(f.begin(), f.end(), 1, [&](Value row) {
      auto made = scf::ForOp::create(b, none, width, by,
                                     ValueRange{b.zeros(), b.zeros()});
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(made.getBody());
        SmallVector<Value> next(made.getRegionIterArgs());
        for (int64_t i : {0, 1}) {
          Value at = b.plus(made.getInductionVar(), i * lanes);
          auto load = [&](Value from, Value line) -> Value {
            return vector::LoadOp::create(b, b.numbers(), from,
                                          ValueRange{line, at});
          };
          Value weight = load(rows, row), numbers = load(x, token);
          next[i] = math::FmaOp::create(b, weight, numbers, next[i]);
        }
        scf::YieldOp::create(b, next);
      }
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
  for (const BlockType &type : types) {
    addUnpack(b, *module, type);
    addLinear(b, *module, type);
    if (type.integers)
      addRounded(b, *module, type);
  }
  addProduct(b, *module);
  return module;
}
