//===- ScopeCheck.h - Tokens that a program has no room for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SCOPECHECK_H
#define WEIR_LIB_DRIVER_SCOPECHECK_H

#include "mlir/IR/BuiltinOps.h"

namespace weir {

/// Warns of policies whose tokens lie beyond the positions 0 to `maxLength` - 1 of a
/// row: a scope that is never reached, and a listed position that is not. No errors,
/// since the spec may be one for longer programs too.
void checkScopes(mlir::ModuleOp module, int64_t maxLength);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SCOPECHECK_H
