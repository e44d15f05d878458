//===- MathEntry.cpp - Products of blocks of rows, by LibTorch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Torch/TensorMath.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <vector>

namespace weir {

const TensorMath &torchMath();

namespace {

at::ScalarType typeOf(const float *) { return at::kFloat; }
at::ScalarType typeOf(const uint16_t *) { return at::kBFloat16; }
at::ScalarType typeOf(const int8_t *) { return at::kChar; }
at::ScalarType typeOf(const int32_t *) { return at::kInt; }

template <typename T> at::Tensor view(T *data, int64_t rows, int64_t cols) {
  return at::from_blob(data, {rows, cols}, typeOf(data));
}

/// Runs `body`; what LibTorch throws becomes what the caller can catch.
template <typename Body> void guarded(Body body) {
  try {
    c10::InferenceMode inference;
    body();
  } catch (const c10::Error &error) {
    throw TensorError(error.what_without_backtrace());
  }
}

class Product final : public RowProduct {
public:
  explicit Product(ProductPlace place) : place(place) {}

  void setLeft(float *data, int64_t rows, int64_t width) override {
    keep(data, rows, width);
  }
  void setLeft(uint16_t *data, int64_t rows, int64_t width) override {
    keep(data, rows, width);
  }
  void setLeft(int8_t *data, int64_t rows, int64_t width) override {
    keep(data, rows, width);
  }
  void multiply(float *right, int64_t columns, float *out) override {
    compute(right, columns, out);
  }
  void multiply(uint16_t *right, int64_t columns, uint16_t *out) override {
    compute(right, columns, out);
  }
  void multiply(int8_t *right, int64_t columns, int32_t *out) override {
    compute(right, columns, out);
  }

private:
  template <typename T> void keep(T *data, int64_t rows, int64_t width) {
    guarded([&] {
      left = view(data, rows, width);
      if (place == ProductPlace::Cuda)
        left = left.to(at::kCUDA);
    });
  }

  template <typename T, typename Result>
  void compute(T *data, int64_t columns, Result *result) {
    guarded([&] {
      at::Tensor right = view(data, columns, left.size(1)).t();
      at::Tensor out = view(result, left.size(0), columns);
      if (place != ProductPlace::Processor)
        // The copy waits for the product.
        out.copy_(at::mm(left, right.to(left.device())));
      else if (typeOf(data) == at::kChar)
        at::_int_mm_out(out, left, right);
      else
        at::mm_out(out, left, right);
    });
  }

  ProductPlace place;
  at::Tensor left;
};

/// Products of the largest bytes, and of some that tell columns apart: what
/// saturates or wraps is caught here.
bool bytesAreExact() {
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
    Product product(ProductPlace::Processor);
    product.setLeft(left.data(), rows, width);
    product.multiply(right.data(), rows, out.data());
  } catch (const TensorError &) {
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

class Math final : public TensorMath {
public:
  bool hasCuda() const override { return at::hasCUDA(); }

  std::unique_ptr<RowProduct> product(ProductPlace place) const override {
    return std::make_unique<Product>(place);
  }

  bool multipliesBytes() const override {
    static const bool areExact =
        at::globalContext().hasMKLDNN() && bytesAreExact();
    // Without oneDNN LibTorch has a plain loop.
    return areExact && at::globalContext().userEnabledMkldnn();
  }

  double lowerPrecision() const override {
    constexpr double lower = 2.1 * 0x1p-8;
    for (at::Float32Backend backend :
         {at::Float32Backend::MKLDNN, at::Float32Backend::CUDA}) {
      auto precision = at::globalContext().float32Precision(
          backend, at::Float32Op::MATMUL);
      if (precision == at::Float32Precision::BF16 ||
          precision == at::Float32Precision::TF32)
        return lower;
    }
    return at::globalContext().float32MatmulPrecision() ==
                   at::Float32MatmulPrecision::HIGHEST
               ? 0
               : lower;
  }

  int threads() const override { return at::get_num_threads(); }
  void setThreads(int threads) const override { at::set_num_threads(threads); }
  void parallelFor(int64_t begin, int64_t end, int64_t grain,
                   llvm::function_ref<void(int64_t, int64_t)> body) const override {
    at::parallel_for(begin, end, grain, body);
  }
};

} // namespace

const TensorMath &torchMath() {
  static Math math;
  return math;
}

} // namespace weir
