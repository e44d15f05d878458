//===- Symbols.h - Text form of symbolic values ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_IR_SYMBOLS_H
#define WEIR_LIB_DIALECT_FX_IR_SYMBOLS_H

#include "weir/Dialect/FX/IR/FX.h"

namespace weir::fx {

/// `s72 = 2`, `"32*s18" = 96`, `u0`: an expression and its hint, without
/// brackets.
void printSymExpr(mlir::AsmPrinter &printer, SymExprAttr expr);
/// True if a text can be written without quotes.
bool isBareName(llvm::StringRef text);
mlir::ParseResult parseSymExpr(mlir::AsmParser &parser, SymExprAttr &expr);

/// Prints a bare name, or a quoted string where it is none.
void printName(mlir::AsmPrinter &printer, llvm::StringRef name);

/// `plan`, the role of an input.
mlir::ParseResult parseInputRole(mlir::AsmParser &parser,
                                 std::optional<InputRole> &role);

/// A call that is marked pure is none of an operator that has effects.
llvm::LogicalResult verifyPurity(CallOp call);

/// How many operands an argument of a call takes; the nesting is bounded.
unsigned countSlots(mlir::Attribute argument, unsigned depth = 0);

/// Explains why a value of that type has not the role; success if it may.
llvm::LogicalResult
checkRole(InputRole role, mlir::Type type,
          llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
llvm::LogicalResult
checkRole(mlir::Attribute role, mlir::Type type,
          llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_IR_SYMBOLS_H
