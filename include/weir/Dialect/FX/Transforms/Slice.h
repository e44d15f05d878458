//===- Slice.h - A part of a program between two places ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy of what lies between a site and a later value, with inputs of its own:
// it computes what becomes of a few tokens when the site's value is another one,
// and nothing else of the model.
//
//   positions  where the tokens stand in their rows
//   value      the site's value at these tokens
//   carried    values that do not depend on the site and that are read behind it,
//              such as the residual stream where the site is an attention's output
//   caches     keys and values of the texts that the tokens are of
//   rows       which of these texts each row of the copy belongs to
//
// Rows of the copy need not be rows of the model's batch: a thousand changes of one
// text are a thousand rows.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_TRANSFORMS_SLICE_H
#define WEIR_DIALECT_FX_TRANSFORMS_SLICE_H

#include "weir/Dialect/FX/IR/FX.h"

#include <functional>
#include <string>

namespace weir::fx {

/// A site that a copy passes: an operation that takes its value and gives what
/// is read behind it.
struct SlicePlace {
  mlir::Value input, result;
  /// Makes the copy's value behind the site of its value before it; without, the
  /// value goes on as it is.
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Value)> edit;
};

struct SliceOptions {
  /// The names of the inputs begin with it.
  std::string name;
  /// Positions of a row of the caches, at most those of the program. Where the
  /// cache is read in a way that is not understood, the copy has the program's.
  int64_t slots = 0;
};

struct Slice {
  /// [b, S] and [b, S, d].
  mlir::BlockArgument positions, value;
  /// [b]: rows of the caches; null where there are none.
  mlir::BlockArgument rows;
  struct Input {
    /// In the program: a value [b, S, ..], or a cache after it was written.
    mlir::Value original;
    /// What the copy reads instead, of the same type. A cache is not written.
    mlir::BlockArgument input;
  };
  llvm::SmallVector<Input> carried, caches;
  /// What the targets are in the copy.
  llvm::SmallVector<mlir::Value> results;
};

/// Copies what `targets` need of what lies behind the first of `places` to the
/// end of the program; `places` are in the program's order and hold all sites in
/// between. What depends on positions and weights alone is copied as well. An
/// error says which value cannot be cut off.
mlir::FailureOr<Slice> copySlice(ProgramOp program,
                                 llvm::ArrayRef<SlicePlace> places,
                                 llvm::ArrayRef<mlir::Value> targets,
                                 const SliceOptions &options);

/// Lets a size of the program's inputs be as large as callers want: the rows of
/// slices are not those of the model's cache.
void liftLimit(ProgramOp program, SymExprAttr size);

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_TRANSFORMS_SLICE_H
