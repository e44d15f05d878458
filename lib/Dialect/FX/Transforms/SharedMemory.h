//===- SharedMemory.h - Which tensors look at the same memory ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_TRANSFORMS_SHAREDMEMORY_H
#define WEIR_LIB_DIALECT_FX_TRANSFORMS_SHAREDMEMORY_H

#include "weir/Dialect/FX/IR/FX.h"

#include "llvm/ADT/EquivalenceClasses.h"

namespace weir::fx {

inline bool isTensor(mlir::Value value) {
  return mlir::isa<mlir::RankedTensorType>(value.getType());
}

/// Calls `visit` with every value from outside that an operation or one inside
/// it takes.
void forEachInput(mlir::Operation *op,
                  llvm::function_ref<void(mlir::Value)> visit);

/// The tensors of a program in classes that may look at the same memory: what
/// aliases what, as the catalogue says of calls; a site or a patch may hand on
/// what it takes.
class SharedMemory {
public:
  explicit SharedMemory(ProgramOp program);
  /// The value that stands for the class of a tensor.
  mlir::Value classOf(mlir::Value value) {
    return classes.getOrInsertLeaderValue(value);
  }

private:
  llvm::EquivalenceClasses<mlir::Value> classes;
};

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_TRANSFORMS_SHAREDMEMORY_H
