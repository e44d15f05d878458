//===- TokenBlocks.h - Products of several tokens at once ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel that reads many features, or projects many rows out, takes its tokens
// in blocks: first which of them an edit is meant for, then their products with the
// rows, so that a row that was loaded serves several tokens, then the rest token by
// token.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOKERNELS_TOKENBLOCKS_H
#define WEIR_LIB_CONVERSION_STEERTOKERNELS_TOKENBLOCKS_H

#include "TopKSearch.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace weir {

/// The reads and projections of a site whose products can be made for a block of
/// tokens: their input is the value itself, or made of it by conversions and
/// normalisations alone.
class BlockedReads {
public:
  explicit BlockedReads(mlir::func::FuncOp site);

  bool empty() const { return products.empty() && searches.empty(); }
  /// Tokens of a block.
  int64_t blockSize() const { return size; }

  /// What is left out of the loop over single tokens.
  bool isDone(mlir::Operation *op) const { return done.contains(op); }

  /// Builds the products of `count` tokens. `rowOf` gives the row of the value
  /// of one of them, as the type of a token has it; `clone` copies an operation
  /// with a mapping.
  void
  build(KernelBuilder &k, mlir::Value count,
        llvm::function_ref<mlir::Value(mlir::Value)> rowOf,
        llvm::function_ref<void(mlir::Operation &, mlir::IRMapping &)> clone);

  /// Searches TopK dictionaries for the features of `count` tokens that stay.
  void search(KernelBuilder &k, mlir::Value count,
              llvm::function_ref<mlir::Value(mlir::Value)> rowOf);
  /// What a search found for a token of the block, or the products of a
  /// projection; null if the operation is neither.
  mlir::Value knownOf(KernelBuilder &k, mlir::Operation *op, mlir::Value token);

  /// Maps the reads to what was computed for a token of the block.
  void mapResults(KernelBuilder &k, mlir::Value token, mlir::IRMapping &map);

private:
  struct Products {
    mlir::Operation *op; ///< steer.encode or steer.project
    int64_t count;       ///< k rows
    /// What makes its input, in order; none if it reads the value as it is.
    llvm::SmallVector<mlir::Operation *> input;
    mlir::Value all; ///< [size, k]
  };

  void build(Products &made, KernelBuilder &k, mlir::Value count,
             llvm::function_ref<mlir::Value(mlir::Value)> inputOf);

  struct Search {
    mlir::Operation *op;
    TopKRead read;
    std::optional<BlockSearch> block;
  };

  mlir::func::FuncOp site;
  int64_t size = 0;
  llvm::SmallVector<Products> products;
  std::vector<Search> searches;
  llvm::SmallPtrSet<mlir::Operation *, 8> done;
};

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOKERNELS_TOKENBLOCKS_H
