//===- RowState.h - A row while it meets the columns ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_ROWSTATE_H
#define WEIR_LIB_MATCHING_ROWSTATE_H

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace weir::matching {

inline constexpr int64_t rowsPerBlock = 4096, columnsPerBlock = 1024;

/// Beyond what a rounding of `value` can have taken off.
inline float up(float value) {
  return value + (std::fabs(value) * 0x1p-22f + 0x1p-120f);
}
inline float down(float value) {
  return value - (std::fabs(value) * 0x1p-22f + 0x1p-120f);
}

struct Pending {
  float upper;
  int32_t block; ///< columns are block * columnsPerBlock + inBlock
  int32_t inBlock;
  int64_t column() const { return int64_t(block) * columnsPerBlock + inBlock; }
};

/// A pair of the block that the product does not rule out.
struct Candidate {
  float upper, lower;
  int32_t inBlock;
};

/// The k largest of the numbers that are pushed.
class Largest {
public:
  void push(float value, size_t k) {
    if (heap.size() == k) {
      if (value <= heap.front())
        return;
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.back() = value;
    } else {
      heap.push_back(value);
    }
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  }
  float threshold(size_t k) const {
    return heap.size() == k ? heap.front() : -FLT_MAX;
  }

private:
  std::vector<float> heap;
};

/// One row of A while it meets B.
struct RowState {
  std::vector<Pending> pending;
  Largest lowers; ///< of the pairs that were let through
  float threshold = -FLT_MAX;
  int64_t survivors = 0, refined = 0;
};

/// What a thread needs for a row and a block.
struct Scratch {
  std::vector<Candidate> candidates;
  int32_t columns[columnsPerBlock + 1];
  float lower[columnsPerBlock];
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_ROWSTATE_H
