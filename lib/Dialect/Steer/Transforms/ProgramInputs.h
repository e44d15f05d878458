//===- ProgramInputs.h - Gates and knobs at the top of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PROGRAMINPUTS_H
#define WEIR_DIALECT_STEER_TRANSFORMS_PROGRAMINPUTS_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace weir::steer {

/// The run-time inputs of a steered program, and the values made from them that
/// all sites share. Everything is made once, at the top of the program.
class ProgramInputs {
public:
  /// Adds `prompt_length`, `plan` and, for `knobs` > 0, `knobs` to the program:
  /// one number a row, or one a token where `input_ids` and `positions` are
  /// flattened to [tokens]. Fails with an error where the program lacks these.
  static mlir::FailureOr<ProgramInputs> add(fx::ProgramOp program,
                                            int64_t knobs);

  /// Rows that follow one of the plans [batch, 1, 1], or flattened tokens
  /// [tokens, 1].
  mlir::Value inPlans(mlir::Location loc, llvm::ArrayRef<int64_t> plans);
  /// Rows and tokens [batch, sequence, 1], or [batch, 1, 1] for every token.
  /// The latter holds at padding too, where nothing reads what a row computes;
  /// `noPadding` excludes it, for what leaves the program.
  mlir::Value gate(mlir::Location loc, llvm::ArrayRef<int64_t> plans,
                   TokensAttr tokens, bool noPadding = false);
  /// The rows' values of a knob [batch, 1, 1] or [tokens, 1].
  mlir::Value knob(mlir::Location loc, int64_t index);

private:
  explicit ProgramInputs(fx::ProgramOp program);
  /// Makes an op after those made before, or returns the one made for `key`.
  mlir::Value once(mlir::Attribute key,
                   llvm::function_ref<mlir::Value(mlir::OpBuilder &)> make);

  mlir::OpBuilder builder;
  mlir::Value positions, promptLength, plan, knobs;
  bool flattened = false;
  llvm::DenseMap<mlir::Attribute, mlir::Value> made;
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PROGRAMINPUTS_H
