//===- Budget.h - What a template may use up ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_BUDGET_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_BUDGET_H

#include "llvm/Support/FormatVariadic.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::jinja {

/// Thrown inside of this folder only: Template catches it. `line` is that of
/// the template, from 1, or 0 where it isn't known yet.
struct Error {
  std::string message;
  int line = 0;
};

template <typename... Args>
[[noreturn]] void raise(const char *format, Args &&...args) {
  throw Error{llvm::formatv(format, std::forward<Args>(args)...).str()};
}

/// Counts what one rendering costs. A template is a stranger's program: what it
/// computes, holds and writes ends in an error before it is felt.
class Budget {
public:
  /// About half a second of work.
  static constexpr uint64_t maxSteps = 4'000'000;
  /// Of all values alive at one time.
  static constexpr size_t maxBytes = 64u << 20;
  /// Of one text, and so of what is rendered.
  static constexpr size_t maxText = 16u << 20;
  /// Expressions, statements and calls inside of each other, while running.
  static constexpr unsigned maxDepth = 1200;
  /// Lists inside of lists.
  static constexpr unsigned maxValueDepth = 200;

  void step(uint64_t count = 1) {
    steps += count;
    if (steps > maxSteps)
      raise("it takes more than {0} steps", maxSteps);
  }
  /// Looking at every byte, or copying it, in units of a step's time.
  void scan(size_t bytes) { step(bytes / 32); }
  void copy(size_t bytes) { step(bytes / 256); }

  void hold(size_t bytes) {
    if (bytes > maxBytes - live)
      raise("it needs more than {0} MiB of memory", maxBytes >> 20);
    live += bytes;
  }
  void release(size_t bytes) { live -= bytes; }

  static void checkText(size_t bytes) {
    if (bytes > maxText)
      raise("it makes a text of more than {0} MiB", maxText >> 20);
  }

private:
  uint64_t steps = 0;
  size_t live = 0;
};

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_BUDGET_H
