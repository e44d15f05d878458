//===- KernelCalls.cpp - Calls of native code beside a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/KernelCalls.h"

#include "Nodes.h"

#include "weir/Operators/Operators.h"

#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace weir;

bool weir::isKernelCall(StringRef target) {
  const OperatorInfo *info = findOperator(target);
  return info && StringRef(info->name).starts_with("weir.edit");
}

Error weir::refuseKernelCalls(const json::Object &model, StringRef remedy) {
  return forEachNode(
      model, [&](size_t index, StringRef, StringRef target) -> Error {
        if (!isKernelCall(target))
          return Error::success();
        return createStringError(
            formatv("node {0} calls {1}: the program needs kernels, native code "
                    "that is not in it; {2}",
                    index, findOperator(target)->name, remedy));
      });
}
