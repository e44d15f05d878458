//===- BlockTypes.cpp - How weights lie in blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockTypes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

namespace {

/// The scale of a block, and its minimum or null, for all lanes.
std::pair<Value, Value> scaleAndMinimum(WeightBlock block, bool hasMinimum) {
  BlockBuilder &b = block.b;
  if (!hasMinimum)
    return {b.spread(block.half(0)), Value()};
  Value both = block.halves(0);
  return {b.spread(b.lane(both, 0)), b.spread(b.lane(both, 1))};
}

/// 16 of the 32 integers of Q4_0, Q4_1, Q5_0 and Q5_1.
Value fourOrFiveBits(WeightBlock block, int64_t half, bool hasFifthBit,
                     bool hasMinimum) {
  int64_t at = hasMinimum ? 4 : 2;
  if (!hasFifthBit)
    return block.nibbles(at, half);
  return block.b.orOf(block.nibbles(at + 4, half),
                      block.sixteens(at + 2 * half));
}

/// What is taken from such integers where they have no minimum.
int64_t middleOf(bool hasFifthBit) { return hasFifthBit ? 16 : 8; }

Vectors q4Or5(WeightBlock block, bool hasFifthBit, bool hasMinimum) {
  BlockBuilder &b = block.b;
  auto [d, m] = scaleAndMinimum(block, hasMinimum);
  Vectors out;
  for (int64_t half : {0, 1}) {
    Value q = fourOrFiveBits(block, half, hasFifthBit, hasMinimum);
    out.push_back(
        hasMinimum
            ? b.sum(b.times(d, b.fromUnsigned(q)), m)
            : b.times(d, b.fromSigned(b.less(q, middleOf(hasFifthBit)))));
  }
  return out;
}

Vectors q8(WeightBlock block) {
  BlockBuilder &b = block.b;
  Value d = b.spread(block.half(0));
  Vectors out;
  for (int64_t i : {0, 1})
    out.push_back(b.times(b.fromSigned(block.load(2 + i * lanes, lanes)), d));
  return out;
}

/// Of Q4_K and Q5_K: six bits each, in twelve bytes.
std::pair<Value, Value> scalesOfK(WeightBlock block) {
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

/// `count` of the 32 integers of a group of Q4_K or Q5_K, from a place on.
Value bitsOfK(WeightBlock block, int64_t group, int64_t at, int64_t count,
              bool hasFifthBit) {
  BlockBuilder &b = block.b;
  int64_t first = hasFifthBit ? 48 : 16;
  Value q = block.nibbles(first + 32 * (group / 2) + at, group % 2, count);
  if (!hasFifthBit)
    return q;
  Value bit = b.andOf(b.shifted(block.load(16 + at, count), group), 1);
  return b.orOf(q, arith::ShLIOp::create(b, bit, b.splat(4, count)));
}

/// Q4_K and Q5_K: eight groups of 32.
Vectors qk(WeightBlock block, bool hasFifthBit) {
  BlockBuilder &b = block.b;
  auto [d, m] = scalesOfK(block);
  Vectors out;
  for (int64_t group = 0; group < 8; ++group) {
    Value scale = b.spread(b.lane(d, group)),
          least = b.spread(b.lane(m, group));
    for (int64_t i : {0, 1}) {
      Value q = bitsOfK(block, group, lanes * i, lanes, hasFifthBit);
      out.push_back(b.difference(b.times(scale, b.fromUnsigned(q)), least));
    }
  }
  return out;
}

/// Of Q6_K: a signed byte each, times the block's.
Value scalesOf6K(WeightBlock block) {
  BlockBuilder &b = block.b;
  Value d = b.spread(block.half(208));
  return b.times(d, b.fromSigned(block.load(192, 16)));
}

/// `count` of 32 integers of Q6_K, from a place on; `part` is one of eight. 32
/// is to be taken from them.
Value bitsOf6K(WeightBlock block, int64_t part, int64_t at, int64_t count) {
  BlockBuilder &b = block.b;
  int64_t side = part / 4, quarter = part % 4;
  Value q =
      block.nibbles(64 * side + 32 * (quarter % 2) + at, quarter / 2, count);
  Value bits = b.andOf(
      b.shifted(block.load(128 + 32 * side + at, count), 2 * quarter), 3);
  return b.orOf(q, arith::ShLIOp::create(b, bits, b.splat(4, count)));
}

/// Q6_K: 16 groups of 16, each with a signed scale.
Vectors q6k(WeightBlock block) {
  BlockBuilder &b = block.b;
  Value scales = scalesOf6K(block);
  Vectors out;
  for (int64_t part = 0; part < 8; ++part)
    for (int64_t i : {0, 1}) {
      Value q = bitsOf6K(block, part, lanes * i, lanes);
      Value scale = b.spread(b.lane(scales, 2 * part + i));
      out.push_back(b.times(scale, b.fromSigned(b.less(q, 32))));
    }
  return out;
}

/// Numbers of 16 bits, without a scale.
Vectors plain(WeightBlock block, bool isBrain) {
  BlockBuilder &b = block.b;
  Vectors out;
  for (int64_t i : {0, 1}) {
    Value loaded = block.load(2 * lanes * i, 2 * lanes);
    auto vectorOf = [](Type element) {
      return VectorType::get(lanes, element);
    };
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

Groups integersOf4Or5(WeightBlock block, bool hasFifthBit, bool hasMinimum) {
  BlockBuilder &b = block.b;
  Value low = fourOrFiveBits(block, 0, hasFifthBit, hasMinimum);
  Value high = fourOrFiveBits(block, 1, hasFifthBit, hasMinimum);
  int64_t less = hasMinimum ? 0 : middleOf(hasFifthBit);
  return {{shorts(b, joined(b, low, high), /*isSigned=*/false, less),
           hasMinimum ? Value() : b.spread(block.half(0)), Value(),
           hasMinimum ? block.halves(0) : Value()}};
}

Groups integersOf8(WeightBlock block) {
  BlockBuilder &b = block.b;
  return {{shorts(b, block.load(2, 2 * lanes), /*isSigned=*/true),
           b.spread(block.half(0)), Value(), Value()}};
}

Groups integersOfK(WeightBlock block, bool hasFifthBit) {
  BlockBuilder &b = block.b;
  auto [scales, minima] = scalesOfK(block);
  Groups out;
  for (int64_t group = 0; group < 8; ++group) {
    Value bytes = bitsOfK(block, group, 0, 2 * lanes, hasFifthBit);
    out.push_back({shorts(b, bytes, /*isSigned=*/false),
                   b.spread(b.lane(scales, group)),
                   arith::NegFOp::create(b, b.lane(minima, group)), Value()});
  }
  return out;
}

Groups integersOf6K(WeightBlock block) {
  BlockBuilder &b = block.b;
  Value scales = scalesOf6K(block);
  Groups out;
  for (int64_t part = 0; part < 8; ++part) {
    Value bytes = bitsOf6K(block, part, 0, 2 * lanes);
    SmallVector<int64_t> from(lanes, 2 * part);
    std::fill(from.begin() + lanes / 2, from.end(), 2 * part + 1);
    out.push_back({shorts(b, bytes, /*isSigned=*/false, 32),
                   b.shuffled(scales, from), Value(), Value()});
  }
  return out;
}

// As in ggml (and lib/Kernels/Blocks.cpp, whose sizes these are).
const BlockType types[] = {
    {"F16", 32, 64, [](WeightBlock block) { return plain(block, false); },
     nullptr},
    {"BF16", 32, 64, [](WeightBlock block) { return plain(block, true); },
     nullptr},
    {"Q4_0", 32, 18,
     [](WeightBlock block) { return q4Or5(block, false, false); },
     [](WeightBlock block) { return integersOf4Or5(block, false, false); }},
    {"Q4_1", 32, 20,
     [](WeightBlock block) { return q4Or5(block, false, true); },
     [](WeightBlock block) { return integersOf4Or5(block, false, true); }},
    {"Q5_0", 32, 22,
     [](WeightBlock block) { return q4Or5(block, true, false); },
     [](WeightBlock block) { return integersOf4Or5(block, true, false); }},
    {"Q5_1", 32, 24, [](WeightBlock block) { return q4Or5(block, true, true); },
     [](WeightBlock block) { return integersOf4Or5(block, true, true); }},
    {"Q8_0", 32, 34, q8, integersOf8},
    {"Q4_K", 256, 144, [](WeightBlock block) { return qk(block, false); },
     [](WeightBlock block) { return integersOfK(block, false); }},
    {"Q5_K", 256, 176, [](WeightBlock block) { return qk(block, true); },
     [](WeightBlock block) { return integersOfK(block, true); }},
    {"Q6_K", 256, 210, q6k, integersOf6K},
};

} // namespace

ArrayRef<BlockType> codegen::blockTypes() { return types; }
