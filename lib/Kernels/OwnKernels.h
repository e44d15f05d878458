//===- OwnKernels.h - Kernels that no program brings along ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_KERNELS_OWNKERNELS_H
#define WEIR_LIB_KERNELS_OWNKERNELS_H

#include "weir/Kernels/weir_kernels.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The table of what weir-codegen makes of BlockKernels.cpp and StepKernels.cpp.
extern "C" const weir_kernels weir_block_kernels;

namespace weir {

/// The best function of that kernel for this processor, or null.
inline weir_function ownKernel(std::string_view name) {
  for (int64_t i = 0; i < weir_block_kernels.num_kernels; ++i)
    if (name == weir_block_kernels.kernels[i].name)
      return weir_kernel_function(&weir_block_kernels.kernels[i]);
  return nullptr;
}

/// What kernels take of a matrix (weir_kernels.h); the stride is in elements.
inline void describe(int64_t *words, const void *data, int64_t rows,
                     int64_t columns, int64_t stride) {
  words[0] = words[1] = reinterpret_cast<intptr_t>(data);
  words[2] = 0;
  words[3] = rows;
  words[4] = columns;
  words[5] = stride;
  words[6] = 1;
}
constexpr size_t wordsOfMatrix = 7;

} // namespace weir

#endif // WEIR_LIB_KERNELS_OWNKERNELS_H
