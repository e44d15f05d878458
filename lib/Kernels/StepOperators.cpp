//===- StepOperators.cpp - Attention over a cache, norms, rotations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What programs with quantised weights call beside their products: each is one call
// for several of aten's, and attention reads the slots of the cache that a token
// sees instead of all. They check all they take.
//
//===----------------------------------------------------------------------===//

#include "Parts.h"
#include "TorchTensors.h"

#include "weir/Kernels/Blocks.h"
#include "weir/Kernels/Steps.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using namespace weir;
using namespace weir::kernels;

namespace {

/// Nanoseconds of a multiplication in attention, and of a number of a row that is
/// normalised or rotated, about.
constexpr double timeOfProduct = 1.0 / 16, timeOfNumber = 1.0 / 4;

void requireProcessor() {
  require(blocks::runsHere(), "kernels of quantised programs need a processor with "
                              "AVX2 and FMA; export the model with --weights plain");
}

void requireFloats(const Tensor &tensor, int64_t rank, const char *name) {
  require(tensor.is_cpu() && tensor.scalar_type() == ScalarType::Float &&
              static_cast<int64_t>(tensor.dim()) == rank,
          name, " is a tensor of f32 with ", rank, " dimensions on the CPU");
}

/// With its last dimension contiguous.
Tensor withColumns(const Tensor &tensor) {
  int64_t last = static_cast<int64_t>(tensor.dim()) - 1;
  return tensor.size(last) <= 1 || tensor.stride(last) == 1
             ? tensor
             : torch::stable::contiguous(tensor);
}

const float *numbersOf(const Tensor &tensor) {
  return static_cast<const float *>(tensor.const_data_ptr());
}

struct AttentionArguments {
  Tensor query, key, value, last;
  double scale;
  std::optional<int64_t> window;

  explicit AttentionArguments(StableIValue *stack)
      : query(take<Tensor>(stack[0])), key(take<Tensor>(stack[1])),
        value(take<Tensor>(stack[2])), last(take<Tensor>(stack[3])),
        scale(take<double>(stack[4])),
        window(take<std::optional<int64_t>>(stack[5])) {}
};

Tensor attention(const AttentionArguments &given) {
  requireProcessor();
  requireFloats(given.query, 4, "query of cached_attention");
  requireFloats(given.key, 4, "key of cached_attention");
  requireFloats(given.value, 4, "value of cached_attention");
  Tensor query = withColumns(given.query), key = withColumns(given.key),
         value = withColumns(given.value);
  int64_t batch = query.size(0), heads = query.size(1), length = query.size(2),
          dim = query.size(3), slots = key.size(1), shared = key.size(2),
          width = value.size(3);
  require(key.size(0) == value.size(0) && key.size(0) >= batch &&
              slots == value.size(1) && shared == value.size(2) &&
              shared > 0 && heads % shared == 0 && dim == key.size(3),
          "query [b, heads, S, d], key [rows, slots, groups, d] and value [rows, "
          "slots, groups, e] of cached_attention do not fit each other");
  require(dim > 0 && dim % steps::keyLanes == 0 && width > 0 &&
              width % steps::lanes == 0,
          "heads of cached_attention have widths that are multiples of ",
          steps::keyLanes, " (keys) and ", steps::lanes, " (values), not ", dim,
          " and ", width);
  require(given.last.is_cpu() && given.last.scalar_type() == ScalarType::Long &&
              given.last.dim() == 2 && given.last.size(0) == batch &&
              given.last.size(1) == length,
          "last of cached_attention has a slot for each token, of 64 bits");
  int64_t window = given.window.value_or(std::numeric_limits<int64_t>::max());
  require(window > 0, "a window of ", window, " slots");
  Tensor last = asContiguous(given.last);
  auto *slot = static_cast<const int64_t *>(last.const_data_ptr());
  int64_t most = 0;
  for (int64_t i = 0; i < batch * length; ++i) {
    require(slot[i] >= 0 && slot[i] < slots, "cached_attention has no slot ",
            slot[i], ": there are ", slots);
    most = std::max(most, slot[i]);
  }
  std::array<int64_t, 4> sizes = {batch, length, heads, width};
  Tensor out = newFloats(sizes);
  auto *to = static_cast<float *>(out.mutable_data_ptr());
  int64_t groups = heads / shared;
  int64_t seenAtMost = std::min(most + 1, window);
  auto work = [&](int64_t begin, int64_t end) {
    std::vector<float> scratch;
    for (int64_t i = begin; i < end; ++i) {
      int64_t group = i / length % shared, token = i % length,
              row = i / length / shared;
      int64_t until = slot[row * length + token] + 1;
      int64_t first = until > window ? until - window : 0;
      auto seen = [&](const Tensor &cache, int64_t columns) -> steps::Matrix {
        return {numbersOf(cache) + row * cache.stride(0) +
                    first * cache.stride(1) + group * cache.stride(2),
                until - first, columns, cache.stride(1)};
      };
      steps::Matrix queries = {numbersOf(query) + row * query.stride(0) +
                                   group * groups * query.stride(1) +
                                   token * query.stride(2),
                               groups, dim, query.stride(1)};
      steps::attend(queries, seen(key, dim), seen(value, width),
                    static_cast<float>(given.scale),
                    to + ((row * length + token) * heads + group * groups) * width,
                    width, scratch);
    }
  };
  inParts(batch * shared * length,
          timeOfProduct * static_cast<double>(seenAtMost * groups * (dim + width)),
          work);
  return out;
}

void attentionBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(attention(AttentionArguments(stack)));
}

void attentionMeta(StableIValue *stack, uint64_t, uint64_t) {
  AttentionArguments given(stack);
  // [b, S, heads, 1] times [1, e]: sizes in front stay symbols.
  Tensor heads = torch::stable::transpose(given.query, 1, 2);
  Tensor column = torch::stable::narrow(heads, 3, 0, 1);
  std::array<int64_t, 2> sizes = {1, given.value.size(3)};
  stack[0] = give(torch::stable::matmul(
      column, torch::stable::new_empty(given.query, sizes)));
}

struct NormArguments {
  Tensor x, weight;
  double epsilon, offset;

  explicit NormArguments(StableIValue *stack)
      : x(take<Tensor>(stack[0])), weight(take<Tensor>(stack[1])),
        epsilon(take<double>(stack[2])), offset(take<double>(stack[3])) {}
};

Tensor norm(const NormArguments &given) {
  requireProcessor();
  int64_t rank = given.x.dim();
  require(rank >= 1, "rms_norm takes at least one dimension");
  requireFloats(given.x, rank, "x of rms_norm");
  requireFloats(given.weight, 1, "weight of rms_norm");
  int64_t width = given.x.size(rank - 1);
  require(width > 0 && width % steps::lanes == 0 && given.weight.size(0) == width,
          "rms_norm takes rows of a multiple of ", steps::lanes,
          " numbers and a weight for each, not ", width, " and ",
          given.weight.size(0));
  Tensor x = asContiguous(given.x), weight = asContiguous(given.weight);
  const float *factors = numbersOf(weight);
  std::vector<float> sums;
  if (given.offset != 0) {
    sums.assign(factors, factors + width);
    for (float &factor : sums)
      factor += static_cast<float>(given.offset);
    factors = sums.data();
  }
  Tensor out = newFloats(x.sizes());
  steps::Matrix rows = {numbersOf(x), static_cast<int64_t>(x.numel()) / width,
                        width, width};
  auto *to = static_cast<float *>(out.mutable_data_ptr());
  inParts(rows.rows, timeOfNumber * static_cast<double>(width),
          [&](int64_t begin, int64_t end) {
            steps::normalise(rows, begin, end, factors,
                             static_cast<float>(given.epsilon), to);
          });
  return out;
}

void normBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(norm(NormArguments(stack)));
}

void normMeta(StableIValue *stack, uint64_t, uint64_t) {
  NormArguments given(stack);
  stack[0] = give(
      torch::stable::empty_like(torch::stable::contiguous(given.x)));
}

struct RotateArguments {
  Tensor x, cos, sin;

  explicit RotateArguments(StableIValue *stack)
      : x(take<Tensor>(stack[0])), cos(take<Tensor>(stack[1])),
        sin(take<Tensor>(stack[2])) {}
};

Tensor rotate(const RotateArguments &given) {
  requireFloats(given.x, 4, "x of rotate");
  requireFloats(given.cos, 4, "cos of rotate");
  requireFloats(given.sin, 4, "sin of rotate");
  Tensor x = withColumns(given.x), cos = withColumns(given.cos),
         sin = withColumns(given.sin);
  int64_t batch = x.size(0), heads = x.size(1), length = x.size(2),
          width = x.size(3);
  for (const Tensor &angles : {cos, sin})
    require((angles.size(0) == batch || angles.size(0) == 1) &&
                angles.size(1) == 1 && angles.size(2) == length &&
                angles.size(3) == width && width % 2 == 0,
            "cos and sin of rotate are [b or 1, 1, S, d] for x [b, heads, S, d] of "
            "an even d");
  std::array<int64_t, 4> sizes = {batch, heads, length, width};
  Tensor out = newFloats(sizes);
  auto *to = static_cast<float *>(out.mutable_data_ptr());
  auto place = [&](const Tensor &angles, int64_t row, int64_t token) {
    return numbersOf(angles) + (angles.size(0) == 1 ? 0 : row) * angles.stride(0) +
           token * angles.stride(2);
  };
  auto work = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t token = i % length, head = i / length % heads,
              row = i / length / heads;
      steps::rotate(numbersOf(x) + row * x.stride(0) + head * x.stride(1) +
                        token * x.stride(2),
                    place(cos, row, token), place(sin, row, token), width,
                    to + i * width);
    }
  };
  inParts(batch * heads * length, timeOfNumber * static_cast<double>(width), work);
  return out;
}

void rotateBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(rotate(RotateArguments(stack)));
}

void rotateMeta(StableIValue *stack, uint64_t, uint64_t) {
  RotateArguments given(stack);
  stack[0] = give(
      torch::stable::empty_like(torch::stable::contiguous(given.x)));
}

} // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(weir, m) {
  m.def("cached_attention(Tensor query, Tensor key, Tensor value, Tensor last, "
        "float scale, int? window=None) -> Tensor");
  m.def("rms_norm(Tensor x, Tensor weight, float epsilon, float offset=0.0) -> "
        "Tensor");
  m.def("rotate(Tensor x, Tensor cos, Tensor sin) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(weir, CPU, m) {
  m.impl("cached_attention", &attentionBoxed);
  m.impl("rms_norm", &normBoxed);
  m.impl("rotate", &rotateBoxed);
}

STABLE_TORCH_LIBRARY_IMPL(weir, Meta, m) {
  m.impl("cached_attention", &attentionMeta);
  m.impl("rms_norm", &normMeta);
  m.impl("rotate", &rotateMeta);
}
