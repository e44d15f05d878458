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
  if (b.variant.hasLookup) {
    auto table = [&, d = d, m = m](int64_t first) -> Value {
      if (hasMinimum)
        return b.sum(b.times(d, b.counted(first)), m);
      return b.times(d, b.counted(first - middleOf(hasFifthBit)));
    };
    Value low = table(0), high = hasFifthBit ? table(lanes) : Value();
    int64_t at = (hasMinimum ? 4 : 2) + (hasFifthBit ? 4 : 0);
    for (int64_t half : {0, 1}) {
      Value packed = block.load(at, lanes);
      Value number = b.lookup(low, packed, half);
      if (hasFifthBit)
        number = arith::SelectOp::create(b, block.bits(at - 4 + 2 * half),
                                         b.lookup(high, packed, half), number);
      out.push_back(number);
    }
    return out;
  }
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
    if (b.variant.hasLookup) {
      auto table = [&](int64_t first) -> Value {
        return b.difference(b.times(scale, b.counted(first)), least);
      };
      Value low = table(0), high = hasFifthBit ? table(lanes) : Value();
      for (int64_t i : {0, 1}) {
        Value packed = block.load(
            (hasFifthBit ? 48 : 16) + 32 * (group / 2) + lanes * i, lanes);
        Value number = b.lookup(low, packed, group % 2);
        if (hasFifthBit) {
          Value bit = b.andOf(block.load(16 + lanes * i, lanes), 1 << group);
          Value set = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bit,
                                            b.splat(0));
          number = arith::SelectOp::create(
              b, set, b.lookup(high, packed, group % 2), number);
        }
        out.push_back(number);
      }
      continue;
    }
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

/// Bytes of a block, and of the next or zeros.
Value loadBoth(WeightBlock block, const WeightBlock *next, int64_t at,
               int64_t count) {
  BlockBuilder &b = block.b;
  Value second = next ? WeightBlock(*next).load(at, count) : b.splat(0, count);
  return b.joined(block.load(at, count), second);
}

/// Scales of two blocks, and minima behind them or zeros: 4 x f32.
Value fourOf(WeightBlock block, const WeightBlock *next, bool hasMinimum) {
  BlockBuilder &b = block.b;
  Value bytes = loadBoth(block, next, 0, hasMinimum ? 4 : 2);
  if (!hasMinimum)
    bytes = vector::ShuffleOp::create(b, bytes, b.splat(0, 4),
                                      ArrayRef<int64_t>{0, 1, 4, 5, 2, 3, 6, 7});
  Value halves = b.bitCast(VectorType::get(4, b.getF16Type()), bytes);
  return arith::ExtFOp::create(b, VectorType::get(4, b.getF32Type()), halves);
}

/// Values of four bits from 64 bytes: of each four bytes the lower half of each, or
/// with a shift of four the upper one.
Value fourBits(BlockBuilder &b, Value bytes, ArrayRef<int32_t> shifts) {
  Value words = b.bitCast(b.integers(lanes), bytes);
  words = arith::ShRUIOp::create(b, words, b.constant(shifts));
  return b.andOf(b.bitCast(b.bytes(4 * lanes), words), 15);
}

/// 16 more where a bit is set.
Value withFifthBits(BlockBuilder &b, Value values, Value set) {
  return b.orOf(values, arith::SelectOp::create(b, set, b.splat(16, 4 * lanes),
                                                b.splat(0, 4 * lanes)));
}

/// A vector of `count` copies of each of these.
template <typename T>
SmallVector<T> repeated(ArrayRef<T> values, int64_t count) {
  SmallVector<T> out;
  for (T value : values)
    out.append(count, value);
  return out;
}

IntegerPairs integersOf4Or5(WeightBlock block, const WeightBlock *next,
                            bool hasFifthBit, bool hasMinimum) {
  BlockBuilder &b = block.b;
  int64_t at = hasMinimum ? 4 : 2;
  Value packed = loadBoth(block, next, at + (hasFifthBit ? 4 : 0), lanes);
  // The 16 bytes of each block twice: numbers 0 to 15 are their lower halves.
  SmallVector<int64_t> twice;
  for (int64_t i = 0; i < 4 * lanes; ++i)
    twice.push_back(i % lanes + i / (2 * lanes) * lanes);
  Value values = fourBits(b, b.shuffled(packed, twice),
                          repeated<int32_t>({0, 4, 0, 4}, 4));
  if (hasFifthBit)
    values = withFifthBits(b, values,
                           b.bitCast(b.integers(4 * lanes, 1),
                                     loadBoth(block, next, at, 4)));
  return {{values, fourOf(block, next, hasMinimum), Value(),
           hasMinimum ? 0 : middleOf(hasFifthBit), hasMinimum}};
}

IntegerPairs integersOf8(WeightBlock block, const WeightBlock *next) {
  BlockBuilder &b = block.b;
  Value values = loadBoth(block, next, 2, 2 * lanes);
  // From -128 to 127, made 0 to 255.
  values = arith::XOrIOp::create(b, values, b.splat(-128, 4 * lanes));
  return {{values, fourOf(block, next, false), Value(), 128, false}};
}

IntegerPairs integersOfK(WeightBlock block, bool hasFifthBit) {
  BlockBuilder &b = block.b;
  auto [scales, minima] = scalesOfK(block);
  Value negative = arith::NegFOp::create(b, minima);
  IntegerPairs out;
  for (int64_t pair = 0; pair < 4; ++pair) {
    Value packed = block.load((hasFifthBit ? 48 : 16) + 32 * pair, 2 * lanes);
    Value values = fourBits(b, b.joined(packed, packed),
                            repeated<int32_t>({0, 4}, 8));
    if (hasFifthBit) {
      Value bits = block.load(16, 2 * lanes);
      Value masks = b.each(repeated<int8_t>(
          {static_cast<int8_t>(1 << 2 * pair), static_cast<int8_t>(2 << 2 * pair)},
          2 * lanes));
      Value bit = arith::AndIOp::create(b, b.joined(bits, bits), masks);
      Value set = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bit,
                                        b.splat(0, 4 * lanes));
      values = withFifthBits(b, values, set);
    }
    Value four = vector::ShuffleOp::create(
        b, scales, negative,
        ArrayRef<int64_t>{2 * pair, 8 + 2 * pair, 2 * pair + 1, 9 + 2 * pair});
    out.push_back({values, four, Value(), 0, true});
  }
  return out;
}

IntegerPairs integersOf6K(WeightBlock block) {
  BlockBuilder &b = block.b;
  Value scales = scalesOf6K(block);
  IntegerPairs out;
  for (int64_t pair = 0; pair < 4; ++pair) {
    Value low = bitsOf6K(block, 2 * pair, 0, 2 * lanes);
    Value high = bitsOf6K(block, 2 * pair + 1, 0, 2 * lanes);
    int64_t first = 4 * pair;
    Value fine = b.shuffled(
        scales,
        repeated<int64_t>({first, first + 1, first + 2, first + 3}, 4));
    out.push_back({b.joined(low, high), Value(), fine, 32, false});
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
     [](WeightBlock block, const WeightBlock *next) {
       return integersOf4Or5(block, next, false, false);
     }},
    {"Q4_1", 32, 20,
     [](WeightBlock block) { return q4Or5(block, false, true); },
     [](WeightBlock block, const WeightBlock *next) {
       return integersOf4Or5(block, next, false, true);
     }},
    {"Q5_0", 32, 22,
     [](WeightBlock block) { return q4Or5(block, true, false); },
     [](WeightBlock block, const WeightBlock *next) {
       return integersOf4Or5(block, next, true, false);
     }},
    {"Q5_1", 32, 24, [](WeightBlock block) { return q4Or5(block, true, true); },
     [](WeightBlock block, const WeightBlock *next) {
       return integersOf4Or5(block, next, true, true);
     }},
    {"Q8_0", 32, 34, q8, integersOf8},
    {"Q4_K", 256, 144, [](WeightBlock block) { return qk(block, false); },
     [](WeightBlock block, const WeightBlock *) {
       return integersOfK(block, false);
     }},
    {"Q5_K", 256, 176, [](WeightBlock block) { return qk(block, true); },
     [](WeightBlock block, const WeightBlock *) {
       return integersOfK(block, true);
     }},
    {"Q6_K", 256, 210, q6k,
     [](WeightBlock block, const WeightBlock *) { return integersOf6K(block); }},
};

} // namespace

ArrayRef<BlockType> codegen::blockTypes() { return types; }
