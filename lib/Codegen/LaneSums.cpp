//===- LaneSums.cpp - The lanes of several sums, added up together ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product ends with a vector of partial sums, whose upper half is added to the
// lower one until a single number is left. Alone, that takes eight instructions,
// with ever fewer lanes at work, where the product of 64 numbers has four
// multiplications. Sums that end side by side share them: the halves of two vectors are one
// vector, which holds both sums with half as many lanes each,
//
//   a0 … a7 b0 … b7  +  a8 … a15 b8 … b15
//
// and so on, until each lane is a sum. The order of each sum is the same as that of
// one alone, so that a number does not depend on what is summed beside it.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace weir;

/// A sum whose order is for a code generator to choose, of f32 in a power of two of
/// lanes.
static bool isFree(vector::ReductionOp op) {
  VectorType type = op.getSourceVectorType();
  return op.getKind() == vector::CombiningKind::ADD && !op.getAcc() &&
         type.getElementType().isF32() && type.getRank() == 1 &&
         !type.isScalable() && llvm::isPowerOf2_64(type.getDimSize(0)) &&
         arith::bitEnumContainsAll(op.getFastmath(),
                                   arith::FastMathFlags::reassoc);
}

/// Both halves of all sums in two vectors, each of which holds sums of `width`
/// lanes, added up. A null `right` leaves a vector of half as many lanes.
static Value addHalves(OpBuilder &b, Location loc, Value left, Value right,
                       int64_t width) {
  int64_t lanes = cast<VectorType>(left.getType()).getDimSize(0);
  auto halves = [&](int64_t from) -> Value {
    SmallVector<int64_t> mask;
    for (int64_t at = from; at < (right ? 2 * lanes : lanes); at += width)
      llvm::append_range(mask, llvm::seq(at, at + width / 2));
    return vector::ShuffleOp::create(b, loc, left, right ? right : left, mask);
  };
  Value low = halves(0), high = halves(width / 2);
  return arith::AddFOp::create(b, loc, low, high);
}

/// Sum i in lane i.
static Value addUp(OpBuilder &b, Location loc, SmallVector<Value> vectors) {
  int64_t lanes = cast<VectorType>(vectors.front().getType()).getDimSize(0);
  for (int64_t width = lanes; width > 1; width /= 2) {
    if (vectors.size() == 1) {
      vectors.front() = addHalves(b, loc, vectors.front(), Value(), width);
      continue;
    }
    SmallVector<Value> next;
    for (size_t i = 0; i < vectors.size(); i += 2)
      next.push_back(addHalves(b, loc, vectors[i],
                               vectors[std::min(i + 1, vectors.size() - 1)],
                               width));
    vectors = std::move(next);
  }
  return vectors.front();
}

/// Replaces sums that end side by side, in front of `before`.
static void replace(MutableArrayRef<vector::ReductionOp> sums,
                    Operation *before) {
  OpBuilder b(before);
  Location loc = sums.front().getLoc();
  Value all = addUp(b, loc, llvm::map_to_vector(sums, [](auto sum) -> Value {
                      return sum.getVector();
                    }));
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Value one = vector::ExtractOp::create(b, loc, all,
                                          ArrayRef<int64_t>(int64_t(i)));
    sum.replaceAllUsesWith(one);
    sum.erase();
  }
}

static void addUpWithin(Block &block) {
  SmallVector<vector::ReductionOp> sums;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto sum = dyn_cast<vector::ReductionOp>(op);
    bool joins = sum && isFree(sum);
    // Others cannot wait for: their results, what is in a region, or the end.
    bool ends = op.getNumRegions() || op.hasTrait<OpTrait::IsTerminator>() ||
                llvm::any_of(op.getOperands(), [&](Value operand) {
                  return llvm::is_contained(
                      sums, operand.getDefiningOp<vector::ReductionOp>());
                });
    if (joins && !sums.empty())
      ends |= sum.getSourceVectorType() != sums.front().getSourceVectorType() ||
              int64_t(sums.size()) == sum.getSourceVectorType().getDimSize(0);
    if (ends && !sums.empty()) {
      replace(sums, &op);
      sums.clear();
    }
    if (joins)
      sums.push_back(sum);
  }
}

void codegen::addUpLanes(ModuleOp module) {
  SmallVector<Block *> blocks;
  module.walk([&](Block *block) { blocks.push_back(block); });
  for (Block *block : blocks)
    addUpWithin(*block);
}
