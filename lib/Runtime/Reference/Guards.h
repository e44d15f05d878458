//===- Guards.h - What is checked around a call ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operators of the catalogue check their arguments, with the exceptions that the
// catalogue notes. Those are looked at here, before the call. All functions
// throw c10::Error.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_REFERENCE_GUARDS_H
#define WEIR_LIB_RUNTIME_REFERENCE_GUARDS_H

#include "Graph.h"

#include "llvm/ADT/ArrayRef.h"

namespace weir::reference {

/// Checks the arguments of a node by the guard and the small numbers that its
/// row of the catalogue asks for.
void checkArguments(const Node &node, llvm::ArrayRef<c10::IValue> arguments);

/// Whether `checkArguments` may refuse some arguments of this node.
bool needsCheck(const Node &node);

/// A result may have at most 64 dimensions, and no more bytes than a program may
/// hold: `expand` makes a tensor of any size out of one number, and the next
/// operator walks over all of it.
void checkResult(const at::Tensor &tensor, uint64_t maxBytes);

} // namespace weir::reference

#endif // WEIR_LIB_RUNTIME_REFERENCE_GUARDS_H
