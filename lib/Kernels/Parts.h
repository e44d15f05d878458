//===- Parts.h - Work in parts for several threads ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_KERNELS_PARTS_H
#define WEIR_LIB_KERNELS_PARTS_H

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace weir::kernels {

/// Nanoseconds of work for which another thread is worth its start. What a start
/// takes is measured once, when there are several threads: threads that watch for
/// work begin within a microsecond or two, those that sleep (OMP_WAIT_POLICY=passive),
/// or that other programs keep from running, take as long as a small product does.
double workOfPart();

/// Calls work(begin, end) for parts of [0, count), each of which takes `each`
/// nanoseconds or so. Parts are no smaller than pays.
template <typename Work>
void inParts(int64_t count, double each, const Work &work) {
  constexpr double most = 1LL << 62;
  auto grain = static_cast<int64_t>(
      std::clamp(workOfPart() / std::max(each, 1e-3), 1.0, most));
  if (count <= grain)
    work(0, count);
  else
    torch::stable::parallel_for(0, count, grain, work);
}

} // namespace weir::kernels

#endif // WEIR_LIB_KERNELS_PARTS_H
