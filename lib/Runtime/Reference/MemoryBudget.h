//===- MemoryBudget.h - How much a program may hold ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_REFERENCE_MEMORYBUDGET_H
#define WEIR_LIB_RUNTIME_REFERENCE_MEMORYBUDGET_H

#include <atomic>
#include <cstdint>
#include <memory>

namespace weir::reference {

/// Bytes of tensors that are alive. Counted by LibTorch's CPU allocator, which
/// the first budget puts itself in front of, while a scope of this thread is
/// open: what an operator takes for itself counts too. One that would go beyond
/// `limit` throws c10::Error and leaves things as they were.
class MemoryBudget {
public:
  explicit MemoryBudget(uint64_t limit);

  uint64_t limit() const { return counts->limit; }
  uint64_t inUse() const { return counts->used; }

  class Scope {
  public:
    explicit Scope(const MemoryBudget &budget);
    ~Scope();
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    std::shared_ptr<void> outer;
  };

  /// Tensors may outlive the engine that made them.
  struct Counts {
    std::atomic<uint64_t> used{0};
    uint64_t limit = 0;
  };

private:
  std::shared_ptr<Counts> counts;
};

/// What a program may hold if nobody says: 512 MiB and 64 times the bytes of its
/// own tensors, but no more than three quarters of the machine's memory where
/// that is more than 512 MiB.
uint64_t defaultMemoryLimit(uint64_t programBytes);

} // namespace weir::reference

#endif // WEIR_LIB_RUNTIME_REFERENCE_MEMORYBUDGET_H
