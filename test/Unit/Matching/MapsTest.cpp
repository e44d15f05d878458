//===- MapsTest.cpp - Tests of composed matches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Maps.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>

using namespace weir;
using namespace weir::matching;

namespace {
using Indices = std::vector<int64_t>;

TopK best(int64_t rows, int64_t k, Indices indices,
          std::vector<double> values = {}) {
  TopK result;
  result.rows = rows;
  result.k = k;
  result.indices = std::move(indices);
  result.values = std::move(values);
  return result;
}
} // namespace

TEST(Maps, PermutationsCompose) {
  EXPECT_EQ(llvm::cantFail(composePermutations({2, -1, 0}, {5, 6, -1})),
            (Indices{-1, -1, 5}));
  EXPECT_EQ(llvm::toString(composePermutations({3}, {0, 1, 2}).takeError()),
            "entry 0 of the first map is 3, but the second map has 3 rows");
}

RC_GTEST_PROP(Maps, ThreePermutationsComposeEitherWay, ()) {
  const int64_t size = *rc::gen::inRange(1, 30);
  auto permutation = [&] {
    Indices result(size);
    std::iota(result.begin(), result.end(), 0);
    for (int64_t i = size - 1; i > 0; --i)
      std::swap(result[i], result[*rc::gen::inRange<int64_t>(0, i + 1)]);
    return result;
  };
  const Indices p = permutation(), q = permutation(), r = permutation();
  auto compose = [](const Indices &x, const Indices &y) {
    return llvm::cantFail(composePermutations(x, y));
  };
  RC_ASSERT(compose(compose(p, q), r) == compose(p, compose(q, r)));
}

TEST(Maps, TopKMapsComposeByTheHeaviestPath) {
  FeatureMap first = mapOf(best(2, 2, {0, 1, 1, 0}, {0.5, 0.25, 0.5, -0.5}));
  EXPECT_EQ(first.starts, (Indices{0, 2, 3}));
  FeatureMap second = mapOf(best(2, 2, {3, 4, 3, 5}, {0.5, 0.25, 1.0, 0.25}));
  FeatureMap both = llvm::cantFail(composeMaps(first, second, 2));
  // 0 -> 3 is 0.25 over either middle, 0 -> 4 is 0.125, 0 -> 5 is dropped.
  EXPECT_EQ(both.starts, (Indices{0, 2, 4}));
  EXPECT_EQ(both.indices, (Indices{3, 4, 3, 5}));
  EXPECT_EQ(both.weights, (std::vector<double>{0.25, 0.125, 0.5, 0.125}));
  EXPECT_EQ(mapOf(best(1, 2, {0, 1}, {0.5, 0.1}), 0.2).indices, (Indices{0}));
  FeatureMap far = mapOf(best(1, 1, {7}, {1.0}));
  EXPECT_EQ(llvm::toString(composeMaps(far, second, 1).takeError()),
            "row 0 of the first map leads to 7, but the second map has 2 rows");
  EXPECT_EQ(llvm::toString(composeMaps(first, second, 0).takeError()),
            "keep = 0 is less than 1");
}

TEST(Maps, MutualBestKeepsWhatAgrees) {
  EXPECT_EQ(llvm::cantFail(mutualBest(best(3, 1, {1, 1, 0}),
                                      best(2, 2, {2, 0, 0, 1}))),
            (Indices{1, -1, 0}));
  EXPECT_TRUE(llvm::errorToBool(
      mutualBest(best(1, 1, {2}), best(2, 1, {0, 0})).takeError()));
}

TEST(Maps, QualityOfPairs) {
  const std::vector<float> left = {1, 0, 0, 2, 3, 0}, right = {2, 0, 0, 2};
  Matrix a = llvm::cantFail(
      Matrix::make("a", MatrixPart::dense(left.data(), 3, 2)));
  Matrix b = llvm::cantFail(
      Matrix::make("b", MatrixPart::dense(right.data(), 2, 2)));
  Quality quality =
      llvm::cantFail(matchQuality(a, b, {0, 1, -1}, {0.0, 0.5, 1.0}));
  EXPECT_EQ(quality.pairs, 2);
  EXPECT_EQ(quality.meanCosine, 1);
  EXPECT_EQ(quality.meanSquaredError, 0.25);
  EXPECT_EQ(quality.errorQuantiles, (std::vector<double>{0, 0.25, 0.5}));
  EXPECT_TRUE(std::isnan(quality.cosine[2]));
  EXPECT_EQ(llvm::toString(matchQuality(a, b, {0, 2, 0}).takeError()),
            "row 1 has match 2, but matrix 'b' has 2 rows");
  EXPECT_TRUE(llvm::errorToBool(matchQuality(a, b, {0}).takeError()));
  EXPECT_TRUE(
      llvm::errorToBool(matchQuality(a, b, {0, 1, 0}, {1.5}).takeError()));
}
