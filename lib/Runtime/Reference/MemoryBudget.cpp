//===- MemoryBudget.cpp - How much a program may hold ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemoryBudget.h"

#include "llvm/Support/MathExtras.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <mutex>
#include <unistd.h>
#include <unordered_map>

using namespace weir::reference;

namespace {

using Counts = MemoryBudget::Counts;

/// The budget of the scope that this thread is in.
thread_local std::shared_ptr<Counts> current;

/// In front of LibTorch's allocator. Blocks below `least` are not worth their
/// counting: a graph cannot name enough of them to matter.
class CountingAllocator final : public c10::Allocator {
public:
  static constexpr size_t least = 32 << 10;

  explicit CountingAllocator(c10::Allocator *inner) : inner(inner) {
    instance = this;
  }

  c10::DataPtr allocate(size_t size) override {
    if (!current || size < least)
      return inner->allocate(size);
    std::shared_ptr<Counts> counts = current;
    uint64_t used = counts->used.fetch_add(size) + size;
    if (used > counts->limit || used < size) {
      counts->used -= size;
      TORCH_CHECK(false, "the program would hold ", used,
                  " bytes at once; it may hold ", counts->limit,
                  " (--max-memory)");
    }
    try {
      c10::DataPtr data = inner->allocate(size);
      std::lock_guard lock(mutex);
      blocks[data.get()] = {std::move(counts), size};
      // The data stay their own context, as the raw interface asks for.
      bool replaced = data.compare_exchange_deleter(inner->raw_deleter(), release);
      TORCH_INTERNAL_ASSERT(replaced);
      return data;
    } catch (...) {
      // A block that was made but not noted is freed by its own deleter.
      if (counts)
        counts->used -= size;
      throw;
    }
  }

  /// Right for every block: one that was not counted is just freed.
  c10::DeleterFnPtr raw_deleter() const override { return release; }

  bool is_simple_data_ptr(const c10::DataPtr &data) const override {
    return data.get() == data.get_context();
  }

  void copy_data(void *to, const void *from, size_t count) const override {
    default_copy_data(to, from, count);
  }

private:
  static void release(void *data) {
    if (!data)
      return;
    {
      std::lock_guard lock(instance->mutex);
      auto it = instance->blocks.find(data);
      if (it != instance->blocks.end()) {
        it->second.first->used -= it->second.second;
        instance->blocks.erase(it);
      }
    }
    instance->inner->raw_deleter()(data);
  }

  static CountingAllocator *instance;
  c10::Allocator *inner;
  std::mutex mutex;
  std::unordered_map<void *, std::pair<std::shared_ptr<Counts>, size_t>> blocks;
};

CountingAllocator *CountingAllocator::instance = nullptr;

} // namespace

MemoryBudget::MemoryBudget(uint64_t limit) : counts(std::make_shared<Counts>()) {
  counts->limit = limit;
  static std::once_flag once;
  // Never freed: tensors of any age go back through it.
  std::call_once(once, [] {
    c10::SetCPUAllocator(new CountingAllocator(c10::GetCPUAllocator()),
                         /*priority=*/100);
  });
}

MemoryBudget::Scope::Scope(const MemoryBudget &budget)
    : outer(std::exchange(current, budget.counts)) {}

MemoryBudget::Scope::~Scope() {
  current = std::static_pointer_cast<Counts>(outer);
}

uint64_t weir::reference::defaultMemoryLimit(uint64_t programBytes) {
  constexpr uint64_t floor = uint64_t{512} << 20;
  uint64_t wanted =
      llvm::SaturatingMultiplyAdd<uint64_t>(programBytes, 64, floor);
  int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0)
    return wanted;
  uint64_t machine = static_cast<uint64_t>(pages) * size / 4 * 3;
  return std::min(wanted, std::max(machine, floor));
}
