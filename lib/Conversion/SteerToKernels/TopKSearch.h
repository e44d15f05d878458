//===- TopKSearch.h - Which features of a TopK dictionary stay ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOKERNELS_TOPKSEARCH_H
#define WEIR_LIB_CONVERSION_STEERTOKERNELS_TOPKSEARCH_H

#include "KernelBuilder.h"

namespace weir {

/// What `steer.read` and `steer.row_read` say of a TopK dictionary.
struct TopKRead {
  mlir::FlatSymbolRefAttr dictionary;
  flow::ActivationAttr activation;
  flow::Normalization normalization;
  int64_t features, width;

  template <typename Op> static TopKRead of(Op op) {
    return {op.getDictionaryAttr(), op.getActivation(), op.getNormalization(),
            static_cast<int64_t>(op.getDictionarySize()), lastSize(op.getInput())};
  }
};

/// A search of one token. Its state is the number of orders that are held and the
/// bound that another one has to be above.
class TopKSearch {
public:
  TopKSearch(KernelBuilder &k, flow::ActivationAttr activation,
             mlir::Location loc);

  /// How many orders a list [room] of i64 holds; a vector's multiple, and a vector
  /// more than twice k.
  int64_t getRoom() const { return room; }
  /// An integer for each feature, or a vector of them, that is larger, unsigned, the larger its number
  /// is, and of equal numbers the earlier the feature.
  mlir::Value orderOf(mlir::Value number, mlir::Value feature);
  /// What a list holds before anything is offered.
  void clear(mlir::Value held);
  llvm::SmallVector<mlir::Value> begin();
  /// Features [from, to) are offered to a list.
  llvm::SmallVector<mlir::Value>
  offerAll(mlir::Value held, mlir::Value from, mlir::Value to,
           mlir::ValueRange state,
           llvm::function_ref<mlir::Value(mlir::Value)> numberOf);
  /// The same of a row [>= count] that holds the numbers of `count` features from
  /// `first` on, up to a vector's multiple behind them.
  llvm::SmallVector<mlir::Value> offerRow(mlir::Value held, mlir::Value row,
                                          mlir::Value first, mlir::Value count,
                                          mlir::ValueRange state);
  /// The least order that stays.
  mlir::Value bound(mlir::Value held);
  /// relu of a feature's number if it stays, else 0.
  mlir::Value keep(mlir::Value number, mlir::Value feature, mlir::Value bound);

private:
  mlir::Value word(int64_t value);
  /// How many orders of a list reach a bound, and the least of those.
  mlir::Value countFrom(mlir::Value held, mlir::Value bound);
  mlir::Value leastFrom(mlir::Value held, mlir::Value bound);
  /// Stores those orders of a vector that a mask has behind the first `size`;
  /// gives the new size.
  mlir::Value append(mlir::Value held, mlir::Value size, mlir::Value orders,
                     mlir::Value mask);
  /// Cuts a list to its k largest where it has no room for a vector. Gives its
  /// state.
  llvm::SmallVector<mlir::Value> cutIfFull(mlir::Value held, mlir::Value size,
                                           mlir::Value bound);
  llvm::SmallVector<mlir::Value> offer(mlir::Value held, mlir::Value order,
                                       mlir::ValueRange state);

  KernelBuilder &k;
  mlir::OpBuilder &b;
  mlir::Location loc;
  int64_t count, room;
};

/// The search for a block of tokens, for all of which a part of the encoder is read
/// once from memory.
class BlockSearch {
public:
  BlockSearch(KernelBuilder &k, const TopKRead &read, int64_t tokens,
              mlir::Location loc);

  /// Numbers of four bytes that are kept for each token of a block.
  static int64_t numbersOf(const TopKRead &read);
  /// Searches for the first `count` tokens of a block, whose values, of f32 or
  /// `narrow`, `rowOf` gives.
  void run(mlir::Value count, llvm::function_ref<mlir::Value(mlir::Value)> rowOf,
           mlir::Type narrow);
  /// The bound of a slot.
  mlir::Value boundAt(mlir::Value slot);

private:
  KernelBuilder &k;
  mlir::Location loc;
  TopKRead read;
  TopKSearch search;
  mlir::Value values, products, held, bounds, sizes;
};

/// Activations of `wanted` features of a token's value x, each one that `featureOf`
/// gives for a column. Without a bound it is searched for.
mlir::Value readTopK(KernelBuilder &k, const TopKRead &read, mlir::Value x,
                     int64_t wanted,
                     llvm::function_ref<mlir::Value(mlir::Value)> featureOf,
                     mlir::Value bound, mlir::Location loc);

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOKERNELS_TOPKSEARCH_H
