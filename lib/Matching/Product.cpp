//===- Product.cpp - Products of blocks of rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"

#include <atomic>
#include <cassert>

using namespace weir;
using namespace weir::matching;

// Python may match in several threads.
static std::atomic<const TensorMath *> loadedMath = nullptr;

llvm::Error matching::loadTensorMath() {
  llvm::Expected<const TensorMath &> math = TensorMath::load();
  if (!math)
    return math.takeError();
  loadedMath = &*math;
  return llvm::Error::success();
}

const TensorMath &matching::tensorMath() {
  const TensorMath *math = loadedMath.load(std::memory_order_acquire);
  assert(math && "LibTorch has to be loaded first");
  return *math;
}

bool matching::multipliesBFloat() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool matching::multipliesBytes() {
#if defined(__x86_64__)
  return (__builtin_cpu_supports("avx512vnni") ||
          __builtin_cpu_supports("avxvnni")) &&
         tensorMath().multipliesBytes();
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

llvm::Expected<Device> matching::resolve(Device device) {
  if (device == Device::Automatic)
    return tensorMath().hasCuda() ? Device::Cuda : Device::Processor;
  if (device == Device::Cuda && !tensorMath().hasCuda())
    return llvm::createStringError(
        "this LibTorch has no CUDA device; take the device 'cpu' or 'auto'");
  return device;
}

std::unique_ptr<RowProduct> matching::makeProduct(Device device) {
  return tensorMath().product(device == Device::Cuda     ? ProductPlace::Cuda
                              : device == Device::Staged ? ProductPlace::Staged
                                                         : ProductPlace::Processor);
}
