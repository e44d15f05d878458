//===- Product.h - Products of blocks of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products that the screen is made of, by LibTorch, which is loaded when they
// are asked for: weir/Torch/TensorMath.h. int8 is used where the processor has
// dot products of bytes (AVX-512 VNNI, AVX-VNNI). Older instructions saturate.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_PRODUCT_H
#define WEIR_LIB_MATCHING_PRODUCT_H

#include "weir/Matching/TopK.h"
#include "weir/Torch/TensorMath.h"

namespace weir::matching {

/// Loads LibTorch. Whatever else is declared here, and all threads, are for those
/// who have called it. Errors: it is not there.
llvm::Error loadTensorMath();

/// LibTorch, loaded.
const TensorMath &tensorMath();

/// Calls `body` with pieces of [begin, end), on LibTorch's threads.
inline void parallelFor(int64_t begin, int64_t end, int64_t grain,
                        llvm::function_ref<void(int64_t, int64_t)> body) {
  tensorMath().parallelFor(begin, end, grain, body);
}

/// Whether the processor multiplies bf16 in hardware.
bool multipliesBFloat();

/// Whether it multiplies int8 in hardware and LibTorch's product of int8 is
/// exact.
bool multipliesBytes();

/// Rows of more numbers than this could overflow the sums of bytes.
inline constexpr int64_t widestByteRow = 65536;

/// The fastest screen that this processor has for rows of `width` numbers, and
/// the one that is used when bytes turn out too coarse.
Screen screenFor(int64_t width);
Screen screenBehindBytes();

/// What the device option stands for here. Errors: no CUDA.
llvm::Expected<Device> resolve(Device device);

/// Left rows that stay, times blocks of right rows; see RowProduct.
std::unique_ptr<RowProduct> makeProduct(Device device);

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_PRODUCT_H
