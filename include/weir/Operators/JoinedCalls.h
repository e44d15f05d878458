//===- JoinedCalls.h - Operators that do the work of several calls ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where several calls of one operator read the same input, another operator may
// make all of their results at once.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_OPERATORS_JOINEDCALLS_H
#define WEIR_OPERATORS_JOINEDCALLS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace weir {

/// Names are the catalogue's ("weir.quantized_linear.default").
struct JoinedOperator {
  llvm::StringLiteral each;   ///< of which there are several calls
  llvm::StringLiteral joined; ///< that gives a list of their results
  /// Arguments of both that all calls have in common, the input the first of them.
  llvm::ArrayRef<llvm::StringLiteral> common;
  /// Arguments of which the joined one takes lists, the weight the first of them;
  /// those of tensors may be optional but for the first.
  llvm::ArrayRef<llvm::StringLiteral> lists;
};

/// How calls of the operator of that name are joined, or null.
const JoinedOperator *findJoinedOf(llvm::StringRef each);

} // namespace weir

#endif // WEIR_OPERATORS_JOINEDCALLS_H
