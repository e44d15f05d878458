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

#include "Parts.h"
#include "TorchTensors.h"

#include "weir/Kernels/Blocks.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using namespace weir;
using namespace weir::kernels;

namespace {

/// Nanoseconds of a weight times a token, about.
constexpr double timeOfProduct = 1.0 / 32;

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

bool isFloat(ScalarType type) {
  return type == ScalarType::Float || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

Tensor dense(const Tensor &given) {
  Tensor wide = given.scalar_type() == ScalarType::Float
                    ? given
                    : torch::stable::to(given, ScalarType::Float);
  return asContiguous(wide);
}

/// Products of tokens with the rows of one matrix or of several.
class Products {
public:
  Products(const char *name, const Tensor &x, const std::string &arithmetic)
      : name(name), x(x), isRounded(arithmetic == "int8") {
    require(x.is_cpu() && isFloat(x.scalar_type()) && x.dim() >= 1, name,
            " takes f32, bf16 or f16 of at least one dimension");
    require(isRounded || arithmetic == "exact",
            "there is no arithmetic '", arithmetic, "'; known are exact, int8");
    sizes.assign(x.sizes().begin(), x.sizes().end());
    width = sizes.back();
    for (size_t d = 0; d + 1 < sizes.size(); ++d)
      tokens *= sizes[d];
  }

  void add(const Tensor &blocks, const std::optional<Tensor> &bias,
           const std::string &type) {
    Part part{rowsOf(blocks, typeNamed(type), width), blocks.size(0), {}, {}};
    require(!isRounded || blocks::hasIntegers(*part.rows.type),
            "weights of type ", type, " have no integers to multiply with");
    require(part.count <= std::numeric_limits<int64_t>::max() - count, name,
            " takes fewer rows");
    if (bias) {
      require(bias->is_cpu() && isFloat(bias->scalar_type()) && bias->dim() == 1 &&
                  bias->size(0) == part.count,
              "the bias of ", name, " has a number for each of the ", part.count,
              " rows");
      part.bias = dense(*bias);
    }
    sizes.back() = part.count;
    part.out = newFloats(sizes);
    count += part.count;
    parts.push_back(std::move(part));
  }

  /// [.., rows] of x's type for each matrix.
  std::vector<Tensor> make() {
    run();
    std::vector<Tensor> results;
    for (Part &part : parts)
      results.push_back(x.scalar_type() == ScalarType::Float
                            ? std::move(*part.out)
                            : torch::stable::to(*part.out, x.scalar_type()));
    return results;
  }

private:
  struct Part {
    blocks::Rows rows;
    int64_t count;
    std::optional<Tensor> bias, out;
  };

  void run() {
    // Sizes are those of tensors that are there; a product with none is empty.
    if (tokens <= 0 || count <= 0)
      return;
    Tensor input = dense(x);
    auto *from = static_cast<const float *>(input.const_data_ptr());
    blocks::Rounded rounded;
    if (isRounded)
      rounded = blocks::round(from, tokens, width);
    // Rows of all matrices, one after the other.
    auto work = [&](int64_t begin, int64_t end) {
      int64_t first = 0;
      for (Part &part : parts) {
        int64_t from0 = std::max(begin, first) - first;
        int64_t to0 = std::min(end, first + part.count) - first;
        if (from0 < to0)
          multiply(part, from0, to0, from, rounded);
        first += part.count;
      }
    };
    inParts(count, timeOfProduct * static_cast<double>(width * tokens), work);
  }

  /// Rows [begin, end) of one matrix.
  void multiply(Part &part, int64_t begin, int64_t end, const float *from,
                const blocks::Rounded &rounded) const {
    auto *to = static_cast<float *>(part.out->mutable_data_ptr());
    if (isRounded)
      blocks::multiplyRounded(part.rows, begin, end, rounded, to, part.count);
    else
      blocks::multiply(part.rows, begin, end, from, tokens, to, part.count);
    if (!part.bias)
      return;
    auto *added = static_cast<const float *>(part.bias->const_data_ptr());
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t row = begin; row < end; ++row)
        to[token * part.count + row] += added[row];
  }

  const char *name;
  Tensor x;
  bool isRounded;
  std::vector<int64_t> sizes;
  int64_t width = 0, tokens = 1, count = 0;
  std::vector<Part> parts;
};

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

void linearBoxed(StableIValue *stack, uint64_t, uint64_t) {
  LinearArguments given(stack);
  Products products("quantized_linear", given.x, given.arithmetic);
  products.add(given.blocks, given.bias, given.type);
  stack[0] = give(products.make().front());
}

/// [.., rows] without numbers.
Tensor shapeOfProduct(Tensor x, const Tensor &blocks) {
  // The sizes in front are asked of nobody, so that they stay symbols.
  Tensor column =
      torch::stable::narrow(x, static_cast<int64_t>(x.dim()) - 1, 0, 1);
  std::array<int64_t, 2> sizes = {1, blocks.size(0)};
  return torch::stable::matmul(column, torch::stable::new_empty(x, sizes));
}

void linearMeta(StableIValue *stack, uint64_t, uint64_t) {
  LinearArguments given(stack);
  stack[0] = give(shapeOfProduct(given.x, given.blocks));
}

/// The same of several linear maps that read one value.
struct LinearsArguments {
  Tensor x;
  std::vector<Tensor> blocks;
  std::vector<std::optional<Tensor>> biases;
  std::vector<std::string> types;
  std::string arithmetic;

  explicit LinearsArguments(StableIValue *stack)
      : x(take<Tensor>(stack[0])),
        blocks(takeList<Tensor>(stack[1])),
        biases(takeList<std::optional<Tensor>>(stack[2])),
        types(takeStrings(stack[3])), arithmetic(takeString(stack[4])) {
    require(biases.size() == blocks.size() && types.size() == blocks.size(),
            "quantized_linears takes a bias or none and a type for each of the ",
            blocks.size(), " matrices");
  }
};

void linearsBoxed(StableIValue *stack, uint64_t, uint64_t) {
  LinearsArguments given(stack);
  Products products("quantized_linears", given.x, given.arithmetic);
  for (size_t i = 0; i < given.blocks.size(); ++i)
    products.add(given.blocks[i], given.biases[i], given.types[i]);
  stack[0] = give(products.make());
}

void linearsMeta(StableIValue *stack, uint64_t, uint64_t) {
  LinearsArguments given(stack);
  std::vector<Tensor> results;
  for (const Tensor &blocks : given.blocks)
    results.push_back(shapeOfProduct(given.x, blocks));
  stack[0] = give(results);
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
  Tensor indices = asContiguous(given.indices);
  auto *index = static_cast<const int64_t *>(indices.const_data_ptr());
  int64_t count = indices.numel(), all = given.blocks.size(0);
  for (int64_t i = 0; i < count; ++i)
    require(index[i] >= 0 && index[i] < all, "quantized_embedding has no row ",
            index[i], ": there are ", all);
  std::vector<int64_t> sizes(indices.sizes().begin(), indices.sizes().end());
  sizes.push_back(given.width);
  Tensor out = newFloats(sizes);
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
  m.def("quantized_linears(Tensor x, Tensor[] blocks, Tensor?[] bias, str[] type, "
        "str arithmetic=\"exact\") -> Tensor[]");
  m.def("quantized_embedding(Tensor blocks, Tensor indices, str type, int width) "
        "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(weir, CPU, m) {
  m.impl("quantized_linear", &linearBoxed);
  m.impl("quantized_linears", &linearsBoxed);
  m.impl("quantized_embedding", &embeddingBoxed);
}

STABLE_TORCH_LIBRARY_IMPL(weir, Meta, m) {
  m.impl("quantized_linear", &linearMeta);
  m.impl("quantized_linears", &linearsMeta);
  m.impl("quantized_embedding", &embeddingMeta);
}
