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
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

thread_local std::string message;

const char *fail(std::string text) {
  message = std::move(text);
  return message.c_str();
}

struct Known {
  const weir_kernel *kernel;
  weir_function function;
  int64_t words;
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
  if (__builtin_cpu_supports("avx512vnni"))
    features |= WEIR_X86_64_VNNI;
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

//===----------------------------------------------------------------------===//
// Files and tables that are none
//===----------------------------------------------------------------------===//

/// What is wrong with a file that the dynamic loader would map without looking
/// whether it is all there; a page behind its end ends the process when it is
/// touched. Null for a whole one.
const char *wrongWith(int file) {
  struct stat info;
  Elf64_Ehdr header;
  if (::fstat(file, &info) || !S_ISREG(info.st_mode))
    return "is no regular file";
  auto read = [&](void *to, size_t count, uint64_t at) {
    return ::pread(file, to, count, at) == static_cast<ssize_t>(count);
  };
  if (!read(&header, sizeof(header), 0) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0)
    return "is no shared object";
  uint64_t size = info.st_size;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    uint64_t at = header.e_phoff + i * sizeof(part);
    if (at > size || !read(&part, sizeof(part), at))
      return "is cut off";
    if (part.p_type == PT_LOAD &&
        (part.p_offset > size || part.p_filesz > size - part.p_offset))
      return "is cut off";
  }
  return nullptr;
}

/// What of a table would lead astray who follows it; null for a sound one.
const char *wrongWith(const weir_kernel &kernel) {
  constexpr int64_t maxArguments = 1 << 16, maxSize = int64_t(1) << 40;
  if (!kernel.name || !*kernel.name || ::strnlen(kernel.name, 256) == 256)
    return "a kernel without a name";
  if (kernel.num_arguments < 2 || kernel.num_arguments > maxArguments ||
      !kernel.arguments)
    return "a kernel without arguments";
  if (kernel.num_variants < 1 || kernel.num_variants > 64 || !kernel.variants)
    return "a kernel without code";
  for (int64_t i = 0; i < kernel.num_variants; ++i)
    if (!kernel.variants[i].function)
      return "a kernel without code";
  const weir_argument &value = kernel.arguments[0];
  bool hasResult = false;
  for (int64_t i = 0; i < kernel.num_arguments; ++i) {
    const weir_argument &argument = kernel.arguments[i];
    if ((argument.role == WEIR_VALUE) != (i == 0) || argument.role < WEIR_VALUE ||
        argument.role > WEIR_CONSTANT ||
        (i > 0 && argument.role < kernel.arguments[i - 1].role) ||
        (argument.role == WEIR_RESULT && std::exchange(hasResult, true)))
      return "a kernel whose arguments are out of order";
    if (argument.type < WEIR_F32 || argument.type > WEIR_BOOL ||
        argument.rank < 0 || argument.rank > WEIR_MAX_RANK ||
        (argument.columns != 0 && argument.columns != 1) ||
        (argument.columns && argument.rank == 0))
      return "a kernel with an argument of no known form";
    int64_t numbers = 1;
    for (int64_t d = 0; d < argument.rank; ++d) {
      int64_t size = argument.sizes[d];
      if (size < WEIR_ANY || size > maxSize / std::max<int64_t>(numbers, 1))
        return "a kernel with an argument of no known size";
      numbers *= std::max<int64_t>(size, 1);
    }
    bool isOfTokens = argument.role == WEIR_VALUE ||
                      argument.role == WEIR_RESULT || argument.role == WEIR_READ;
    if (isOfTokens &&
        (argument.rank != value.rank || value.rank < 2 || !argument.columns ||
         argument.sizes[0] != value.sizes[0] ||
         (value.rank == 3 && argument.sizes[1] != value.sizes[1]) ||
         argument.sizes[value.rank - 1] < 0))
      return "a kernel whose results do not fit its value";
    if (argument.role == WEIR_RESULT &&
        (argument.type != value.type ||
         argument.sizes[value.rank - 1] != value.sizes[value.rank - 1]))
      return "a kernel whose results do not fit its value";
  }
  return hasResult ? nullptr : "a kernel without a result";
}

bool isSame(const weir_kernel &a, const weir_kernel &b) {
  auto same = [](const weir_argument &one, const weir_argument &other) {
    return one.role == other.role && one.type == other.type &&
           one.rank == other.rank && one.columns == other.columns &&
           std::equal(one.sizes, one.sizes + one.rank, other.sizes);
  };
  return std::equal(a.arguments, a.arguments + a.num_arguments, b.arguments,
                    b.arguments + b.num_arguments, same);
}

int64_t bytesOf(int64_t type) {
  return type == WEIR_F32 ? 4 : type == WEIR_I64 ? 8 : type == WEIR_BOOL ? 1 : 2;
}

/// The bytes that a tensor lies in.
struct Extent {
  uintptr_t begin = 0, end = 0;
  bool meets(const Extent &other) const {
    return begin < other.end && other.begin < end;
  }
};

} // namespace

weir_function weir_kernel_function(const weir_kernel *kernel) {
  static const int64_t features = ownFeatures();
  for (int64_t i = kernel->num_variants; i-- > 0;)
    if ((kernel->variants[i].features & ~features) == 0)
      return kernel->variants[i].function;
  return nullptr;
}

const char *weir_kernels_load(const char *path) {
  int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return fail(std::string("kernels cannot be loaded: ") + path + ": " +
                std::strerror(errno));
  const char *wrong = wrongWith(file);
  ::close(file);
  if (wrong)
    return fail(std::string("kernels cannot be loaded: ") + path + " " + wrong);
  void *library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fail(std::string("kernels cannot be loaded: ") + ::dlerror());
  auto refuse = [&](const std::string &why) {
    const char *said = fail(std::string(path) + why);
    ::dlclose(library);
    return said;
  };
  auto *table =
      static_cast<const weir_kernels *>(::dlsym(library, "weir_kernel_table"));
  if (!table)
    return refuse(" holds no kernels");
  if (table->version != WEIR_KERNELS_VERSION)
    return refuse(" holds kernels of version " + std::to_string(table->version) +
                  "; this library knows version " +
                  std::to_string(WEIR_KERNELS_VERSION) +
                  ": build the program again");
  if (table->architecture != ownArchitecture())
    return refuse(" holds kernels of another processor");
  if (table->num_kernels < 0 || table->num_kernels > 1 << 20 ||
      (table->num_kernels && !table->kernels))
    return refuse(" holds a table that is damaged");
  std::unique_lock guard(lock);
  // All or none of them.
  for (int64_t i = 0; i < table->num_kernels; ++i) {
    const weir_kernel &kernel = table->kernels[i];
    if (const char *found = wrongWith(kernel))
      return refuse(std::string(" is damaged: it has ") + found);
    if (!weir_kernel_function(&kernel))
      return refuse(": no variant of its kernels runs on this processor, which "
                    "has no AVX2 and FMA; build with --lower=aten");
    auto known = registry().find(kernel.name);
    if (known != registry().end() && !isSame(*known->second.kernel, kernel))
      return refuse(std::string(" has another kernel ") + kernel.name +
                    " than a file that was loaded before");
  }
  for (int64_t i = 0; i < table->num_kernels; ++i) {
    const weir_kernel &kernel = table->kernels[i];
    registry().try_emplace(kernel.name,
                           Known{&kernel, weir_kernel_function(&kernel),
                                 weir_kernel_words(&kernel)});
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
  std::array<Extent, 64> few;
  std::vector<Extent> many;
  Extent *extents = few.data();
  if (count > static_cast<int64_t>(few.size())) {
    many.resize(count);
    extents = many.data();
  }
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
    // Bytes from the first number to behind the last.
    int64_t reach = bytesOf(wanted.type);
    bool isEmpty = false;
    for (int64_t d = 0; d < wanted.rank; ++d) {
      int64_t size = given.sizes[d], stride = given.strides[d];
      int64_t named = wanted.sizes[d];
      int64_t expected = named == WEIR_BATCH      ? batch
                         : named == WEIR_SEQUENCE ? sequence
                         : named == WEIR_ANY      ? size
                                                  : named;
      bool isColumn = wanted.columns && d + 1 == wanted.rank;
      bool broadcasts = size == 1 && !isColumn && !writes && named < 0;
      if (size < 0 || (size != expected && !broadcasts))
        return wrong("has another size");
      if (isColumn && stride != 1 && size > 1)
        return wrong("is not contiguous in its last dimension");
      int64_t more;
      if (size > 1 &&
          (stride < 0 || __builtin_mul_overflow(size - 1, stride, &more) ||
           __builtin_mul_overflow(more, bytesOf(wanted.type), &more) ||
           __builtin_add_overflow(reach, more, &reach)))
        return wrong("has strides that lead nowhere");
      isEmpty |= size == 0;
      out[3 + d] = size;
      out[3 + wanted.rank + d] = size == 1 && !isColumn ? 0 : stride;
    }
    auto begin = reinterpret_cast<uintptr_t>(given.data);
    if (isEmpty) {
      extents[i] = {};
      continue;
    }
    if (!given.data || begin % bytesOf(wanted.type) ||
        begin + static_cast<uintptr_t>(reach) < begin)
      return wrong("has no memory, or none for numbers of its type");
    extents[i] = {begin, begin + static_cast<uintptr_t>(reach)};
    if (!writes)
      continue;
    // Two tokens in one place would be written by two threads.
    int64_t width = given.sizes[wanted.rank - 1];
    int64_t outer = wanted.rank == 3 ? given.strides[0] : 0, rows = given.sizes[0];
    int64_t inner = given.strides[wanted.rank - 2],
            columns = wanted.rank == 3 ? given.sizes[1] : rows;
    auto isApart = [](int64_t stride, int64_t size, int64_t count) {
      return count <= 1 || stride >= size;
    };
    bool nested = isApart(inner, width, columns) &&
                  (wanted.rank == 2 ||
                   isApart(outer, (columns - 1) * inner + width, rows));
    // [sequence, batch, d] turned round is as good.
    bool turned = wanted.rank == 3 && isApart(outer, width, rows) &&
                  isApart(inner, (rows - 1) * outer + width, columns);
    if (!nested && !turned)
      return wrong("has tokens that share memory");
  }
  if (__builtin_mul_overflow(batch, sequence, tokens))
    return fail(std::string(kernel->name) + ": the value has too many tokens");
  // What is written is nobody else's; the new value may be the value itself.
  for (int64_t i = 0; i < count; ++i) {
    int64_t role = kernel->arguments[i].role;
    if (role != WEIR_RESULT && role != WEIR_READ)
      continue;
    for (int64_t j = 0; j < count; ++j) {
      if (i == j || !extents[i].meets(extents[j]))
        continue;
      bool isItself = role == WEIR_RESULT && j == 0 &&
                      tensors[i].data == tensors[0].data;
      for (int64_t d = 0; isItself && d < value.rank; ++d)
        isItself = tensors[i].sizes[d] <= 1 ||
                   tensors[i].strides[d] == tensors[0].strides[d];
      if (!isItself)
        return fail(std::string(kernel->name) + ": argument " + std::to_string(i) +
                    " (" + nameOf(role) + ") shares memory with argument " +
                    std::to_string(j));
    }
  }
  return nullptr;
}

const char *weir_site_apply(const char *name, const weir_tensor *tensors,
                            int64_t count) {
  const Known *known = find(name);
  if (!known)
    return fail("there is no kernel '" + std::string(name) +
                "': load the kernels.so of the program first");
  // Nothing is allocated for a site of usual size.
  std::array<int64_t, 512> few;
  std::vector<int64_t> many;
  int64_t *words = few.data();
  if (known->words > static_cast<int64_t>(few.size())) {
    many.resize(known->words);
    words = many.data();
  }
  int64_t tokens = 0;
  if (const char *error =
          weir_kernel_bind(known->kernel, tensors, count, words, &tokens))
    return error;
  known->function(words, 0, tokens);
  return nullptr;
}
