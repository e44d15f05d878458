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
  /// Makes the program keep the tokens of its rows, for gates and ramps whose
  /// scopes have markers; once is enough. Fails with an error of `emitError`
  /// where it has no rows, or keeps nothing from one run to the next.
  mlir::LogicalResult
  keepTokens(fx::ProgramOp program,
             llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
  /// Which share of an edit a token gets [batch, sequence, 1] or [tokens, 1],
  /// times a knob if there is one; null where a scope gives all tokens all of it
  /// and there is no knob.
  mlir::Value share(mlir::Location loc, TokensAttr tokens,
                    mlir::Value knob = {});
  /// All tokens [batch, sequence, 1] or [tokens, 1], padding left out.
  mlir::Value tokens(mlir::Location loc);
  /// The rows' values of a knob [batch, 1, 1] or [tokens, 1].
  mlir::Value knob(mlir::Location loc, int64_t index);

private:
  explicit ProgramInputs(fx::ProgramOp program);
  /// Makes an op after those made before, or returns the one made for `key`.
  mlir::Value once(mlir::Attribute key,
                   llvm::function_ref<mlir::Value(mlir::OpBuilder &)> make);

  mlir::OpBuilder builder;
  mlir::Value ids, positions, promptLength, plan, knobs;
  mlir::Value history; ///< null unless the program keeps its tokens
  bool flattened = false;
  llvm::DenseMap<mlir::Attribute, mlir::Value> made;
  llvm::DenseMap<std::pair<mlir::Value, mlir::Value>, mlir::Value> products;
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PROGRAMINPUTS_H
