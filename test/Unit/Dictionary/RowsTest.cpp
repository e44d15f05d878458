//===- RowsTest.cpp - Algebra over rows, by its properties ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Rows.h"

#include "TestFiles.h"

#include <Eigen/SVD>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

using namespace weir;
using namespace weir::test;

namespace {

/// Small fractions, a few of them zero: exact in f32 and in sums.
RowMatrix randomRows(int64_t count, int64_t width) {
  auto numbers = *rc::gen::container<std::vector<int>>(
      count * width, rc::gen::inRange(-40, 41));
  RowMatrix rows(count, width);
  for (int64_t i = 0; i < count * width; ++i)
    rows.data()[i] = numbers[i] / 8.0f;
  return rows;
}

std::shared_ptr<Dictionary> directions(const RowMatrix &rows) {
  return take(unembeddingDictionary(
      view({rows.rows(), rows.cols()},
           std::vector<float>(rows.data(), rows.data() + rows.size()))));
}

RC_GTEST_PROP(UnitRows, HaveLengthOneAndTheSameDirection, ()) {
  int64_t count = *rc::gen::inRange(1, 30), width = *rc::gen::inRange(1, 60);
  RowMatrix rows = randomRows(count, width), unit = unitRows(rows);
  RC_ASSERT(unit.rows() == count && unit.cols() == width);
  for (int64_t i = 0; i < count; ++i) {
    double norm = rows.row(i).cast<double>().norm();
    if (norm == 0) {
      RC_ASSERT(unit.row(i).isZero(0));
      continue;
    }
    RC_ASSERT(std::abs(unit.row(i).cast<double>().norm() - 1) < 1e-6);
    RC_ASSERT((unit.row(i).cast<double>() * norm - rows.row(i).cast<double>())
                  .norm() <= 1e-6 * norm);
  }
}

RC_GTEST_PROP(OrthonormalBasis, SpansTheRowsAndNoMore, ()) {
  int64_t independent = *rc::gen::inRange(1, 20),
          width = *rc::gen::inRange(1, 40);
  // Copies and sums of earlier rows, and a scale per row, change no span.
  RowMatrix some = randomRows(independent, width);
  int64_t extra = *rc::gen::inRange(0, 5);
  RowMatrix rows(independent + extra, width);
  rows.topRows(independent) = some;
  for (int64_t i = 0; i < extra; ++i) {
    auto weights = *rc::gen::container<std::vector<int>>(
        independent, rc::gen::inRange(-3, 4));
    rows.row(independent + i).setZero();
    for (int64_t j = 0; j < independent; ++j)
      rows.row(independent + i) += float(weights[j]) * some.row(j);
  }
  for (int64_t i = 0; i < rows.rows(); ++i)
    rows.row(i) *= std::ldexp(1.0f, *rc::gen::inRange(-30, 31));

  int64_t rank = -1;
  RowMatrix basis = orthonormalBasis(rows, &rank);
  RC_ASSERT(basis.rows() == rows.rows() && basis.cols() == width);

  // Orthonormal first, zero after.
  Eigen::MatrixXd gram =
      (basis.cast<double>() * basis.cast<double>().transpose()).eval();
  for (int64_t i = 0; i < basis.rows(); ++i)
    for (int64_t j = 0; j < basis.rows(); ++j)
      RC_ASSERT(std::abs(gram(i, j) - double(i == j && i < rank)) < 1e-6);
  RC_ASSERT(basis.bottomRows(basis.rows() - rank).isZero(0));

  // The rank is the numerical one of the unit rows.
  Eigen::MatrixXd unit = unitRows(rows).cast<double>();
  Eigen::JacobiSVD<Eigen::MatrixXd> svd(unit);
  svd.setThreshold(1e-5);
  RC_ASSERT(svd.rank() == rank);

  // Every row lies in the span.
  for (int64_t i = 0; i < rows.rows(); ++i) {
    Eigen::RowVectorXd left =
        unit.row(i) -
        unit.row(i) * basis.cast<double>().transpose() * basis.cast<double>();
    RC_ASSERT(left.norm() < 1e-5);
  }
  RC_ASSERT(basis == orthonormalBasis(rows));
}

TEST(OrthonormalBasis, OfNothingIsNothing) {
  int64_t rank = -1;
  EXPECT_EQ(orthonormalBasis(RowMatrix::Zero(3, 5), &rank),
            RowMatrix::Zero(3, 5));
  EXPECT_EQ(rank, 0);
  EXPECT_EQ(orthonormalBasis(RowMatrix(0, 5)).rows(), 0);
}

TEST(OrthonormalBasis, MoreRowsThanDimensions) {
  int64_t rank = -1;
  RowMatrix rows = (RowMatrix(4, 2) << 1, 0, 1, 1, 0, 1, -1, 1).finished();
  RowMatrix basis = orthonormalBasis(rows, &rank);
  EXPECT_EQ(rank, 2);
  EXPECT_TRUE((basis.transpose() * basis).isIdentity(1e-6f));
}

RC_GTEST_PROP(Antagonists, AreTheMostNegativeCosines, ()) {
  int64_t features = *rc::gen::inRange(1, 90), width = *rc::gen::inRange(1, 12);
  RowMatrix rows = randomRows(features, width);
  int64_t feature = *rc::gen::inRange<int64_t>(0, features);
  RC_PRE(!rows.row(feature).isZero(0));
  int64_t count = *rc::gen::inRange<int64_t>(0, features + 3);
  std::vector<Antagonist> found =
      take(antagonists(*directions(rows), feature, count));

  std::vector<std::pair<double, int64_t>> expected;
  Eigen::RowVectorXd target = rows.row(feature).cast<double>();
  target /= target.norm();
  for (int64_t i = 0; i < features; ++i) {
    Eigen::RowVectorXd row = rows.row(i).cast<double>();
    if (i == feature || row.norm() == 0)
      continue;
    if (double cosine = row.dot(target.transpose()) / row.norm(); cosine < 0)
      expected.push_back({cosine, i});
  }
  std::sort(expected.begin(), expected.end());
  expected.resize(std::min<size_t>(expected.size(), count));
  RC_ASSERT(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    RC_ASSERT(found[i].feature == expected[i].second);
    RC_ASSERT(found[i].cosine == expected[i].first);
  }
}

TEST(Antagonists, TiesGoToTheLowestIndex) {
  // The fourth row is zero and the last at a right angle.
  RowMatrix rows =
      (RowMatrix(6, 2) << 1, 0, -1, 0, -2, 0, 0, 0, -1, 1, 0, 3).finished();
  auto found = take(antagonists(*directions(rows), 0, 2));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].feature, 1);
  EXPECT_EQ(found[1].feature, 2);
  EXPECT_DOUBLE_EQ(found[0].cosine, -1);
  found = take(antagonists(*directions(rows), 0, 10));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[2].feature, 4);
}

TEST(Antagonists, AcrossBlocks) {
  // More rows than a block holds; the opposite one is the last.
  RowMatrix rows = RowMatrix::Constant(3 * (1 << 18) + 1, 4, 1);
  rows.row(rows.rows() - 1).setConstant(-3);
  auto found = take(antagonists(*directions(rows), 5, 4));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].feature, rows.rows() - 1);
}

TEST(Antagonists, Refusals) {
  RowMatrix rows = (RowMatrix(2, 2) << 1, 0, 0, 0).finished();
  EXPECT_NE(message(antagonists(*directions(rows), 1, 1)).find("is zero"),
            std::string::npos);
  EXPECT_NE(message(antagonists(*directions(rows), 0, -1)).find("negative"),
            std::string::npos);
  EXPECT_NE(message(antagonists(*directions(rows), 2, 1)).find("no feature 2"),
            std::string::npos);
}

} // namespace
