//===- Product.cpp - Products of blocks of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <vector>

using namespace weir;
using namespace weir::matching;

bool matching::multipliesBFloat() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

/// Products of the largest bytes, and of some that tell columns apart: what
/// saturates or wraps is caught here.
static bool bytesAreExact() {
  constexpr int64_t rows = 48, width = 200;
  std::vector<int8_t> left(rows * width), right(rows * width);
  for (int64_t t = 0; t < rows * width; ++t) {
    left[t] = t / width % 3 == 0 ? 127 : static_cast<int8_t>(t * 37 % 255 - 127);
    right[t] =
        t / width % 3 == 0 ? 127 : static_cast<int8_t>(t * 101 % 255 - 127);
    if (t / width % 3 == 1)
      right[t] = t / width % 2 ? -127 : 127;
  }
  std::vector<int32_t> out(rows * rows);
  try {
    c10::InferenceMode inference;
    Product product(Device::Processor);
    product.setLeft(left.data(), rows, width);
    product.multiply(right.data(), rows, out.data());
  } catch (const c10::Error &) {
    return false;
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < rows; ++j) {
      int32_t sum = 0;
      for (int64_t k = 0; k < width; ++k)
        sum += int32_t(left[i * width + k]) * right[j * width + k];
      if (out[i * rows + j] != sum)
        return false;
    }
  return true;
}

bool matching::multipliesBytes() {
#if defined(__x86_64__)
  static const bool result =
      (__builtin_cpu_supports("avx512vnni") ||
       __builtin_cpu_supports("avxvnni")) &&
      at::globalContext().hasMKLDNN() && bytesAreExact();
  // Without oneDNN LibTorch has a plain loop.
  return result && at::globalContext().userEnabledMkldnn();
#else
  return false;
#endif
}

Screen matching::screenBehindBytes() {
  return multipliesBFloat() ? Screen::BFloat16 : Screen::Float32;
}

Screen matching::screenFor(int64_t width) {
  return width <= widestByteRow && multipliesBytes() ? Screen::Int8
                                                     : screenBehindBytes();
}

double matching::lowerPrecision() {
  for (at::Float32Backend backend :
       {at::Float32Backend::MKLDNN, at::Float32Backend::CUDA}) {
    auto precision = at::globalContext().float32Precision(
        backend, at::Float32Op::MATMUL);
    if (precision == at::Float32Precision::BF16 ||
        precision == at::Float32Precision::TF32)
      return 2.1 * 0x1p-8;
  }
  if (at::globalContext().float32MatmulPrecision() !=
      at::Float32MatmulPrecision::HIGHEST)
    return 2.1 * 0x1p-8;
  return 0;
}

llvm::Expected<Device> matching::resolve(Device device) {
  if (device == Device::Automatic)
    return at::hasCUDA() ? Device::Cuda : Device::Processor;
  if (device == Device::Cuda && !at::hasCUDA())
    return llvm::createStringError(
        "this LibTorch has no CUDA device; take the device 'cpu' or 'auto'");
  return device;
}

static at::ScalarType typeOf(const float *) { return at::kFloat; }
static at::ScalarType typeOf(const uint16_t *) { return at::kBFloat16; }
static at::ScalarType typeOf(const int8_t *) { return at::kChar; }
static at::ScalarType typeOf(const int32_t *) { return at::kInt; }

template <typename T>
static at::Tensor view(T *data, int64_t rows, int64_t cols) {
  return at::from_blob(data, {rows, cols}, typeOf(data));
}

template <typename T>
void Product::setLeft(T *data, int64_t rows, int64_t width) {
  left = view(data, rows, width);
  if (device == Device::Cuda)
    left = left.to(at::kCUDA);
}

template <typename T, typename Result>
void Product::multiply(T *data, int64_t columns, Result *result) {
  at::Tensor right = view(data, columns, left.size(1)).t();
  at::Tensor out = view(result, left.size(0), columns);
  if (device == Device::Processor) {
    if (typeOf(data) == at::kChar)
      at::_int_mm_out(out, left, right);
    else
      at::mm_out(out, left, right);
    return;
  }
  // The copy waits for the product.
  out.copy_(at::mm(left, right.to(left.device())));
}

template void Product::setLeft(float *, int64_t, int64_t);
template void Product::setLeft(uint16_t *, int64_t, int64_t);
template void Product::setLeft(int8_t *, int64_t, int64_t);
template void Product::multiply(float *, int64_t, float *);
template void Product::multiply(uint16_t *, int64_t, uint16_t *);
template void Product::multiply(int8_t *, int64_t, int32_t *);
