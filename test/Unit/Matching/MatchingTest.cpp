//===- MatchingTest.cpp - Tests of top-k and assignment ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Assignment.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace weir;
using namespace weir::matching;

namespace {

using Numbers = std::vector<float>;

Matrix matrixOf(const Numbers &numbers, int64_t rows, int64_t cols,
                llvm::StringRef name = "a") {
  return llvm::cantFail(
      Matrix::make(name, MatrixPart::dense(numbers.data(), rows, cols)));
}

/// Small whole numbers: many ties, zero rows and repeated rows.
rc::Gen<Numbers> numbersGen(int64_t count) {
  return rc::gen::container<Numbers>(
      count, rc::gen::map(rc::gen::inRange(-2, 3),
                          [](int value) { return static_cast<float>(value); }));
}

const std::vector<Similarity> kinds = {Similarity::Cosine, Similarity::Dot,
                                Similarity::MeanSquaredError};
/// Those that this processor has.
const std::vector<Screen> &screens() {
  static const std::vector<Screen> all = [] {
    std::vector<Screen> result = {Screen::Automatic, Screen::Float32,
                                  Screen::BFloat16};
    const Numbers one = {1};
    Options options;
    options.screen = Screen::Int8;
    llvm::Expected<TopK> tried = topK(matrixOf(one, 1, 1), matrixOf(one, 1, 1),
                                      1, Similarity::Dot, options);
    if (tried)
      result.push_back(Screen::Int8);
    else
      EXPECT_EQ(llvm::toString(tried.takeError()),
                "this processor has no exact product of int8");
    return result;
  }();
  return all;
}

/// What the float64 similarities say.
void expectTopK(const Matrix &a, const Matrix &b, Similarity kind,
                const TopK &result) {
  const int64_t n = a.rows(), m = b.rows(), k = result.k;
  const std::vector<double> all = similarityMatrix(a, b, kind);
  std::vector<int64_t> order(m);
  for (int64_t i = 0; i < n; ++i) {
    const double *values = all.data() + i * m;
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int64_t x, int64_t y) {
      return values[x] != values[y] ? values[x] > values[y] : x < y;
    });
    for (int64_t t = 0; t < k; ++t) {
      ASSERT_EQ(result.indices[i * k + t], order[t]);
      ASSERT_EQ(result.values[i * k + t], values[order[t]]);
    }
  }
}

Numbers waves(int64_t count, float step) {
  Numbers numbers(count);
  for (int64_t t = 0; t < count; ++t)
    numbers[t] = std::sin(step * static_cast<float>(t * t % 10007));
  return numbers;
}

std::string errorOf(llvm::Expected<TopK> result) {
  return result ? "" : llvm::toString(result.takeError());
}

} // namespace

RC_GTEST_PROP(TopK, EqualsTheSortedSimilarities, ()) {
  const int64_t n = *rc::gen::inRange(0, 20), m = *rc::gen::inRange(1, 90),
                d = *rc::gen::inRange(1, 6);
  const Numbers left = *numbersGen(n * d), right = *numbersGen(m * d);
  const Similarity kind = *rc::gen::elementOf(kinds);
  Options options;
  options.screen = *rc::gen::elementOf(screens());
  const int64_t k = *rc::gen::inRange<int64_t>(1, m + 1);
  const Matrix a = matrixOf(left, n, d), b = matrixOf(right, m, d, "b");
  llvm::Expected<TopK> result = topK(a, b, k, kind, options);
  RC_ASSERT(static_cast<bool>(result));
  std::vector<int64_t> order(m);
  for (int64_t i = 0; i < n; ++i) {
    std::vector<double> values;
    for (int64_t j = 0; j < m; ++j)
      values.push_back(similarity(a, i, b, j, kind));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int64_t x, int64_t y) {
      return values[x] != values[y] ? values[x] > values[y] : x < y;
    });
    for (int64_t t = 0; t < k; ++t) {
      RC_ASSERT(result->indices[i * k + t] == order[t]);
      RC_ASSERT(result->values[i * k + t] == values[order[t]]);
    }
  }
}

RC_GTEST_PROP(Assignment, EqualsTheBestOfAllPermutations, ()) {
  const int64_t n = *rc::gen::inRange(1, 6), m = *rc::gen::inRange<int64_t>(n, 7),
                d = *rc::gen::inRange(1, 4);
  const Numbers left = *numbersGen(n * d), right = *numbersGen(m * d);
  const Similarity kind = *rc::gen::elementOf(kinds);
  AssignmentOptions options;
  options.screen = *rc::gen::elementOf(screens());
  options.candidates = *rc::gen::inRange(1, 5);
  options.denseSize = *rc::gen::element(0, 100);
  const Matrix a = matrixOf(left, n, d), b = matrixOf(right, m, d, "b");
  std::vector<int64_t> order(m);
  std::iota(order.begin(), order.end(), 0);
  double best = std::numeric_limits<double>::infinity();
  const std::vector<double> all = similarityMatrix(a, b, kind);
  do {
    double cost = 0;
    for (int64_t i = 0; i < n; ++i)
      cost -= all[i * m + order[i]];
    best = std::min(best, cost);
  } while (std::next_permutation(order.begin(), order.end()));

  for (bool swapped : {false, true}) {
    llvm::Expected<Assignment> result =
        swapped ? assign(b, a, kind, options) : assign(a, b, kind, options);
    RC_ASSERT(static_cast<bool>(result));
    RC_ASSERT(std::abs(result->cost - best) < 1e-12 * (1 + std::abs(best)));
    RC_ASSERT(std::abs(result->certificate.gap) < 1e-12 * (1 + std::abs(best)));
    const auto &u = swapped ? result->certificate.v : result->certificate.u;
    const auto &v = swapped ? result->certificate.u : result->certificate.v;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < m; ++j)
        RC_ASSERT(-all[i * m + j] - u[i] - v[j] > -1e-12);
    if (n < m)
      for (double dual : v)
        RC_ASSERT(dual <= 0);
  }
}

TEST(TopK, TheDevicesPathIsExact) {
  // A row of 70 columns and more, so that no block is whole.
  const Numbers left = waves(90 * 37, 0.7f), right = waves(1100 * 37, 1.3f);
  const Matrix a = matrixOf(left, 90, 37), b = matrixOf(right, 1100, 37, "b");
  Options options;
  options.device = Device::Staged;
  for (Similarity kind : kinds) {
    llvm::Expected<TopK> result = topK(a, b, 5, kind, options);
    ASSERT_TRUE(static_cast<bool>(result));
    EXPECT_EQ(result->screen, Screen::Float32);
    EXPECT_LE(result->survivorsPerRow(), 6);
    expectTopK(a, b, kind, *result);
  }
  AssignmentOptions assignment;
  assignment.device = Device::Staged;
  assignment.denseSize = 0;
  llvm::Expected<Assignment> staged = assign(a, b, Similarity::Dot, assignment);
  ASSERT_TRUE(static_cast<bool>(staged));
  assignment.device = Device::Processor;
  EXPECT_EQ(staged->permutation,
            llvm::cantFail(assign(a, b, Similarity::Dot, assignment))
                .permutation);
  options.screen = Screen::BFloat16;
  EXPECT_EQ(errorOf(topK(a, b, 5, Similarity::Dot, options)),
            "on a device the screen is f32; leave the screen on 'auto'");
}

TEST(TopK, RowsThatDoNotSuitBytesAreScreenedInMore) {
  // One large number, and small ones that decide: int8 rounds these to zero.
  constexpr int64_t n = 50, m = 3000, d = 48;
  Numbers left = waves(n * d, 0.7f), right = waves(m * d, 1.3f);
  for (int64_t i = 0; i < n; ++i)
    left[i * d] = 1e4f;
  for (int64_t j = 0; j < m; ++j)
    right[j * d + 1] = 1e4f;
  const Matrix a = matrixOf(left, n, d), b = matrixOf(right, m, d, "b");
  TopK result = llvm::cantFail(topK(a, b, 1, Similarity::Cosine));
  EXPECT_NE(result.screen, Screen::Int8);
  expectTopK(a, b, Similarity::Cosine, result);
  for (Screen screen : screens()) {
    Options options;
    options.screen = screen;
    expectTopK(a, b, Similarity::Cosine,
               llvm::cantFail(topK(a, b, 1, Similarity::Cosine, options)));
  }
}

TEST(TopK, ThereMustBeADevice) {
  const Numbers one = {1};
  Options options;
  options.device = Device::Cuda;
  llvm::Expected<TopK> result =
      topK(matrixOf(one, 1, 1), matrixOf(one, 1, 1), 1, Similarity::Dot,
           options);
  if (!result)
    EXPECT_EQ(llvm::toString(result.takeError()),
              "this LibTorch has no CUDA device; take the device 'cpu' or "
              "'auto'");
}

TEST(Matrix, SimilarityMatrixIsTheSimilarityOfPairs) {
  Numbers left, right;
  for (int64_t t = 0; t < 5 * 7; ++t)
    left.push_back(std::sin(static_cast<float>(t)));
  for (int64_t t = 0; t < 19 * 7; ++t)
    right.push_back(std::cos(static_cast<float>(3 * t)));
  const Matrix a = matrixOf(left, 5, 7), b = matrixOf(right, 19, 7, "b");
  for (Similarity kind : kinds) {
    const std::vector<double> all = similarityMatrix(a, b, kind);
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 19; ++j)
        EXPECT_EQ(all[i * 19 + j], similarity(a, i, b, j, kind));
  }
}

TEST(Matrix, ViewsAndPartsAreReadInPlace) {
  const Numbers numbers = {1, 2, 3, 4, 5, 6};
  TensorView view;
  view.shape = {2, 3};
  view.data = reinterpret_cast<const std::byte *>(numbers.data());
  MatrixPart part = llvm::cantFail(MatrixPart::of(view));
  Matrix transposed = llvm::cantFail(
      Matrix::make("t", {part.transposed(), part.transposed()}));
  ASSERT_EQ(transposed.rows(), 3);
  ASSERT_EQ(transposed.width(), 4);
  float row[4];
  transposed.loadRow(1, row);
  EXPECT_EQ(Numbers(row, row + 4), (Numbers{2, 5, 2, 5}));
  EXPECT_EQ(transposed.directRow(1), nullptr);
  Matrix direct = llvm::cantFail(Matrix::make("d", part));
  EXPECT_EQ(direct.directRow(1), numbers.data() + 3);
  view.shape = {1, 2, 3};
  EXPECT_EQ(llvm::toString(MatrixPart::of(view).takeError()),
            "expected a matrix, got rank 3");
}

TEST(Matrix, BadInputsAreNamed) {
  Numbers good(8, 1), bad(8, 1);
  bad[5] = std::numeric_limits<float>::quiet_NaN();
  const Matrix a = matrixOf(good, 2, 4), b = matrixOf(bad, 2, 4, "b");
  EXPECT_EQ(errorOf(topK(a, b, 1, Similarity::Dot)),
            "matrix 'b' has NaN at [1, 1]");
  bad[5] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(llvm::toString(assign(a, b, Similarity::Dot).takeError()),
            "matrix 'b' has infinity at [1, 1]");
  EXPECT_EQ(llvm::toString(
                assign(a, matrixOf(good, 4, 2, "b"), Similarity::Dot)
                    .takeError()),
            "matrix 'a' has rows of 4 numbers, matrix 'b' of 2");
  const Matrix none = matrixOf(good, 0, 4, "none");
  EXPECT_EQ(errorOf(topK(a, none, 1, Similarity::Dot)),
            "matrix 'none' has no row");
  EXPECT_EQ(llvm::cantFail(assign(a, none, Similarity::Dot)).permutation,
            (std::vector<int64_t>{-1, -1}));
  EXPECT_EQ(errorOf(topK(a, a, 257, Similarity::Dot)),
            "k = 257 is outside 1..256");
  EXPECT_EQ(errorOf(topK(a, a, 3, Similarity::Dot)),
            "k = 3, but matrix 'a' has only 2 rows");
  MatrixPart part = MatrixPart::dense(good.data(), 2, 4);
  part.rows = int64_t(1) << 62;
  EXPECT_EQ(llvm::toString(Matrix::make("a", part).takeError()),
            "matrix 'a', part 0: impossible shape [4611686018427387904, 4]");
  part.rows = -1;
  EXPECT_TRUE(llvm::errorToBool(Matrix::make("a", part).takeError()));
}
