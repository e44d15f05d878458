//===- Steps.cpp - What a token needs beside its products ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/Steps.h"

#include "OwnKernels.h"

#include <algorithm>
#include <array>
#include <limits>

using namespace weir;
using namespace weir::steps;

namespace {

/// Calls a kernel with matrices, whose descriptions are kept in order.
template <size_t count> class Call {
public:
  Call &take(const void *data, int64_t rows, int64_t columns, int64_t stride) {
    describe(words.data() + wordsOfMatrix * taken++, data, rows, columns, stride);
    return *this;
  }
  void run(weir_function kernel, int64_t begin, int64_t end) {
    kernel(words.data(), begin, end);
  }

private:
  std::array<int64_t, count * wordsOfMatrix> words;
  size_t taken = 0;
};

} // namespace

void weir::steps::attend(const Matrix &queries, const Matrix &keys,
                         const Matrix &values, float scale, float *out,
                         int64_t outStride, std::vector<float> &scratch) {
  static const weir_function product = ownKernel("product"),
                             softmax = ownKernel("softmax"),
                             combine = ownKernel("combine");
  int64_t count = keys.rows, padded = (count + lanes - 1) / lanes * lanes;
  size_t size = static_cast<size_t>(queries.rows * padded);
  if (scratch.size() < 2 * size)
    scratch.resize(2 * size);
  float *scores = scratch.data(), *weights = scores + size;
  for (int64_t row = 0; row < queries.rows; ++row)
    std::fill(scores + row * padded + count, scores + (row + 1) * padded,
              -std::numeric_limits<float>::infinity());
  Call<3>()
      .take(keys.data, count, keys.columns, keys.stride)
      .take(queries.data, queries.rows, queries.columns, queries.stride)
      .take(scores, queries.rows, count, padded)
      .run(product, 0, count);
  Call<3>()
      .take(scores, queries.rows, padded, padded)
      .take(&scale, 1, 1, 1)
      .take(weights, queries.rows, padded, padded)
      .run(softmax, 0, queries.rows);
  Call<3>()
      .take(weights, queries.rows, count, padded)
      .take(values.data, count, values.columns, values.stride)
      .take(out, queries.rows, values.columns, outStride)
      .run(combine, 0, queries.rows);
}

void weir::steps::normalise(const Matrix &x, int64_t begin, int64_t end,
                            const float *weight, float epsilon, float *out) {
  static const weir_function norm = ownKernel("rms_norm");
  std::array<float, 2> numbers = {1.0f / static_cast<float>(x.columns), epsilon};
  Call<4>()
      .take(x.data, x.rows, x.columns, x.stride)
      .take(weight, 1, x.columns, x.columns)
      .take(numbers.data(), 1, 2, 2)
      .take(out, x.rows, x.columns, x.columns)
      .run(norm, begin, end);
}

void weir::steps::rotate(const float *x, const float *cos, const float *sin,
                         int64_t width, float *out) {
  int64_t half = width / 2;
  for (int64_t i = 0; i < half; ++i) {
    float first = x[i] * cos[i], second = -x[i + half] * sin[i];
    out[i] = first + second;
  }
  for (int64_t i = half; i < width; ++i) {
    float first = x[i] * cos[i], second = x[i - half] * sin[i];
    out[i] = first + second;
  }
}
