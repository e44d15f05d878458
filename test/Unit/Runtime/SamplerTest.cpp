//===- SamplerTest.cpp - Choosing the next token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Sampler.h"

#include "Expect.h"

#include <rapidcheck/gtest.h>

#include <cmath>

using namespace weir;
using namespace weir::test;
using llvm::ArrayRef;

namespace {

int64_t sample(std::vector<float> logits, SamplingOptions options = {},
               uint64_t step = 0) {
  return valueOf(sampleToken(logits, options, step));
}

/// How often each token is drawn over many steps, as a fraction.
std::vector<double> frequencies(std::vector<float> logits,
                                SamplingOptions options) {
  constexpr int draws = 20000;
  std::vector<double> out(logits.size());
  for (int step = 0; step < draws; ++step)
    out[sample(logits, options, step)] += 1.0 / draws;
  return out;
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(sample({1, 3, 3, 2}), 1);
  EXPECT_EQ(sample({-INFINITY, -INFINITY}), 0);
  EXPECT_EQ(sample({-INFINITY, -5}), 1);
}

TEST(Sampler, LooksAtAllOfALongVocabulary) {
  // Lengths that no number of lanes divides, and places at every end of a part.
  for (size_t count : {size_t(7), size_t(4096), size_t(9001)})
    for (size_t place : {size_t(0), size_t(6), count / 2, count - 1}) {
      SCOPED_TRACE(std::to_string(place) + " of " + std::to_string(count));
      std::vector<float> logits(count, -2);
      logits[place] = -1;
      EXPECT_EQ(sample(logits), static_cast<int64_t>(place));
      logits[count - 1] = -1;
      EXPECT_EQ(sample(logits), static_cast<int64_t>(place));
      logits[place] = NAN;
      EXPECT_ERROR(sampleToken(logits, {}, 0),
                   "the logit of token " + std::to_string(place) + " is NaN");
      logits[place] = INFINITY;
      EXPECT_ERROR(sampleToken(logits, {}, 0), "the logit of token " +
                                                   std::to_string(place) +
                                                   " is infinite");
    }
}

TEST(Sampler, RefusesWhatIsNoDistribution) {
  EXPECT_ERROR(sampleToken({}, {}, 0), "no logits");
  EXPECT_ERROR(sampleToken(std::vector<float>{1, NAN}, {}, 0),
               "the logit of token 1 is NaN");
  EXPECT_ERROR(sampleToken(std::vector<float>{INFINITY, 1}, {}, 0),
               "the logit of token 0 is infinite");
  EXPECT_ERROR(sampleToken(std::vector<float>{-INFINITY}, {1, 1, 0}, 0),
               "all logits");
}

TEST(Sampler, NumbersAreThoseOfTheDescription) {
  // Steele, Lea, Flood's mix of 64 bits, by hand in Python.
  EXPECT_DOUBLE_EQ(uniformAt(0, 0), 0.6524484863740322);
  EXPECT_DOUBLE_EQ(uniformAt(0, 1), 0.7012121095215252);
  EXPECT_DOUBLE_EQ(uniformAt(42, 7), 0.7347204584623639);
}

RC_GTEST_PROP(Sampler, NumbersAreInTheUnitInterval, (uint64_t seed, uint64_t step)) {
  double u = uniformAt(seed, step);
  RC_ASSERT(u >= 0 && u < 1);
}

TEST(Sampler, NumbersAreUniformAndStreamsDiffer) {
  double sum = 0, squares = 0, product = 0;
  constexpr int count = 100000;
  for (int step = 0; step < count; ++step) {
    double u = uniformAt(1, step), v = uniformAt(2, step);
    sum += u;
    squares += u * u;
    product += (u - 0.5) * (v - 0.5);
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.005);
  EXPECT_NEAR(product / count, 0, 0.002);
}

TEST(Sampler, TemperatureGivesTheSoftmax) {
  float two = std::log(2.0f);
  auto seen = frequencies({0, two, 2 * two}, {1, 1, 3}); // 1 : 2 : 4
  EXPECT_NEAR(seen[0], 1 / 7.0, 0.012);
  EXPECT_NEAR(seen[1], 2 / 7.0, 0.012);
  EXPECT_NEAR(seen[2], 4 / 7.0, 0.012);
  seen = frequencies({0, two, 2 * two}, {0.5, 1, 3}); // 1 : 4 : 16
  EXPECT_NEAR(seen[0], 1 / 21.0, 0.012);
  EXPECT_NEAR(seen[2], 16 / 21.0, 0.012);
  EXPECT_EQ(frequencies({0, 1, -INFINITY}, {2, 1, 3})[2], 0);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  float two = std::log(2.0f);
  std::vector<float> logits = {0, 2 * two, two, two}; // 1 : 4 : 2 : 2 of 9
  EXPECT_NEAR(frequencies(logits, {1, 0.4, 1})[1], 1, 1e-9);
  // 4/9 is not enough for 0.5: the first of the two equals comes in.
  auto seen = frequencies(logits, {1, 0.5, 1});
  EXPECT_NEAR(seen[1], 4 / 6.0, 0.012);
  EXPECT_NEAR(seen[2], 2 / 6.0, 0.012);
  EXPECT_EQ(seen[3], 0);
  seen = frequencies(logits, {1, 0.95, 1});
  EXPECT_GT(seen[0], 0);
}

TEST(Sampler, TopKKeepsTheMostLikely) {
  float two = std::log(2.0f);
  std::vector<float> logits = {0, 2 * two, two, two}; // 1 : 4 : 2 : 2
  EXPECT_NEAR(frequencies(logits, {1, 1, 1, 1})[1], 1, 1e-9);
  // Of two equals the first stays.
  auto seen = frequencies(logits, {1, 1, 1, 2});
  EXPECT_NEAR(seen[1], 4 / 6.0, 0.012);
  EXPECT_NEAR(seen[2], 2 / 6.0, 0.012);
  EXPECT_EQ(frequencies(logits, {1, 1, 1, 0}), frequencies(logits, {1, 1, 1, 4}));
  EXPECT_EQ(frequencies(logits, {1, 1, 1, 0}), frequencies(logits, {1, 1, 1, 99}));
  // top-p is a part of what top-k leaves: 4/6 reach 0.66, but not 0.67.
  EXPECT_NEAR(frequencies(logits, {1, 0.66, 1, 2})[1], 1, 1e-9);
  EXPECT_GT(frequencies(logits, {1, 0.67, 1, 2})[2], 0);
}

TEST(Sampler, PenaltiesAreThoseOfTheDescription) {
  SamplingOptions options;
  options.repetitionPenalty = 2;
  options.frequencyPenalty = 0.5;
  const std::vector<int64_t> prompt = {0, 1, 1, 77}, generated = {2, 2, 0};
  std::vector<float> logits = {4, -1, 3, 5};
  penalize(logits, options, {prompt, generated});
  EXPECT_EQ(logits, (std::vector<float>{1.5, -2, 0.5, 5}));
  EXPECT_EQ(valueOf(sampleToken(std::vector<float>{4, 3.5}, options, 0,
                                {{}, ArrayRef<int64_t>{0}})),
            1);
  EXPECT_EQ(valueOf(sampleToken(std::vector<float>{4, 3.5}, options, 0)), 0);
}

TEST(Sampler, OptionsOutOfTheirRangeAreErrors) {
  auto with = [](auto change) {
    SamplingOptions options;
    change(options);
    return options.check();
  };
  EXPECT_OK(with([](SamplingOptions &) {}));
  EXPECT_ERROR(with([](SamplingOptions &o) { o.topK = -1; }), "top-k");
  for (double bad : {0.0, -1.0, double(NAN), double(INFINITY)})
    EXPECT_ERROR(with([&](SamplingOptions &o) { o.repetitionPenalty = bad; }),
                 "the repetition penalty has to be above 0");
  EXPECT_ERROR(with([](SamplingOptions &o) { o.frequencyPenalty = NAN; }),
               "the frequency penalty");
  EXPECT_ERROR(with([](SamplingOptions &o) { o.temperature = NAN; }),
               "temperature");
}

RC_GTEST_PROP(Sampler, TopPAgreesWithSortingEverything, ()) {
  auto logits = *rc::gen::container<std::vector<float>>(
      700, rc::gen::map(rc::gen::inRange(-40, 40), [](int x) { return x / 8.0f; }));
  double topP = *rc::gen::inRange(1, 100) / 100.0;
  uint64_t step = *rc::gen::arbitrary<uint64_t>();
  int64_t got = sample(logits, {1, topP, 5}, step);

  std::vector<int64_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  // Equal logits in their order, as std::stable_sort would leave them: libstdc++
  // 12 warns of its own std::get_temporary_buffer there.
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  double total = 0, kept = 0, sum = 0;
  for (float logit : logits)
    total += std::exp(logit - static_cast<double>(logits[order[0]]));
  size_t size = 0;
  while (size < order.size() && kept < topP * total * (1 - 1e-12))
    kept += std::exp(logits[order[size++]] - static_cast<double>(logits[order[0]]));
  double target = uniformAt(5, step) * kept;
  for (size_t i = 0; i < size; ++i) {
    double weight = std::exp(logits[order[i]] - static_cast<double>(logits[order[0]]));
    // Sums in another order may differ in the last bits at a border.
    if (order[i] == got) {
      RC_ASSERT(target >= sum - 1e-9 && target <= sum + weight + 1e-9);
      return;
    }
    sum += weight;
  }
  RC_FAIL("a token outside the set");
}

TEST(Sampler, SameSeedSameTokens) {
  std::vector<float> logits(50, 0);
  std::vector<int64_t> first, second, other;
  for (uint64_t step = 0; step < 20; ++step) {
    first.push_back(sample(logits, {1, 0.9, 11}, step));
    second.push_back(sample(logits, {1, 0.9, 11}, step));
    other.push_back(sample(logits, {1, 0.9, 12}, step));
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

} // namespace
