//===- KernelCalls.h - Calls of native code beside a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The catalogue has a few operators that call kernels: native code in a file
// beside the program. A program may call them only where whoever opens it took
// that file, too.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_OPERATORS_KERNELCALLS_H
#define WEIR_OPERATORS_KERNELCALLS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace weir {

/// Is a node's target, as archives write it, an operator of the catalogue that
/// calls a kernel ("torch.ops.weir.edit.default")?
bool isKernelCall(llvm::StringRef target);

/// For a program (an archive's model.json) whose kernels nobody gave. Errors: a
/// node calls one; the first of them is named. `remedy` says what to do.
llvm::Error refuseKernelCalls(const llvm::json::Object &model,
                              llvm::StringRef remedy);

} // namespace weir

#endif // WEIR_OPERATORS_KERNELCALLS_H
