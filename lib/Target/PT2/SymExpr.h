//===- SymExpr.h - Symbolic expressions in archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Archives write symbolic sizes as sympy prints their construction:
//
//   Mul(Integer(32), Symbol('s18', positive=True, integer=True))
//
// The IR writes "32*s18". The short form stands for exactly one long form; what
// has no short form is kept as it is.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_TARGET_PT2_SYMEXPR_H
#define WEIR_LIB_TARGET_PT2_SYMEXPR_H

#include "weir/Dialect/FX/IR/FX.h"

#include <string>

namespace weir::pt2 {

/// The IR's form of an archive's expression.
std::string shortForm(llvm::StringRef archived);

/// The archive's form of an expression of the IR; fails on text that is in
/// neither form.
mlir::FailureOr<std::string> archivedForm(llvm::StringRef expr);

/// Whether an archive's expression is one of positive integer symbols, integers
/// and the functions that sizes are made with, in the archive's form exactly.
/// PyTorch evaluates these expressions as Python, so no other text may reach it.
bool isPlainExpression(llvm::StringRef archived);

/// Whether a name is one that tracing gives to a size of an input, such as s72.
bool isPlainSymbol(llvm::StringRef name);

/// The strides of a contiguous tensor, in elements: an IntegerAttr or a
/// SymExprAttr for each size, which are given in the same way. Fails if an
/// expression cannot be read.
mlir::FailureOr<llvm::SmallVector<mlir::Attribute>>
contiguousStrides(llvm::ArrayRef<mlir::Attribute> sizes,
                  mlir::MLIRContext *context);

} // namespace weir::pt2

#endif // WEIR_LIB_TARGET_PT2_SYMEXPR_H
