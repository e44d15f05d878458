//===- Entry.h - What libWeirTorch.so exports ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_TORCH_ENTRY_H
#define WEIR_LIB_TORCH_ENTRY_H

#include "weir/Torch/TensorMath.h"
#include "weir/Torch/TorchRuntime.h"

#include "llvm/Config/abi-breaking.h"

// Else the seed of hashes is an address, and a map that one copy of LLVM made
// would be read wrongly by the other.
static_assert(!LLVM_ENABLE_ABI_BREAKING_CHECKS,
              "LLVM has to be built without LLVM_ABI_BREAKING_CHECKS");

namespace weir {

/// The only exported symbol, `weirTorchEntry`, is a function that returns one.
struct TorchEntry {
  /// WEIR_TORCH_BUILD of the library: objects pass the border as they are laid
  /// out in memory.
  const char *build;
  const TensorMath *math;
  TorchRuntime *runtime;
};

using TorchEntryFunction = const TorchEntry *();

} // namespace weir

#endif // WEIR_LIB_TORCH_ENTRY_H
