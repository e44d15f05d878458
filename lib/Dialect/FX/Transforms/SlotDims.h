//===- SlotDims.h - Which dimensions are positions of a cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program's cache has room for its longest text, and attention goes over all of
// it. Where a text is known to be short, the rest is never seen, and need not be
// there: this follows the dimension from the cache to attention, through products
// with it and sums with masks.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_TRANSFORMS_SLOTDIMS_H
#define WEIR_LIB_DIALECT_FX_TRANSFORMS_SLOTDIMS_H

#include "weir/Dialect/FX/IR/FX.h"

namespace weir::fx {

class SlotDims {
public:
  /// Follows dimension 1 of `caches` through calls, which are in the program's
  /// order. With `slots` 0, or where a call does something else with it than what
  /// is known here, nothing is tracked.
  void track(llvm::ArrayRef<mlir::BlockArgument> caches,
             llvm::ArrayRef<CallOp> calls, int64_t slots);
  bool isTracked(mlir::Value value) const { return dims.contains(value); }

  /// Gives the copy of a call `slots` positions: its results, and of its operands
  /// those that are not of a cache, such as masks, whose first ones are taken.
  void apply(CallOp call, CallOp copy, mlir::OpBuilder &builder, int64_t slots);

private:
  bool trackCall(CallOp call, int64_t slots);
  bool trackSlice(CallOp call, int64_t dim, int64_t slots);
  bool trackProduct(CallOp call);
  bool trackAttention(CallOp call);
  bool trackAlike(CallOp call);
  bool give(mlir::Value value, int64_t dim);
  bool narrow(mlir::OpOperand &operand, int64_t dim);
  int64_t sizeAt(mlir::Value value) const;

  /// Values of the program, and which of their dimensions is of slots.
  llvm::DenseMap<mlir::Value, int64_t> dims;
  /// Operands that have as many numbers as the program has slots, and the
  /// dimension: by their call and number.
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, int64_t> narrowed;
};

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_TRANSFORMS_SLOTDIMS_H
