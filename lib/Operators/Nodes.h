//===- Nodes.h - The calls of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_OPERATORS_NODES_H
#define WEIR_LIB_OPERATORS_NODES_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace weir {

/// Calls `visit` with the index, the name and the target of every node of a
/// program (an archive's model.json) until it gives an error.
llvm::Error forEachNode(
    const llvm::json::Object &model,
    llvm::function_ref<llvm::Error(size_t, llvm::StringRef, llvm::StringRef)>
        visit);

} // namespace weir

#endif // WEIR_LIB_OPERATORS_NODES_H
