//===- BlockTypes.h - How weights lie in blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For each type of blocks that a GGUF file has (ggml's quants.c says where
// which bits lie): code that makes f32 vectors of a block, with the roundings
// of gguf-py's dequantisation, and code that makes integers and scales of it.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CODEGEN_BLOCKTYPES_H
#define WEIR_LIB_CODEGEN_BLOCKTYPES_H

#include "Codegen.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/Sequence.h"

namespace weir::codegen {

/// Numbers of a vector.
inline constexpr int64_t lanes = 16;

/// Builds what kernels of all types have in common.
class BlockBuilder : public mlir::ImplicitLocOpBuilder {
public:
  BlockBuilder(mlir::MLIRContext *context, const Variant &variant)
      : mlir::ImplicitLocOpBuilder(mlir::UnknownLoc::get(context), context),
        variant(variant) {}

  mlir::VectorType bytes(int64_t count) {
    return mlir::VectorType::get(count, getI8Type());
  }
  mlir::VectorType numbers() {
    return mlir::VectorType::get(lanes, getF32Type());
  }

  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(*this, value);
  }
  mlir::Value plus(mlir::Value a, int64_t b) {
    return b ? mlir::arith::AddIOp::create(*this, a, index(b)).getResult() : a;
  }
  mlir::Value splat(int64_t value, int64_t count = lanes) {
    return each(llvm::SmallVector<int8_t>(count, value));
  }
  mlir::Value each(llvm::ArrayRef<int8_t> values) {
    return mlir::arith::ConstantOp::create(
        *this, mlir::DenseElementsAttr::get(bytes(values.size()), values));
  }
  mlir::Value zeros() {
    return mlir::arith::ConstantOp::create(
        *this, mlir::DenseElementsAttr::get(numbers(), 0.0f));
  }
  mlir::Value andOf(mlir::Value a, int64_t mask) {
    return mlir::arith::AndIOp::create(*this, a, splat(mask, widthOf(a)));
  }
  mlir::Value shifted(mlir::Value a, int64_t right) {
    return right ? mlir::arith::ShRUIOp::create(*this, a,
                                                splat(right, widthOf(a)))
                       .getResult()
                 : a;
  }
  mlir::Value orOf(mlir::Value a, mlir::Value b) {
    return mlir::arith::OrIOp::create(*this, a, b);
  }
  mlir::Value less(mlir::Value a, int64_t b) {
    return mlir::arith::SubIOp::create(*this, a, splat(b, widthOf(a)));
  }
  mlir::Value spread(mlir::Value number) {
    return mlir::vector::BroadcastOp::create(*this, numbers(), number);
  }
  mlir::Value lane(mlir::Value vector, int64_t i) {
    return mlir::vector::ExtractOp::create(*this, vector, i);
  }
  mlir::Value shuffled(mlir::Value vector, llvm::ArrayRef<int64_t> from) {
    return mlir::vector::ShuffleOp::create(*this, vector, vector, from);
  }
  /// Elements of two vectors, one after the other.
  mlir::Value joined(mlir::Value low, mlir::Value high) {
    return mlir::vector::ShuffleOp::create(
        *this, low, high,
        llvm::to_vector(llvm::seq<int64_t>(widthOf(low) + widthOf(high))));
  }
  mlir::VectorType integers(int64_t count, unsigned bits = 32) {
    return mlir::VectorType::get(count, getIntegerType(bits));
  }
  mlir::Value bitCast(mlir::VectorType type, mlir::Value vector) {
    return mlir::vector::BitCastOp::create(*this, type, vector);
  }
  mlir::Value constant(llvm::ArrayRef<int32_t> values) {
    return mlir::arith::ConstantOp::create(
        *this, mlir::DenseElementsAttr::get(integers(values.size()), values));
  }
  /// An instruction of the processor, by LLVM's name.
  mlir::Value instruction(llvm::StringRef name, mlir::VectorType type,
                          mlir::ValueRange operands) {
    return mlir::LLVM::CallIntrinsicOp::create(*this, type, getStringAttr(name),
                                               operands)
        .getResult(0);
  }
  /// Integers of a byte as f32.
  mlir::Value fromSigned(mlir::Value small) {
    return mlir::arith::SIToFPOp::create(*this, f32Of(small), small);
  }
  mlir::Value fromUnsigned(mlir::Value small) {
    return mlir::arith::UIToFPOp::create(*this, f32Of(small), small);
  }
  mlir::Value times(mlir::Value a, mlir::Value b) {
    return mlir::arith::MulFOp::create(*this, a, b);
  }
  mlir::Value sum(mlir::Value a, mlir::Value b) {
    return mlir::arith::AddFOp::create(*this, a, b);
  }
  mlir::Value difference(mlir::Value a, mlir::Value b) {
    return mlir::arith::SubFOp::create(*this, a, b);
  }

  /// Halves a vector until one number is left.
  mlir::Value halved(mlir::Value vector) {
    for (int64_t count = lanes / 2; count >= 1; count /= 2) {
      auto part = [&](int64_t first) -> mlir::Value {
        return mlir::vector::ExtractStridedSliceOp::create(
            *this, vector, llvm::ArrayRef<int64_t>(first),
            llvm::ArrayRef<int64_t>(count), llvm::ArrayRef<int64_t>(1));
      };
      mlir::Value low = part(0), high = part(count);
      vector = sum(low, high);
    }
    return lane(vector, 0);
  }

  mlir::scf::ForOp loop(mlir::Value from, mlir::Value to, int64_t step,
                        llvm::function_ref<void(mlir::Value)> body) {
    auto made = mlir::scf::ForOp::create(*this, from, to, index(step));
    mlir::OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(made.getBody());
    body(made.getInductionVar());
    return made;
  }

  using SumBody =
      llvm::function_ref<void(mlir::Value, llvm::MutableArrayRef<mlir::Value>)>;
  /// A loop that carries sums from `begin` on. `body` gets the place and the
  /// sums, which it replaces.
  mlir::scf::ForOp sumLoop(mlir::Value to, int64_t step, mlir::ValueRange begin,
                           SumBody body) {
    return sumLoop(index(0), to, step, begin, body);
  }
  mlir::scf::ForOp sumLoop(mlir::Value from, mlir::Value to, int64_t step,
                           mlir::ValueRange begin, SumBody body) {
    auto made = mlir::scf::ForOp::create(*this, from, to, index(step), begin);
    mlir::OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(made.getBody());
    llvm::SmallVector<mlir::Value> next(made.getRegionIterArgs());
    body(made.getInductionVar(), next);
    mlir::scf::YieldOp::create(*this, next);
    return made;
  }

  /// Numbers of a table of 16, by the lower or the upper four bits of 16 x i8.
  mlir::Value lookup(mlir::Value table, mlir::Value small, bool isUpper) {
    auto type = mlir::VectorType::get(lanes, getI32Type());
    mlir::Value places = mlir::arith::ExtUIOp::create(*this, type, small);
    if (isUpper) {
      mlir::Value four = mlir::arith::ConstantOp::create(
          *this, mlir::DenseElementsAttr::get(type, int32_t(4)));
      places = mlir::arith::ShRUIOp::create(*this, places, four);
    }
    return instruction("llvm.x86.avx512.permvar.sf.512", numbers(),
                       {table, places});
  }
  /// 0 to 15.
  mlir::Value counted(int64_t first = 0) {
    llvm::SmallVector<float> values;
    for (int64_t i = 0; i < lanes; ++i)
      values.push_back(static_cast<float>(first + i));
    return mlir::arith::ConstantOp::create(
        *this, mlir::DenseElementsAttr::get(numbers(), llvm::ArrayRef(values)));
  }

  /// The processor that code is made for.
  const Variant &variant;

private:
  int64_t widthOf(mlir::Value vector) {
    return mlir::cast<mlir::VectorType>(vector.getType()).getNumElements();
  }
  mlir::Type f32Of(mlir::Value vector) {
    return mlir::VectorType::get(widthOf(vector), getF32Type());
  }
};

/// One block of a row, from which vectors of numbers are made.
class WeightBlock {
public:
  WeightBlock(BlockBuilder &b, mlir::Value rows, mlir::Value row,
              mlir::Value offset)
      : b(b), rows(rows), row(row), offset(offset) {}
  /// The block behind this one.
  WeightBlock next(int64_t bytes) const {
    return {b, rows, row, b.plus(offset, bytes)};
  }

  /// Bytes of the block, from a place in it on.
  mlir::Value load(int64_t at, int64_t count) {
    return mlir::vector::LoadOp::create(
        b, b.bytes(count), rows, mlir::ValueRange{row, b.plus(offset, at)});
  }
  /// The number of 16 bits at a place, as f32.
  mlir::Value half(int64_t at) {
    mlir::Value number = mlir::vector::BitCastOp::create(
        b, mlir::VectorType::get(1, b.getF16Type()), load(at, 2));
    return mlir::arith::ExtFOp::create(b, b.getF32Type(), b.lane(number, 0));
  }
  /// Two such numbers, one after the other, as 2 x f32.
  mlir::Value halves(int64_t at) {
    mlir::Value numbers = mlir::vector::BitCastOp::create(
        b, mlir::VectorType::get(2, b.getF16Type()), load(at, 4));
    return mlir::arith::ExtFOp::create(
        b, mlir::VectorType::get(2, b.getF32Type()), numbers);
  }
  /// Values of four bits, a half of each byte.
  mlir::Value nibbles(int64_t at, bool isUpper, int64_t count = lanes) {
    mlir::Value packed = load(at, count);
    return isUpper ? b.shifted(packed, 4) : b.andOf(packed, 15);
  }
  /// A number for each of 16 bits: 16 where it is set, else 0.
  mlir::Value sixteens(int64_t at) {
    return mlir::arith::SelectOp::create(b, bits(at), b.splat(16), b.splat(0));
  }
  /// 16 bits.
  mlir::Value bits(int64_t at) {
    return mlir::vector::BitCastOp::create(
        b, mlir::VectorType::get(lanes, b.getI1Type()), load(at, 2));
  }

  BlockBuilder &b;

private:
  mlir::Value rows, row, offset;
};

using Vectors = llvm::SmallVector<mlir::Value, 16>;

/// Two groups of 32 numbers of a row, one after the other, as integers: number i of a
/// group is its scale times (integer i - less) plus its minimum.
struct IntegerPair {
  mlir::Value values; ///< 64 x i8, unsigned
  /// 4 x f32: scale and minimum of both groups, or null for ones and zeros.
  mlir::Value four;
  /// 16 x f32, or null: a further scale of the numbers 4 i to 4 i + 3.
  mlir::Value fine;
  int64_t less = 0;        ///< a power of two, or 0
  bool hasMinimum = false; ///< without it that of `four` is zero
};
using IntegerPairs = llvm::SmallVector<IntegerPair, 4>;

struct BlockType {
  llvm::StringLiteral name;
  int64_t numbers, bytes;
  Vectors (*unpack)(WeightBlock);
  /// Of a block, and of the next one where blocks are of 32 numbers; that is null for
  /// the last of an odd count, and its group is zero. Null for numbers of 16 bits.
  IntegerPairs (*integers)(WeightBlock, const WeightBlock *next);
};

/// All types, as in ggml.
llvm::ArrayRef<BlockType> blockTypes();

} // namespace weir::codegen

#endif // WEIR_LIB_CODEGEN_BLOCKTYPES_H
