//===- Bounds.cpp - Places that numbers in memory name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tables of plans and lists of rows are arguments of a kernel: its caller, or
// whoever wrote the program, may pass any numbers. One that names a place outside
// of a buffer names its last one instead, so that no list reads or writes what is
// not the kernel's. It costs an instruction for a row.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace {

/// An index of an access: where it stands among the operands, and what it is for.
struct Access {
  OpOperand *index;
  Value buffer;
  int64_t dimension;
  int64_t extent; ///< places from there on that are accessed
};

/// Whether an index is computed from an integer that is no constant: a loop's or
/// a constant one is inside by construction.
bool isFromData(Value index) {
  Operation *op = index.getDefiningOp();
  if (!op || op->hasTrait<OpTrait::ConstantLike>())
    return false;
  if (auto cast = dyn_cast<arith::IndexCastOp>(op))
    return !cast.getIn().getDefiningOp() ||
           !cast.getIn().getDefiningOp()->hasTrait<OpTrait::ConstantLike>();
  if (!isa<arith::ArithDialect>(op->getDialect()))
    return false;
  return llvm::any_of(op->getOperands(), isFromData);
}

void collect(Operation *op, SmallVectorImpl<Access> &accesses) {
  auto add = [&](OperandRange indices, Value buffer, int64_t lastExtent = 1) {
    for (auto [dimension, value] : llvm::enumerate(indices)) {
      bool isLast = dimension + 1 == indices.size();
      accesses.push_back({&op->getOpOperand(indices.getBeginOperandIndex() +
                                            dimension),
                          buffer, static_cast<int64_t>(dimension),
                          isLast ? lastExtent : 1});
    }
  };
  llvm::TypeSwitch<Operation *>(op)
      .Case<memref::LoadOp, memref::StoreOp>([&](auto access) {
        add(access.getIndices(), access.getMemRef());
      })
      .Case<vector::LoadOp, vector::StoreOp>([&](auto access) {
        add(access.getIndices(), access.getBase(),
            access.getVectorType().getShape().back());
      })
      .Case([&](memref::SubViewOp view) {
        OperandRange offsets = view.getOffsets();
        unsigned next = 0;
        for (auto [dimension, offset] : llvm::enumerate(view.getStaticOffsets())) {
          if (!ShapedType::isDynamic(offset))
            continue;
          int64_t extent = view.getStaticSizes()[dimension];
          OpOperand &index =
              op->getOpOperand(offsets.getBeginOperandIndex() + next++);
          if (!ShapedType::isDynamic(extent))
            accesses.push_back({&index, view.getSource(),
                                static_cast<int64_t>(dimension), extent});
        }
      });
}

} // namespace

void weir::codegen::boundIndices(ModuleOp module) {
  SmallVector<Access> accesses;
  module.walk([&](Operation *op) { collect(op, accesses); });
  for (const Access &access : accesses) {
    Value index = access.index->get();
    int64_t size = cast<MemRefType>(access.buffer.getType())
                       .getDimSize(access.dimension);
    // Sizes that are no constants are those of the batch, which loops run over.
    if (!isFromData(index) || ShapedType::isDynamic(size) || size < access.extent)
      continue;
    OpBuilder b(access.index->getOwner());
    Location loc = access.index->getOwner()->getLoc();
    Value last = arith::ConstantIndexOp::create(b, loc, size - access.extent);
    access.index->set(arith::MinUIOp::create(b, loc, index, last));
  }
}
