//===- Sampler.cpp - Choosing the next token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Sampler.h"

#include "Support.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <algorithm>
#include <array>
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

/// Orders ids by their weights, the largest first.
auto likelier(ArrayRef<double> weights) {
  return [weights](int64_t a, int64_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
}

/// The `count` most likely tokens, in that order.
void keepMostLikely(ArrayRef<double> weights, std::vector<int64_t> &order,
                    size_t count) {
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    likelier(weights));
  order.resize(count);
}

/// The most likely of the tokens in `order` whose weights reach `part` of the
/// total. Sorting more than the head of the distribution is rarely needed.
void keepTop(ArrayRef<double> weights, std::vector<int64_t> &order,
             double part) {
  auto before = likelier(weights);
  double total = 0;
  for (int64_t id : order)
    total += weights[id];
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

/// The first of the largest logits. Errors: one that is NaN or infinite is named.
/// Several at a time: a vocabulary is long, and this is done for every token.
Expected<size_t> findLargest(ArrayRef<float> logits) {
  constexpr size_t lanes = 16, part = 256 * lanes;
  float largest = -INFINITY;
  size_t place = 0; // of the part with the first of the largest
  for (size_t first = 0; first < logits.size(); first += part) {
    ArrayRef<float> some =
        logits.slice(first, std::min(part, logits.size() - first));
    std::array<float, lanes> most;
    most.fill(-INFINITY);
    std::array<int32_t, lanes> isRefused{};
    auto look = [&](size_t lane, float logit) {
      isRefused[lane] |= !(logit < INFINITY);
      most[lane] = logit > most[lane] ? logit : most[lane];
    };
    size_t i = 0;
    for (; i + lanes <= some.size(); i += lanes)
      for (size_t lane = 0; lane < lanes; ++lane)
        look(lane, some[i + lane]);
    for (; i < some.size(); ++i)
      look(0, some[i]);
    if (llvm::any_of(isRefused, [](int32_t refused) { return refused != 0; }))
      for (auto [id, logit] : enumerate(some))
        if (std::isnan(logit) || logit == INFINITY)
          return fail("the logit of token {0} is {1}", first + id,
                      std::isnan(logit) ? "NaN" : "infinite");
    if (float here = *llvm::max_element(most); here > largest) {
      largest = here;
      place = first;
    }
  }
  return llvm::find(logits.drop_front(place), largest) - logits.begin();
}

} // namespace

double uniformAt(uint64_t seed, uint64_t step) {
  uint64_t state = mix(seed + 0x9E3779B97F4A7C15u);
  uint64_t bits = mix(state + (step + 1) * 0x9E3779B97F4A7C15u);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Error SamplingOptions::check() const {
  if (!(temperature >= 0) || !(topP > 0) || !(topP <= 1))
    return fail("temperature has to be 0 or more and top-p in (0, 1]");
  if (topK < 0)
    return fail("top-k is a number of tokens, or 0 for all");
  if (!(repetitionPenalty > 0) || !std::isfinite(repetitionPenalty))
    return fail("the repetition penalty has to be above 0");
  if (!std::isfinite(frequencyPenalty))
    return fail("the frequency penalty has to be a finite number");
  return Error::success();
}

void penalize(MutableArrayRef<float> logits, const SamplingOptions &options,
              const TokensBefore &before) {
  auto isToken = [&](int64_t id) {
    return id >= 0 && id < static_cast<int64_t>(logits.size());
  };
  if (options.repetitionPenalty != 1) {
    const float penalty = static_cast<float>(options.repetitionPenalty);
    DenseSet<int64_t> seen;
    for (ArrayRef<int64_t> ids : {before.prompt, before.generated})
      for (int64_t id : ids)
        if (isToken(id) && seen.insert(id).second)
          logits[id] =
              logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
  }
  if (options.frequencyPenalty != 0) {
    DenseMap<int64_t, int64_t> counts;
    for (int64_t id : before.generated)
      if (isToken(id))
        ++counts[id];
    for (auto [id, count] : counts) {
      const float less = static_cast<float>(options.frequencyPenalty) *
                         static_cast<float>(count);
      logits[id] -= less;
    }
  }
}

Expected<int64_t> sampleToken(ArrayRef<float> logits,
                              const SamplingOptions &options, uint64_t step,
                              const TokensBefore &before) {
  if (logits.empty())
    return fail("there are no logits");
  std::vector<float> penalized;
  if (options.repetitionPenalty != 1 || options.frequencyPenalty != 0) {
    penalized.assign(logits.begin(), logits.end());
    penalize(penalized, options, before);
    logits = penalized;
  }
  Expected<size_t> best = findLargest(logits);
  if (!best)
    return best.takeError();
  if (options.temperature <= 0)
    return static_cast<int64_t>(*best);
  if (logits[*best] == -INFINITY)
    return fail("all logits are -infinity");

  std::vector<double> weights(logits.size());
  double largest = logits[*best];
  for (auto [weight, logit] : zip(weights, logits))
    weight = std::exp((logit - largest) / options.temperature);
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  if (options.topK > 0 && options.topK < static_cast<int64_t>(order.size()))
    keepMostLikely(weights, order, options.topK);
  if (options.topP < 1)
    keepTop(weights, order, options.topP);
  return pick(weights, order, uniformAt(options.seed, step));
}

} // namespace weir
