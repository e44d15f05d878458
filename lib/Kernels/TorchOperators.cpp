//===- TorchOperators.cpp - Kernels as operators of PyTorch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On torch's stable ABI, so that one library serves torch 2.10 and newer.
//
//===----------------------------------------------------------------------===//

#include "TorchTensors.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

using namespace weir::kernels;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

namespace {

/// All that a call of a kernel takes, in its order.
class Call {
public:
  explicit Call(const std::string &name) {
    check(weir_kernels_find(name.c_str(), &kernel));
    tensors.reserve(kernel->num_arguments);
    views.reserve(kernel->num_arguments);
  }

  const weir_argument &next() const {
    require(static_cast<int64_t>(tensors.size()) < kernel->num_arguments,
            kernel->name, " takes fewer tensors");
    return kernel->arguments[tensors.size()];
  }

  void add(Tensor tensor) {
    const weir_argument &wanted = next();
    require(tensor.is_cpu(), kernel->name, " takes tensors of the CPU");
    int64_t rank = tensor.dim();
    require(rank <= WEIR_MAX_RANK, "a tensor has too many dimensions");
    bool isRow = wanted.columns && rank > 0 && tensor.size(rank - 1) > 1;
    bool isConstant = wanted.role == WEIR_CONSTANT;
    if ((isRow && tensor.stride(rank - 1) != 1) ||
        (isConstant && !tensor.is_contiguous())) {
      require(wanted.role != WEIR_RESULT,
              "a value that is edited in place is not contiguous in its last "
              "dimension");
      tensor = torch::stable::contiguous(tensor);
    }
    tensors.push_back(std::move(tensor));
    const Tensor &held = tensors.back();
    views.push_back({const_cast<void *>(held.const_data_ptr()), typeOf(held), rank,
                     held.sizes().data(), held.strides().data()});
  }

  void add(std::vector<Tensor> &&all, int64_t role) {
    for (Tensor &tensor : all) {
      require(next().role == role, kernel->name,
              " takes another number of tensors of this kind");
      add(std::move(tensor));
    }
  }

  /// New rows for each token of the value, as the next argument says.
  Tensor makeRead(const Tensor &x) {
    const weir_argument &wanted = next();
    std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
    sizes.back() = wanted.sizes[wanted.rank - 1];
    return torch::stable::new_empty(x, sizes, ScalarType::Float);
  }
  bool nextIs(int64_t role) const {
    return static_cast<int64_t>(tensors.size()) < kernel->num_arguments &&
           next().role == role;
  }

  void run() {
    int64_t tokens = 0;
    std::array<int64_t, 256> few;
    std::vector<int64_t> many;
    int64_t *words = few.data();
    if (int64_t count = weir_kernel_words(kernel);
        count > static_cast<int64_t>(few.size())) {
      many.resize(count);
      words = many.data();
    }
    check(weir_kernel_bind(kernel, views.data(), views.size(), words, &tokens));
    weir_function function = weir_kernel_function(kernel);
    // What a token costs is about what it reads: its row and the constants.
    int64_t numbers = 0;
    for (int64_t i = 0; i < kernel->num_arguments; ++i)
      if (kernel->arguments[i].role == WEIR_CONSTANT)
        numbers += tensors[i].numel();
    int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, numbers));
    if (tokens <= grain) {
      function(words, 0, tokens);
      return;
    }
    torch::stable::parallel_for(0, tokens, grain, [&](int64_t begin, int64_t end) {
      function(words, begin, end);
    });
  }

private:
  const weir_kernel *kernel = nullptr;
  std::vector<Tensor> tensors;
  std::vector<weir_tensor> views;
};

Tensor newValue(const Tensor &x) {
  return x.is_contiguous()
             ? torch::stable::empty_like(x)
             : torch::stable::new_empty(x, x.sizes());
}

/// What the schemas below take, off the dispatcher's stack.
struct Arguments {
  Tensor x;
  std::vector<Tensor> inputs, constants;
  std::vector<int64_t> columns;
  std::string kernel;

  Arguments(StableIValue *stack, bool reads)
      : x(take<Tensor>(stack[0])),
        inputs(takeList<Tensor>(stack[1])), constants(takeList<Tensor>(stack[2])) {
    if (reads)
      columns = takeList<int64_t>(stack[3]);
    kernel = takeString(stack[reads ? 4 : 3]);
  }
};

void edit(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/false);
  Tensor y = newValue(given.x);
  Call call(given.kernel);
  call.add(given.x);
  call.add(std::move(given.inputs), WEIR_INPUT);
  call.add(y);
  call.add(std::move(given.constants), WEIR_CONSTANT);
  call.run();
  stack[0] = give(y);
}

void editInPlace(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/false);
  Call call(given.kernel);
  int64_t last = given.x.dim() - 1;
  require(last >= 0 && (given.x.stride(last) == 1 || given.x.size(last) <= 1),
          "a value that is edited in place is not contiguous in its last "
          "dimension");
  call.add(given.x);
  call.add(std::move(given.inputs), WEIR_INPUT);
  call.add(given.x);
  call.add(std::move(given.constants), WEIR_CONSTANT);
  call.run();
}

void editAndRead(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/true);
  std::vector<Tensor> results = {newValue(given.x)};
  Call call(given.kernel);
  call.add(given.x);
  call.add(std::move(given.inputs), WEIR_INPUT);
  call.add(results.front());
  while (call.nextIs(WEIR_READ)) {
    size_t index = results.size() - 1;
    Tensor read = call.makeRead(given.x);
    require(index < given.columns.size() &&
                read.size(read.dim() - 1) == given.columns[index],
            given.kernel, " gives other activations");
    results.push_back(read);
    call.add(std::move(read));
  }
  require(results.size() == given.columns.size() + 1, given.kernel,
          " gives other activations");
  call.add(std::move(given.constants), WEIR_CONSTANT);
  call.run();
  stack[0] = give(results);
}

//===----------------------------------------------------------------------===//
// Shapes alone
//===----------------------------------------------------------------------===//

void editMeta(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/false);
  // Sizes are asked of nobody, so that they stay symbols.
  stack[0] = give(
      torch::stable::empty_like(torch::stable::contiguous(given.x)));
}

void editInPlaceMeta(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/false);
}

void editAndReadMeta(StableIValue *stack, uint64_t, uint64_t) {
  Arguments given(stack, /*reads=*/true);
  std::vector<Tensor> results = {
      torch::stable::empty_like(torch::stable::contiguous(given.x))};
  // Not even one size is asked for, which would fix all of them.
  Tensor column = torch::stable::narrow(
      given.x, static_cast<int64_t>(given.x.dim()) - 1, 0, 1);
  column = torch::stable::to(column, ScalarType::Float);
  for (int64_t columns : given.columns) {
    std::array<int64_t, 2> sizes = {1, columns};
    Tensor rows = torch::stable::new_empty(column, sizes, ScalarType::Float);
    results.push_back(torch::stable::matmul(column, rows));
  }
  stack[0] = give(results);
}

int64_t loadKernels(std::string path) {
  check(weir_kernels_load(path.c_str()));
  return 0;
}
void loadKernelsBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(loadKernels(takeString(stack[0])));
}

} // namespace

STABLE_TORCH_LIBRARY(weir, m) {
  m.def("edit(Tensor x, Tensor[] inputs, Tensor[] constants, str kernel) -> Tensor");
  m.def("edit_(Tensor(a!) x, Tensor[] inputs, Tensor[] constants, str kernel) -> ()");
  m.def("edit_and_read(Tensor x, Tensor[] inputs, Tensor[] constants, "
        "int[] columns, str kernel) -> Tensor[]");
  m.def("load_kernels(str path) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(weir, CPU, m) {
  m.impl("edit", &edit);
  m.impl("edit_", &editInPlace);
  m.impl("edit_and_read", &editAndRead);
}

STABLE_TORCH_LIBRARY_IMPL(weir, Meta, m) {
  m.impl("edit", &editMeta);
  m.impl("edit_", &editInPlaceMeta);
  m.impl("edit_and_read", &editAndReadMeta);
}

STABLE_TORCH_LIBRARY_IMPL(weir, CompositeExplicitAutograd, m) {
  m.impl("load_kernels", &loadKernelsBoxed);
}
