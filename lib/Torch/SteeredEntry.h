//===- SteeredEntry.h - A SteeredRunner behind the border ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_TORCH_STEEREDENTRY_H
#define WEIR_LIB_TORCH_STEEREDENTRY_H

#include "weir/Operators/Operators.h"
#include "weir/Torch/SteeredProgram.h"

#include <memory>

namespace weir {

/// Opens a program for TorchRuntime::openSteered; the message of an error, or
/// nothing.
std::string openSteeredProgram(llvm::StringRef path, llvm::StringRef model,
                               const OperatorPolicy &operators,
                               std::unique_ptr<SteeredProgram> &program);

} // namespace weir

#endif // WEIR_LIB_TORCH_STEEREDENTRY_H
