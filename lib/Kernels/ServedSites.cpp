//===- ServedSites.cpp - Sites of a model that a server runs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A server puts an operator at each site into its model, before that is compiled,
// and says before each step which tokens are steered. The operators then run the
// kernels of a site on these tokens, and nothing of Python. What kernels do not do
// is handed on to operators of the same form, weir::vllm_edit_ and
// weir::vllm_edit_sum_.
//
// One thread at a time runs a server's model, and sets what it runs with.
//
//===----------------------------------------------------------------------===//

#include "TorchTensors.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

using namespace weir::kernels;

namespace {

/// What a kernel may ask of the tokens, by the numbers that `serve_kernel` takes.
enum Input { PlanInput, KnobsInput, PositionsInput, LengthInput, NumInputs };

/// The tokens of a step that one table steers.
struct Steered {
  std::vector<int64_t> rows; ///< where they are in the model's values
  std::array<Tensor, NumInputs> inputs; ///< of these tokens alone
};

/// A kernel at a site.
struct SiteKernel {
  int64_t table = 0;
  std::string name;
  const weir_kernel *kernel = nullptr;
  std::vector<int64_t> inputs, reads;
  std::vector<Tensor> constants;
  int64_t numbers = 0; ///< in its constants
  int64_t edited = 0;  ///< tokens whose value it changed, so far
};

struct Site {
  std::vector<SiteKernel> kernels;
  bool isPassed = false, isByTorch = false;
};

struct Server {
  std::vector<Site> sites;
  std::vector<Steered> tables;
  std::vector<std::byte> before, after, reads; ///< scratch
};

/// Servers live until the process ends, and so do the tables of folders that were
/// built anew: compiled graphs and requests in flight know them by their numbers.
std::vector<std::unique_ptr<Server>> &servers() {
  static auto *all = new std::vector<std::unique_ptr<Server>>;
  return *all;
}

/// Of the model that runs.
Server *active = nullptr;

Server &serverAt(int64_t number) {
  require(number >= 0 && number < static_cast<int64_t>(servers().size()) &&
              servers()[number],
          "there is no server ", number);
  return *servers()[number];
}

//===----------------------------------------------------------------------===//
// A site
//===----------------------------------------------------------------------===//

/// Rows of a value [N, d].
struct Rows {
  std::byte *data;
  int64_t stride; ///< in bytes

  Rows(const Tensor &tensor, int64_t width, int64_t bytes)
      : data(static_cast<std::byte *>(tensor.mutable_data_ptr())),
        stride(tensor.stride(0) * bytes) {
    require(tensor.is_cpu() && tensor.dim() == 2 && tensor.size(1) == width &&
                (tensor.stride(1) == 1 || width == 1),
            "a site's value is not [tokens, ", width, "], row by row");
  }
  template <typename T> T *at(int64_t row) const {
    return reinterpret_cast<T *>(data + row * stride);
  }
};

/// The values of some tokens, one after the other.
template <typename T>
void gather(const Rows &value, const Rows *residual, const int64_t *rows,
            int64_t count, int64_t width, T *out) {
  for (int64_t i = 0; i < count; ++i, out += width) {
    const T *x = value.at<T>(rows[i]);
    if (!residual) {
      std::memcpy(out, x, width * sizeof(T));
      continue;
    }
    const T *r = residual->at<T>(rows[i]);
    for (int64_t k = 0; k < width; ++k)
      out[k] = static_cast<T>(static_cast<float>(x[k]) + static_cast<float>(r[k]));
  }
}

/// Puts back what was changed; gives the number of such tokens. A value that is the
/// first of a pair becomes what its sum with the second is to be.
template <typename T>
int64_t scatter(const T *before, const T *after, const Rows &value,
                const Rows *residual, const int64_t *rows, int64_t count,
                int64_t width) {
  int64_t changed = 0;
  for (int64_t i = 0; i < count; ++i, before += width, after += width) {
    if (std::memcmp(before, after, width * sizeof(T)) == 0)
      continue;
    ++changed;
    T *x = value.at<T>(rows[i]);
    if (!residual) {
      std::memcpy(x, after, width * sizeof(T));
      continue;
    }
    const T *r = residual->at<T>(rows[i]);
    for (int64_t k = 0; k < width; ++k)
      x[k] = static_cast<T>(static_cast<float>(after[k]) - static_cast<float>(r[k]));
  }
  return changed;
}

/// What is bound to a kernel's arguments, in their order.
class Binding {
public:
  explicit Binding(const SiteKernel &site) : site(site) {
    views.reserve(site.kernel->num_arguments);
    shapes.reserve(site.kernel->num_arguments);
  }

  const weir_argument &next() const {
    require(static_cast<int64_t>(views.size()) < site.kernel->num_arguments,
            site.name, " takes fewer tensors");
    return site.kernel->arguments[views.size()];
  }
  /// Rows of `columns` numbers for each of `count` tokens, which are a row each.
  void addRows(void *data, int64_t type, int64_t count, int64_t columns) {
    Shape &shape = shapes.emplace_back();
    shape = next().rank == 3 ? Shape{{count, 1, columns}, {columns, columns, 1}}
                             : Shape{{count, columns, 0}, {columns, 1, 0}};
    views.push_back({data, type, next().rank, shape.sizes.data(),
                     shape.strides.data()});
  }
  void add(const Tensor &tensor) {
    views.push_back({const_cast<void *>(tensor.const_data_ptr()), typeOf(tensor),
                     static_cast<int64_t>(tensor.dim()), tensor.sizes().data(),
                     tensor.strides().data()});
  }
  /// Gives the number of tokens.
  int64_t bind(std::vector<int64_t> &words) const {
    int64_t tokens = 0;
    words.resize(weir_kernel_words(site.kernel));
    check(weir_kernel_bind(site.kernel, views.data(), views.size(), words.data(),
                           &tokens));
    return tokens;
  }

private:
  struct Shape {
    std::array<int64_t, WEIR_MAX_RANK> sizes, strides;
  };
  const SiteKernel &site;
  std::vector<weir_tensor> views;
  std::vector<Shape> shapes; ///< reserved, so that they stay where they are
};

std::byte *grown(std::vector<std::byte> &scratch, int64_t bytes) {
  if (static_cast<int64_t>(scratch.size()) < bytes)
    scratch.resize(bytes);
  return scratch.data();
}

template <typename T>
void run(Server &server, SiteKernel &site, const Steered &steered,
         const Tensor &value, const Tensor *residual) {
  const int64_t count = steered.rows.size(), type = typeOf(value);
  const weir_argument &own = site.kernel->arguments[0];
  const int64_t width = own.sizes[own.rank - 1];
  Rows to(value, width, sizeof(T));
  std::optional<Rows> second;
  if (residual) {
    require(typeOf(*residual) == type && residual->size(0) == value.size(0),
            "hidden and residual do not fit");
    second.emplace(*residual, width, sizeof(T));
  }
  const Rows *added = second ? &*second : nullptr;
  require(steered.rows.back() < value.size(0),
          "a site's value has fewer tokens than the step");

  auto *before = reinterpret_cast<T *>(
      grown(server.before, count * width * sizeof(T)));
  auto *after = reinterpret_cast<T *>(
      grown(server.after, count * width * sizeof(T)));
  Binding binding(site);
  binding.addRows(before, type, count, width);
  for (int64_t input : site.inputs)
    binding.add(steered.inputs[input]);
  binding.addRows(after, type, count, width);
  int64_t columns = 0;
  for (int64_t read : site.reads)
    columns += read;
  auto *reads = reinterpret_cast<float *>(
      grown(server.reads, count * columns * sizeof(float)));
  for (int64_t read : site.reads) {
    binding.addRows(reads, WEIR_F32, count, read);
    reads += count * read;
  }
  for (const Tensor &constant : site.constants)
    binding.add(constant);
  std::vector<int64_t> words;
  const int64_t tokens = binding.bind(words);
  require(tokens == count, site.name, " takes another number of tokens");

  weir_function function = weir_kernel_function(site.kernel);
  const int64_t *rows = steered.rows.data();
  auto part = [&](int64_t begin, int64_t end) {
    gather<T>(to, added, rows + begin, end - begin, width, before + begin * width);
    function(words.data(), begin, end);
    return scatter<T>(before + begin * width, after + begin * width, to, added,
                      rows + begin, end - begin, width);
  };
  // What a token costs is about what it reads: its rows and the constants.
  int64_t grain =
      std::max<int64_t>(1, 32768 / std::max<int64_t>(1, site.numbers + 4 * width));
  if (count <= grain) {
    site.edited += part(0, count);
    return;
  }
  std::atomic<int64_t> edited = 0;
  torch::stable::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    edited += part(begin, end);
  });
  site.edited += edited;
}

void edit(int64_t number, const Tensor &value, const Tensor *residual) {
  if (!active)
    return;
  require(number >= 0 && number < static_cast<int64_t>(active->sites.size()),
          "there is no site ", number);
  Site &site = active->sites[number];
  site.isPassed = true;
  // What PyTorch reads there for later sites is the value before all edits. Tokens
  // that it edits are not those of kernels.
  if (site.isByTorch && residual) {
    std::array<StableIValue, 3> stack = {give(value), give(*residual),
                                         give(number)};
    STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(
        "weir::vllm_edit_sum_", "", stack.data(), TORCH_ABI_VERSION));
  } else if (site.isByTorch) {
    std::array<StableIValue, 2> stack = {give(value), give(number)};
    STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(
        "weir::vllm_edit_", "", stack.data(), TORCH_ABI_VERSION));
  }
  for (SiteKernel &kernel : site.kernels) {
    const Steered &steered = active->tables[kernel.table];
    if (steered.rows.empty())
      continue;
    switch (typeOf(value)) {
    case WEIR_F32:
      run<float>(*active, kernel, steered, value, residual);
      break;
    case WEIR_BF16:
      run<c10::BFloat16>(*active, kernel, steered, value, residual);
      break;
    case WEIR_F16:
      run<c10::Half>(*active, kernel, steered, value, residual);
      break;
    default:
      require(false, "a site's value is of no type that kernels take");
    }
  }
}

void serveEdit(StableIValue *stack, uint64_t, uint64_t) {
  Tensor value = take<Tensor>(stack[0]);
  edit(take<int64_t>(stack[1]), value, nullptr);
}

void serveEditSum(StableIValue *stack, uint64_t, uint64_t) {
  Tensor value = take<Tensor>(stack[0]),
         residual = take<Tensor>(stack[1]);
  edit(take<int64_t>(stack[2]), value, &residual);
}

void serveEditMeta(StableIValue *stack, uint64_t, uint64_t) {
  (void)take<Tensor>(stack[0]);
}

void serveEditSumMeta(StableIValue *stack, uint64_t, uint64_t) {
  (void)take<Tensor>(stack[0]);
  (void)take<Tensor>(stack[1]);
}

//===----------------------------------------------------------------------===//
// What is said between steps
//===----------------------------------------------------------------------===//

/// Makes a server, which lives until the process ends (see `servers`); gives its
/// number.
int64_t serveNew(int64_t sites) {
  require(sites >= 0, "a server has no negative number of sites");
  auto server = std::make_unique<Server>();
  server->sites.resize(sites);
  servers().push_back(std::move(server));
  return static_cast<int64_t>(servers().size()) - 1;
}

/// One more table; gives its number.
int64_t serveTable(int64_t server) {
  std::vector<Steered> &tables = serverAt(server).tables;
  tables.emplace_back();
  return static_cast<int64_t>(tables.size()) - 1;
}

int64_t serveKernel(int64_t server, int64_t site, int64_t table, std::string name,
                    std::vector<int64_t> inputs, std::vector<int64_t> reads,
                    std::vector<Tensor> constants) {
  Server &owner = serverAt(server);
  require(site >= 0 && site < static_cast<int64_t>(owner.sites.size()) &&
              table >= 0 && table < static_cast<int64_t>(owner.tables.size()),
          "there is no such site or table");
  SiteKernel made;
  made.table = table;
  made.name = std::move(name);
  check(weir_kernels_find(made.name.c_str(), &made.kernel));
  for (int64_t input : inputs)
    require(input >= 0 && input < NumInputs, "there is no input ", input);
  for (int64_t columns : reads)
    require(columns >= 0 && columns < (int64_t(1) << 31), "a read has no size");
  int64_t given = 2 + inputs.size() + reads.size() + constants.size();
  require(given == made.kernel->num_arguments, made.name, " takes ",
          made.kernel->num_arguments, " tensors, not ", given);
  for (const Tensor &constant : constants) {
    require(constant.is_cpu() && constant.is_contiguous() &&
                constant.dim() <= WEIR_MAX_RANK,
            made.name, ": a constant is not contiguous");
    made.numbers += constant.numel();
  }
  made.inputs = std::move(inputs);
  made.reads = std::move(reads);
  made.constants = std::move(constants);
  owner.sites[site].kernels.push_back(std::move(made));
  return 0;
}

/// Begins a step in which nothing is steered until `serve_steer` says so.
/// `by_torch` are the sites that are handed on. Gives a site that the step before
/// should have passed and did not, or -1.
int64_t serveStep(int64_t server, std::vector<int64_t> byTorch) {
  active = &serverAt(server);
  int64_t missed = -1;
  for (size_t number = active->sites.size(); number-- > 0;) {
    Site &site = active->sites[number];
    bool isAsked =
        site.isByTorch ||
        std::any_of(site.kernels.begin(), site.kernels.end(),
                    [&](const SiteKernel &kernel) {
                      return !active->tables[kernel.table].rows.empty();
                    });
    if (isAsked && !site.isPassed)
      missed = static_cast<int64_t>(number);
    site.isPassed = site.isByTorch = false;
  }
  for (Steered &steered : active->tables)
    steered = Steered();
  for (int64_t number : byTorch) {
    require(number >= 0 && number < static_cast<int64_t>(active->sites.size()),
            "there is no site ", number);
    active->sites[number].isByTorch = true;
  }
  return missed;
}

/// The tokens of this step that a table steers: their rows, in rising order, and for
/// each its plan [n], knobs [n, k], position [n, 1] and the length of its prompt [n].
int64_t serveSteer(int64_t server, int64_t table, std::vector<int64_t> rows,
                   std::array<Tensor, NumInputs> inputs) {
  std::vector<Steered> &tables = serverAt(server).tables;
  require(table >= 0 && table < static_cast<int64_t>(tables.size()),
          "there is no table ", table);
  for (size_t i = 0; i < rows.size(); ++i)
    require(rows[i] >= 0 && (i == 0 || rows[i - 1] < rows[i]),
            "steered tokens are not in their order");
  for (const Tensor &input : inputs)
    require(input.is_cpu() && input.size(0) == static_cast<int64_t>(rows.size()),
            "a token has no plan, knobs or position");
  tables[table] = {std::move(rows), std::move(inputs)};
  return 0;
}

/// How many tokens each kernel of a table changed, added to `counts` by site.
int64_t serveCounts(int64_t server, int64_t table, const Tensor &counts) {
  std::vector<Site> &sites = serverAt(server).sites;
  require(counts.is_cpu() && typeOf(counts) == WEIR_I64 && counts.dim() == 1 &&
              counts.is_contiguous() &&
              counts.size(0) == static_cast<int64_t>(sites.size()),
          "counts are a number for each site");
  auto *out = static_cast<int64_t *>(counts.mutable_data_ptr());
  for (size_t number = 0; number < sites.size(); ++number)
    for (const SiteKernel &kernel : sites[number].kernels)
      if (kernel.table == table)
        out[number] += kernel.edited;
  return 0;
}

/// No server's model runs from now on. Others stay as they are.
int64_t serveOff() {
  active = nullptr;
  return 0;
}

void serveNewBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(serveNew(take<int64_t>(stack[0])));
}
void serveTableBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(serveTable(take<int64_t>(stack[0])));
}
void serveKernelBoxed(StableIValue *stack, uint64_t, uint64_t) {
  auto server = take<int64_t>(stack[0]), site = take<int64_t>(stack[1]),
       table = take<int64_t>(stack[2]);
  std::string name = takeString(stack[3]);
  auto inputs = take<std::vector<int64_t>>(stack[4]),
       reads = take<std::vector<int64_t>>(stack[5]);
  auto constants = take<std::vector<Tensor>>(stack[6]);
  stack[0] = give(serveKernel(server, site, table, std::move(name),
                              std::move(inputs), std::move(reads),
                              std::move(constants)));
}
void serveStepBoxed(StableIValue *stack, uint64_t, uint64_t) {
  auto server = take<int64_t>(stack[0]);
  stack[0] = give(serveStep(server, take<std::vector<int64_t>>(stack[1])));
}
void serveSteerBoxed(StableIValue *stack, uint64_t, uint64_t) {
  auto server = take<int64_t>(stack[0]), table = take<int64_t>(stack[1]);
  Tensor rows = take<Tensor>(stack[2]);
  std::array<Tensor, NumInputs> inputs = {take<Tensor>(stack[3]),
                                          take<Tensor>(stack[4]),
                                          take<Tensor>(stack[5]),
                                          take<Tensor>(stack[6])};
  require(rows.is_cpu() && typeOf(rows) == WEIR_I64 && rows.dim() == 1 &&
              rows.is_contiguous(),
          "rows are a list of int64");
  auto *first = static_cast<const int64_t *>(rows.const_data_ptr());
  stack[0] = give(serveSteer(
      server, table, std::vector<int64_t>(first, first + rows.numel()),
      std::move(inputs)));
}
void serveCountsBoxed(StableIValue *stack, uint64_t, uint64_t) {
  auto server = take<int64_t>(stack[0]), table = take<int64_t>(stack[1]);
  stack[0] = give(serveCounts(server, table, take<Tensor>(stack[2])));
}
void serveOffBoxed(StableIValue *stack, uint64_t, uint64_t) {
  stack[0] = give(serveOff());
}

} // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(weir, m) {
  m.def("serve_edit_(Tensor(a!) value, int site) -> ()");
  m.def("serve_edit_sum_(Tensor(a!) hidden, Tensor residual, int site) -> ()");
  m.def("serve_new(int sites) -> int");
  m.def("serve_table(int server) -> int");
  m.def("serve_kernel(int server, int site, int table, str kernel, int[] inputs, "
        "int[] reads, Tensor[] constants) -> int");
  m.def("serve_step(int server, int[] by_torch) -> int");
  m.def("serve_steer(int server, int table, Tensor rows, Tensor plan, Tensor knobs, "
        "Tensor positions, Tensor prompt_length) -> int");
  m.def("serve_counts(int server, int table, Tensor(a!) counts) -> int");
  m.def("serve_off() -> int");
}

STABLE_TORCH_LIBRARY_IMPL(weir, CPU, m) {
  m.impl("serve_edit_", &serveEdit);
  m.impl("serve_edit_sum_", &serveEditSum);
}

STABLE_TORCH_LIBRARY_IMPL(weir, Meta, m) {
  m.impl("serve_edit_", &serveEditMeta);
  m.impl("serve_edit_sum_", &serveEditSumMeta);
}

STABLE_TORCH_LIBRARY_IMPL(weir, CompositeExplicitAutograd, m) {
  m.impl("serve_new", &serveNewBoxed);
  m.impl("serve_table", &serveTableBoxed);
  m.impl("serve_kernel", &serveKernelBoxed);
  m.impl("serve_step", &serveStepBoxed);
  m.impl("serve_steer", &serveSteerBoxed);
  m.impl("serve_counts", &serveCountsBoxed);
  m.impl("serve_off", &serveOffBoxed);
}
