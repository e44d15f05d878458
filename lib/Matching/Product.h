//===- Product.h - Products of blocks of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products that the screen is made of, by LibTorch, in one of three forms:
//
//   f32   float x float -> float
//   bf16  uint16_t (bits) x uint16_t -> uint16_t; sums in f32, rounded once
//   int8  int8_t x int8_t -> int32_t; exact, where the processor has dot
//         products of bytes (AVX-512 VNNI, AVX-VNNI). Older instructions
//         saturate, so they are not used.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_PRODUCT_H
#define WEIR_LIB_MATCHING_PRODUCT_H

#include "weir/Matching/TopK.h"

#include <ATen/core/Tensor.h>

namespace weir::matching {

/// Whether the processor multiplies bf16 in hardware.
bool multipliesBFloat();

/// Whether it multiplies int8 in hardware and LibTorch's product of int8 is
/// exact (which is tried out once, as its code can be chosen by the user).
bool multipliesBytes();

/// Rows of more numbers than this could overflow the sums of bytes.
inline constexpr int64_t widestByteRow = 65536;

/// The fastest screen that this processor has for rows of `width` numbers, and
/// the one that is used when bytes turn out too coarse.
Screen screenFor(int64_t width);
Screen screenBehindBytes();

/// The largest relative error of LibTorch's f32 product besides the sums: 0, or
/// what a lower precision that the user allowed makes of it (bf16's eps).
double lowerPrecision();

/// What the device option stands for here. Errors: no CUDA.
llvm::Expected<Device> resolve(Device device);

/// Left rows that stay, times blocks of right rows.
class Product {
public:
  explicit Product(Device device) : device(device) {}

  /// [rows, width], kept alive by the caller until the next call.
  template <typename T> void setLeft(T *left, int64_t rows, int64_t width);
  /// out [rows, columns] = left right^T for right [columns, width].
  template <typename T, typename Result>
  void multiply(T *right, int64_t columns, Result *out);

private:
  Device device;
  at::Tensor left;
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_PRODUCT_H
