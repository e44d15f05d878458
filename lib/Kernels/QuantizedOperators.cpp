//===- QuantizedOperators.cpp - Products with weights in blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The linear maps and embeddings of programs that keep the blocks of a GGUF file.
// They check all they take: the numbers and sizes of a program are somebody else's.
//
//===----------------------------------------------------------------------===//

#include "TorchTensors.h"

#include "weir/Kernels/Blocks.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <optional>

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using namespace weir;
using namespace weir::kernels;

namespace {

/// Numbers of weights for which another thread is worth its start.
constexpr int64_t numbersOfPart = 32768;

const blocks::Type &typeNamed(const std::string &name) {
  const blocks::Type *type = blocks::find(name);
  require(type, "there are no weights of type '", name, "'; known are ",
          blocks::names());
  return *type;
}

/// Rows of blocks that stand for numbers [rows, width], after every check.
blocks::Rows rowsOf(const Tensor &given, const blocks::Type &type, int64_t width) {
  require(given.is_cpu() && given.scalar_type() == ScalarType::Byte &&
              given.dim() == 2,
          "blocks are bytes [rows, bytes of a row] on the CPU");
  int64_t bytes = blocks::rowBytes(type, width);
  require(bytes >= 0, "rows of ", width, " numbers are no multiple of the ",
          type.numbers, " of a block of ", type.name);
  require(given.size(1) == bytes, "rows of ", width, " numbers of type ", type.name,
          " have ", bytes, " bytes, not ", given.size(1));
  require((given.stride(1) == 1 || given.size(1) <= 1) && given.stride(0) >= 0,
          "blocks are not contiguous along their rows");
  require(blocks::runsHere(), "products with blocks need a processor with AVX2 and "
                              "FMA; export the model with --weights plain");
  return {&type, static_cast<const uint8_t *>(given.const_data_ptr()),
          given.stride(0), width};
}

/// What the schema of the linear map takes, off the dispatcher's stack.
struct LinearArguments {
  Tensor x, blocks;
  std::optional<Tensor> bias;
  std::string type, arithmetic;

  explicit LinearArguments(StableIValue *stack)
      : x(take<Tensor>(stack[0])),
        blocks(take<Tensor>(stack[1])),
        bias(take<std::optional<Tensor>>(stack[2])),
        type(takeString(stack[3])), arithmetic(takeString(stack[4])) {}
};

bool isFloat(ScalarType type) {
  return type == ScalarType::Float || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

Tensor dense(const Tensor &given) {
  Tensor wide = given.scalar_type() == ScalarType::Float
                    ? given
                    : torch::stable::to(given, ScalarType::Float);
  return torch::stable::contiguous(wide);
}

Tensor linear(const LinearArguments &given) {
  const Tensor &x = given.x;
  require(x.is_cpu() && isFloat(x.scalar_type()) && x.dim() >= 1,
          "quantized_linear takes f32, bf16 or f16 of at least one dimension");
  int64_t rank = x.dim(), width = x.size(rank - 1);
  blocks::Rows rows = rowsOf(given.blocks, typeNamed(given.type), width);
  bool isRounded = given.arithmetic == "int8";
  require(isRounded || given.arithmetic == "exact",
          "there is no arithmetic '", given.arithmetic, "'; known are exact, int8");
  require(!isRounded || blocks::hasIntegers(*rows.type),
          "weights of type ", given.type, " have no integers to multiply with");
  int64_t count = given.blocks.size(0);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  int64_t tokens = 1;
  for (int64_t d = 0; d + 1 < rank; ++d)
    tokens *= sizes[d];
  sizes.back() = count;
  Tensor input = dense(x);
  Tensor out = torch::stable::new_empty(x, sizes, ScalarType::Float);
  std::optional<Tensor> bias;
  const float *added = nullptr;
  if (given.bias) {
    require(given.bias->is_cpu() && isFloat(given.bias->scalar_type()) &&
                given.bias->dim() == 1 && given.bias->size(0) == count,
            "the bias of quantized_linear has a number for each of the ", count,
            " rows");
    bias = dense(*given.bias);
    added = static_cast<const float *>(bias->const_data_ptr());
  }
  auto *from = static_cast<const float *>(input.const_data_ptr());
  auto *to = static_cast<float *>(out.mutable_data_ptr());
  blocks::Rounded rounded;
  if (isRounded)
    rounded = blocks::round(from, tokens, width);
  auto work = [&](int64_t begin, int64_t end) {
    if (isRounded)
      blocks::multiplyRounded(rows, begin, end, rounded, to, count);
    else
      blocks::multiply(rows, begin, end, from, tokens, to, count);
    if (!added)
      return;
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t row = begin; row < end; ++row)
        to[token * count + row] += added[row];
  };
  // Sizes are those of tensors that are there; a product with none is empty.
  int64_t each = std::max<int64_t>(1, width * std::max<int64_t>(1, tokens));
  int64_t grain = std::max<int64_t>(1, numbersOfPart / each);
  if (tokens > 0 && count > 0) {
    if (count <= grain)
      work(0, count);
    else
      torch::stable::parallel_for(0, count, grain, work);
  }
  return x.scalar_type() == ScalarType::Float
             ? out
             : torch::stable::to(out, x.scalar_type());
}

void linearBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(linear(LinearArguments(stack)));
}

void linearMeta(StableIValue *stack, uint64_t, uint64_t) {
  LinearArguments given(stack);
  // The sizes in front are asked of nobody, so that they stay symbols.
  Tensor column = torch::stable::narrow(
      given.x, static_cast<int64_t>(given.x.dim()) - 1, 0, 1);
  std::array<int64_t, 2> sizes = {1, given.blocks.size(0)};
  stack[0] = give(
      torch::stable::matmul(column, torch::stable::new_empty(given.x, sizes)));
}

struct EmbeddingArguments {
  Tensor blocks, indices;
  std::string type;
  int64_t width;

  explicit EmbeddingArguments(StableIValue *stack)
      : blocks(take<Tensor>(stack[0])),
        indices(take<Tensor>(stack[1])),
        type(takeString(stack[2])),
        width(take<int64_t>(stack[3])) {}
};

Tensor embedding(const EmbeddingArguments &given) {
  blocks::Rows rows = rowsOf(given.blocks, typeNamed(given.type), given.width);
  require(given.indices.is_cpu() &&
              given.indices.scalar_type() == ScalarType::Long,
          "quantized_embedding takes indices of 64 bits");
  Tensor indices = torch::stable::contiguous(given.indices);
  auto *index = static_cast<const int64_t *>(indices.const_data_ptr());
  int64_t count = indices.numel(), all = given.blocks.size(0);
  for (int64_t i = 0; i < count; ++i)
    require(index[i] >= 0 && index[i] < all, "quantized_embedding has no row ",
            index[i], ": there are ", all);
  std::vector<int64_t> sizes(indices.sizes().begin(), indices.sizes().end());
  sizes.push_back(given.width);
  Tensor out = torch::stable::new_empty(indices, sizes, ScalarType::Float);
  auto *to = static_cast<float *>(out.mutable_data_ptr());
  if (given.width > 0)
    for (int64_t i = 0; i < count; ++i) {
      blocks::Rows one = rows;
      one.data += index[i] * rows.stride;
      blocks::unpack(one, 0, 1, to + i * given.width, given.width);
    }
  return out;
}

void embeddingBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(embedding(EmbeddingArguments(stack)));
}

void embeddingMeta(StableIValue *stack, uint64_t, uint64_t) {
  EmbeddingArguments given(stack);
  Tensor column = torch::stable::to(
      torch::stable::unsqueeze(given.indices,
                               static_cast<int64_t>(given.indices.dim())),
      ScalarType::Float);
  std::array<int64_t, 2> sizes = {1, given.width};
  stack[0] = give(
      torch::stable::matmul(column, torch::stable::new_empty(column, sizes)));
}

} // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(weir, m) {
  m.def("quantized_linear(Tensor x, Tensor blocks, Tensor? bias, str type, "
        "str arithmetic=\"exact\") -> Tensor");
  m.def("quantized_embedding(Tensor blocks, Tensor indices, str type, int width) "
        "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(weir, CPU, m) {
  m.impl("quantized_linear", &linearBoxed);
  m.impl("quantized_embedding", &embeddingBoxed);
}

STABLE_TORCH_LIBRARY_IMPL(weir, Meta, m) {
  m.impl("quantized_linear", &linearMeta);
  m.impl("quantized_embedding", &embeddingMeta);
}
