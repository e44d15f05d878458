//===- Steps.h - What a token needs beside its products ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention over a cache, norms and rotations of f32. A token's result depends on
// what it sees alone: neither on other tokens, nor on threads, nor on the processor.
// Of the standard library alone.
//
// The kernels are generated (lib/Codegen/StepKernels.cpp) and need what those of
// Blocks.h need: ask blocks::runsHere() first.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_KERNELS_STEPS_H
#define WEIR_KERNELS_STEPS_H

#include <cstdint>
#include <vector>

namespace weir::steps {

/// Rows of f32; each begins `stride` numbers behind the one before.
struct Matrix {
  const float *data;
  int64_t rows, columns, stride;
};

/// Widths of keys and of values, and of rows with a norm, are multiples of these.
constexpr int64_t keyLanes = 32, lanes = 16;

/// Rows of `out`, `outStride` numbers apart, for the queries [G, d] of one token that
/// share keys [n, d] and values [n, e]: softmax(scale Q K^T) V, [G, e]. n is at least
/// 1. `scratch` is used and may grow.
void attend(const Matrix &queries, const Matrix &keys, const Matrix &values,
            float scale, float *out, int64_t outStride,
            std::vector<float> &scratch);

/// out[r, i] = x[r, i] / sqrt(mean over i of x[r, i]^2 + epsilon) weight[i], dense, for
/// the rows [begin, end).
void normalise(const Matrix &x, int64_t begin, int64_t end, const float *weight,
               float epsilon, float *out);

/// out = x cos + y sin, y the second half of x, negated, and then the first; `width`
/// numbers, an even count. Rounded after each operation, as if done one by one.
void rotate(const float *x, const float *cos, const float *sin, int64_t width,
            float *out);

} // namespace weir::steps

#endif // WEIR_KERNELS_STEPS_H
