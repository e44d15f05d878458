//===- Kernels.cpp - Finding and calling kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of the standard library and the dynamic loader alone: this is what runtimes
// take along.
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/weir_kernels.h"

#include <dlfcn.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace {

thread_local std::string message;

const char *fail(std::string text) {
  message = std::move(text);
  return message.c_str();
}

struct Known {
  const weir_kernel *kernel;
  weir_function function;
};

std::shared_mutex lock;
std::map<std::string, Known, std::less<>> &registry() {
  static auto *all = new std::map<std::string, Known, std::less<>>;
  return *all;
}

int64_t ownArchitecture() {
#if defined(__x86_64__)
  return WEIR_X86_64;
#elif defined(__aarch64__)
  return WEIR_AARCH64;
#else
  return 0;
#endif
}

int64_t ownFeatures() {
  int64_t features = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  auto all = [](auto... has) { return (has && ...); };
  if (all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"),
          __builtin_cpu_supports("f16c"), __builtin_cpu_supports("bmi"),
          __builtin_cpu_supports("bmi2"), __builtin_cpu_supports("lzcnt")))
    features |= WEIR_X86_64_V3;
  if (all(features != 0, __builtin_cpu_supports("avx512f"),
          __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512cd"),
          __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512vl")))
    features |= WEIR_X86_64_V4;
#endif
  return features;
}

const char *nameOf(int64_t role) {
  switch (role) {
  case WEIR_VALUE:
    return "the value";
  case WEIR_INPUT:
    return "an input";
  case WEIR_RESULT:
    return "the new value";
  case WEIR_READ:
    return "activations";
  default:
    return "a constant";
  }
}

} // namespace

weir_function weir_kernel_function(const weir_kernel *kernel) {
  static const int64_t features = ownFeatures();
  for (int64_t i = kernel->num_variants; i-- > 0;)
    if ((kernel->variants[i].features & ~features) == 0)
      return kernel->variants[i].function;
  return nullptr;
}

const char *weir_kernels_load(const char *path) {
  void *library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fail(std::string("kernels cannot be loaded: ") + ::dlerror());
  auto *table =
      static_cast<const weir_kernels *>(::dlsym(library, "weir_kernel_table"));
  if (!table)
    return fail(std::string(path) + " holds no kernels");
  if (table->version != WEIR_KERNELS_VERSION)
    return fail(std::string(path) + " holds kernels of version " +
                std::to_string(table->version) + "; this library knows version " +
                std::to_string(WEIR_KERNELS_VERSION) + ": build the program again");
  if (table->architecture != ownArchitecture())
    return fail(std::string(path) + " holds kernels of another processor");
  std::unique_lock guard(lock);
  for (int64_t i = 0; i < table->num_kernels; ++i) {
    const weir_kernel &kernel = table->kernels[i];
    weir_function function = weir_kernel_function(&kernel);
    if (!function)
      return fail(std::string(path) +
                  ": no variant of its kernels runs on this processor, which has "
                  "no AVX2 and FMA; build with --lower=aten");
    registry().try_emplace(kernel.name, Known{&kernel, function});
  }
  return nullptr;
}

/// Entries are never taken out, so the address stays.
static const Known *find(std::string_view name) {
  std::shared_lock guard(lock);
  auto found = registry().find(name);
  return found == registry().end() ? nullptr : &found->second;
}

const char *weir_kernels_find(const char *name, const weir_kernel **kernel) {
  const Known *known = find(name);
  if (!known)
    return fail("there is no kernel '" + std::string(name) +
                "': load the kernels.so of the program first");
  *kernel = known->kernel;
  return nullptr;
}

int64_t weir_kernel_words(const weir_kernel *kernel) {
  int64_t words = 0;
  for (int64_t i = 0; i < kernel->num_arguments; ++i)
    words += 3 + 2 * kernel->arguments[i].rank;
  return words;
}

const char *weir_kernel_bind(const weir_kernel *kernel, const weir_tensor *tensors,
                             int64_t count, int64_t *words, int64_t *tokens) {
  if (count != kernel->num_arguments)
    return fail(std::string(kernel->name) + " takes " +
                std::to_string(kernel->num_arguments) + " tensors, not " +
                std::to_string(count));
  const weir_tensor &value = tensors[0];
  if (value.rank != kernel->arguments[0].rank)
    return fail(std::string(kernel->name) + ": the value has another rank");
  int64_t batch = value.sizes[0], sequence = value.rank == 3 ? value.sizes[1] : 1;
  for (int64_t i = 0; i < count; ++i) {
    const weir_argument &wanted = kernel->arguments[i];
    const weir_tensor &given = tensors[i];
    auto wrong = [&](const char *what) {
      return fail(std::string(kernel->name) + ": argument " + std::to_string(i) +
                  " (" + nameOf(wanted.role) + ") " + what);
    };
    if (given.type != wanted.type)
      return wrong("is of another type");
    if (given.rank != wanted.rank)
      return wrong("has another rank");
    int64_t *out = words;
    words += 3 + 2 * wanted.rank;
    out[0] = out[1] = reinterpret_cast<intptr_t>(given.data);
    out[2] = 0;
    bool writes = wanted.role == WEIR_RESULT || wanted.role == WEIR_READ;
    for (int64_t d = 0; d < wanted.rank; ++d) {
      int64_t size = given.sizes[d], stride = given.strides[d];
      int64_t named = wanted.sizes[d];
      int64_t expected = named == WEIR_BATCH      ? batch
                         : named == WEIR_SEQUENCE ? sequence
                         : named == WEIR_ANY      ? size
                                                  : named;
      bool isColumn = wanted.columns && d + 1 == wanted.rank;
      bool broadcasts = size == 1 && !isColumn && !writes && named < 0;
      if (size != expected && !broadcasts)
        return wrong("has another size");
      if (isColumn && stride != 1 && size > 1)
        return wrong("is not contiguous in its last dimension");
      out[3 + d] = size;
      out[3 + wanted.rank + d] = size == 1 && !isColumn ? 0 : stride;
    }
  }
  *tokens = batch * sequence;
  return nullptr;
}

const char *weir_site_apply(const char *name, const weir_tensor *tensors,
                            int64_t count) {
  const Known *known = find(name);
  if (!known)
    return fail("there is no kernel '" + std::string(name) +
                "': load the kernels.so of the program first");
  std::basic_string<int64_t> words(weir_kernel_words(known->kernel), 0);
  int64_t tokens = 0;
  if (const char *error = weir_kernel_bind(known->kernel, tensors, count,
                                           words.data(), &tokens))
    return error;
  known->function(words.data(), 0, tokens);
  return nullptr;
}
