//===- Sampler.cpp - Choosing the next token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Sampler.h"

#include "Support.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace llvm;

namespace weir {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Walks `order` until the cumulated weight exceeds u times the total.
int64_t pick(ArrayRef<double> weights, ArrayRef<int64_t> order, double u) {
  double total = 0;
  for (int64_t id : order)
    total += weights[id];
  double target = u * total, sum = 0;
  int64_t last = order.front();
  for (int64_t id : order) {
    if (weights[id] == 0)
      continue;
    last = id;
    sum += weights[id];
    if (sum > target)
      break;
  }
  return last;
}

/// The most likely tokens whose weights reach `part` of the total. Sorting
/// more than the head of the distribution is rarely needed.
void keepTop(ArrayRef<double> weights, std::vector<int64_t> &order,
             double part) {
  auto before = [&](int64_t a, int64_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
  double total = 0;
  for (double weight : weights)
    total += weight;
  double sum = 0;
  size_t sorted = 0;
  for (size_t chunk = 128; sorted < order.size(); chunk *= 4) {
    size_t end = std::min(order.size(), sorted + chunk);
    std::partial_sort(order.begin() + sorted, order.begin() + end, order.end(),
                      before);
    for (; sorted < end; ++sorted) {
      sum += weights[order[sorted]];
      if (sum >= part * total) {
        order.resize(sorted + 1);
        return;
      }
    }
  }
}

} // namespace

double uniformAt(uint64_t seed, uint64_t step) {
  uint64_t state = mix(seed + 0x9E3779B97F4A7C15u);
  uint64_t bits = mix(state + (step + 1) * 0x9E3779B97F4A7C15u);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Expected<int64_t> sampleToken(ArrayRef<float> logits,
                              const SamplingOptions &options, uint64_t step) {
  if (logits.empty())
    return fail("there are no logits");
  size_t best = 0;
  for (auto [id, logit] : enumerate(logits)) {
    if (std::isnan(logit) || logit == INFINITY)
      return fail("the logit of token {0} is {1}", id,
                  std::isnan(logit) ? "NaN" : "infinite");
    if (logit > logits[best])
      best = id;
  }
  if (options.temperature <= 0)
    return static_cast<int64_t>(best);
  if (logits[best] == -INFINITY)
    return fail("all logits are -infinity");

  std::vector<double> weights(logits.size());
  double largest = logits[best];
  for (auto [weight, logit] : zip(weights, logits))
    weight = std::exp((logit - largest) / options.temperature);
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  if (options.topP < 1)
    keepTop(weights, order, options.topP);
  return pick(weights, order, uniformAt(options.seed, step));
}

} // namespace weir
