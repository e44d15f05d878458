//===- Parts.cpp - Work in parts for several threads ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parts.h"

#include <array>
#include <chrono>

using namespace weir;
using Clock = std::chrono::steady_clock;

static double nanosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

double kernels::workOfPart() {
  const auto threads = static_cast<int64_t>(torch::stable::get_num_threads());
  // Nothing to measure, and nothing is divided.
  if (threads <= 1)
    return std::numeric_limits<double>::infinity();
  static const double measured = [threads] {
    auto region = [threads] {
      auto start = Clock::now();
      torch::stable::parallel_for(0, threads, 1, [](int64_t, int64_t) {});
      return nanosecondsSince(start);
    };
    region(); // makes the threads
    std::array<double, 5> starts;
    for (double &each : starts) {
      // As between two products: who goes to sleep has to be asleep.
      for (auto start = Clock::now(); nanosecondsSince(start) < 2e4;)
        ;
      each = region();
    }
    std::sort(starts.begin(), starts.end());
    // Two threads halve what one does, so work that is worth a start takes two.
    constexpr double least = 1e3, most = 1e6;
    return std::clamp(2 * starts[starts.size() / 2], least, most);
  }();
  return measured;
}
