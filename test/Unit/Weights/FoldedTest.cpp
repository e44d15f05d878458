//===- FoldedTest.cpp - Linear maps with edits inside ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Weights/Folded.h"

#include "weir/Dictionary/Rows.h"

#include "gmock/gmock.h"

#include <cstring>
#include <random>

using namespace llvm;
using namespace weir;
using testing::HasSubstr;

namespace {

using Dense = Eigen::MatrixXd;

struct FoldedTest : testing::Test {
  std::mt19937 random{7};

  RowMatrix numbers(int64_t rows, int64_t columns) {
    std::normal_distribution<float> normal;
    return RowMatrix::NullaryExpr(rows, columns, [&] { return normal(random); });
  }
  TensorView view(const RowMatrix &matrix) {
    return {DType::Float32,
            {matrix.rows(), matrix.cols()},
            reinterpret_cast<const std::byte *>(matrix.data()),
            nullptr};
  }
  TensorView vectorView(const RowMatrix &row) {
    TensorView result = view(row);
    result.shape.erase(result.shape.begin());
    return result;
  }
  VectorEdit span(int64_t rows, int64_t width) {
    return {true, orthonormalBasis(numbers(rows, width))};
  }
  VectorEdit shift(int64_t width) { return {false, numbers(1, width)}; }

  /// What edits make of a vector, one after the other.
  static Eigen::RowVectorXd apply(const std::vector<VectorEdit> &edits,
                                  Eigen::RowVectorXd x) {
    for (const VectorEdit &edit : edits) {
      Dense rows = edit.rows.cast<double>();
      if (edit.isProjection)
        x -= (x * rows.transpose()) * rows;
      else
        x += rows.row(0);
    }
    return x;
  }

  static std::vector<float> stream(const TensorSource &source) {
    std::vector<std::byte> bytes;
    cantFail(source.stream([&](ArrayRef<std::byte> piece) -> Error {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      return Error::success();
    }));
    EXPECT_EQ(bytes.size(), source.numBytes());
    EXPECT_EQ(source.dtype(), DType::Float32);
    std::vector<float> result(bytes.size() / sizeof(float));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }

  /// The new map is the old one between the edits, for vectors at random.
  void compare(bool inOut, bool hasBias, std::vector<VectorEdit> reads,
               std::vector<VectorEdit> gives, int64_t in = 6, int64_t out = 9) {
    RowMatrix weight = inOut ? numbers(in, out) : numbers(out, in);
    RowMatrix bias = numbers(1, out);
    auto folded = cantFail(FoldedLinear::create(
        view(weight),
        hasBias ? std::optional(vectorView(bias)) : std::nullopt, inOut, reads,
        gives));
    std::vector<float> newWeight = stream(*folded->weight()),
                       newBias = stream(*folded->bias());
    Dense w = Eigen::Map<const RowMatrix>(newWeight.data(), weight.rows(),
                                          weight.cols())
                  .cast<double>();
    Dense old = weight.cast<double>();
    if (!inOut) {
      w.transposeInPlace();
      old.transposeInPlace();
    }
    Eigen::RowVectorXd b =
        Eigen::Map<const RowVector>(newBias.data(), out).cast<double>();
    for (int i = 0; i < 4; ++i) {
      Eigen::RowVectorXd x = numbers(1, in).cast<double>().row(0);
      Eigen::RowVectorXd y = apply(reads, x) * old;
      if (hasBias)
        y += bias.cast<double>().row(0);
      EXPECT_LT((apply(gives, y) - (x * w + b)).cwiseAbs().maxCoeff(), 1e-5);
    }
  }
};

TEST_F(FoldedTest, EditsBehindAMap) {
  for (bool inOut : {false, true})
    for (bool hasBias : {false, true}) {
      compare(inOut, hasBias, {}, {shift(9)});
      compare(inOut, hasBias, {}, {span(2, 9)});
      compare(inOut, hasBias, {}, {shift(9), span(2, 9)});
      compare(inOut, hasBias, {}, {span(2, 9), shift(9), span(1, 9), span(3, 9)});
    }
}

TEST_F(FoldedTest, EditsInFrontOfAMap) {
  for (bool inOut : {false, true}) {
    compare(inOut, true, {shift(6)}, {});
    compare(inOut, false, {span(2, 6)}, {});
    compare(inOut, false, {shift(6), span(2, 6), shift(6), span(1, 6)}, {});
    compare(inOut, true, {shift(6), span(2, 6), span(1, 6)},
            {shift(9), span(2, 9), span(2, 9)});
  }
}

TEST_F(FoldedTest, InSeveralBlocks) {
  // More than a million numbers.
  compare(true, false, {}, {span(2, 300)}, 4000, 300);
  compare(false, true, {span(1, 4000)}, {span(2, 300)}, 4000, 300);
}

TEST_F(FoldedTest, TheRankIsThatOfTheProjections) {
  RowMatrix weight = numbers(9, 6);
  auto folded = cantFail(FoldedLinear::create(
      view(weight), std::nullopt, false, {span(2, 6)}, {shift(9), span(3, 9)}));
  EXPECT_EQ(folded->left().cols(), 5);
  EXPECT_EQ(folded->right().rows(), 5);
}

TEST_F(FoldedTest, RoundsOnceToTheTypeOfTheWeight) {
  // 1 + 2^-9 and 1 + 3 * 2^-9 lie between neighbours of bf16: ties go to even.
  std::vector<uint16_t> weight{0x3f80, 0x3f80};
  TensorView stored{DType::BFloat16, {2, 1},
                    reinterpret_cast<const std::byte *>(weight.data()), nullptr};
  RowMatrix shift(1, 2);
  shift << 1 + 0x1p-8f, 1 + 0x3p-8f;
  auto folded = cantFail(FoldedLinear::create(stored, std::nullopt, false, {},
                                              {{false, shift}}));
  std::vector<uint16_t> bias(2);
  cantFail(folded->bias()->stream([&](ArrayRef<std::byte> piece) -> Error {
    std::memcpy(bias.data(), piece.data(), piece.size());
    return Error::success();
  }));
  EXPECT_EQ(bias[0], 0x3f80);
  EXPECT_EQ(bias[1], 0x3f82);
}

TEST_F(FoldedTest, NumbersThatTheTypeCannotHoldAreErrors) {
  // What rounds to infinity, and NaN: of the weight itself, and of its bias.
  auto problem = [&](DType type, std::vector<uint16_t> weight, float added,
                     bool projected) {
    TensorView stored{type, {2, 1},
                      reinterpret_cast<const std::byte *>(weight.data()), nullptr};
    std::vector<VectorEdit> gives{{false, RowMatrix::Constant(1, 2, added)}};
    if (projected) {
      RowMatrix basis(1, 2);
      basis << 1, 0;
      gives = {{true, basis}};
    }
    auto folded =
        FoldedLinear::create(stored, std::nullopt, false, {}, std::move(gives));
    if (!folded)
      return toString(folded.takeError());
    auto ignore = [](ArrayRef<std::byte>) { return Error::success(); };
    auto source = projected ? (*folded)->weight() : (*folded)->bias();
    return toString(source->stream(ignore));
  };
  const uint16_t one = 0x3f80, halfOne = 0x3c00, nan = 0x7fc0, halfNan = 0x7e00;
  EXPECT_EQ(problem(DType::BFloat16, {one, one}, 3.38e38f, false), "");
  EXPECT_THAT(problem(DType::BFloat16, {one, one}, 3.4e38f, false),
              HasSubstr("a number that bf16 cannot hold"));
  EXPECT_EQ(problem(DType::Float16, {halfOne, halfOne}, 65504, false), "");
  EXPECT_THAT(problem(DType::Float16, {halfOne, halfOne}, 65520, false),
              HasSubstr("a number that f16 cannot hold"));
  for (auto [type, number, none] : {std::tuple(DType::BFloat16, one, nan),
                                    std::tuple(DType::Float16, halfOne, halfNan)}) {
    EXPECT_EQ(problem(type, {number, number}, 0, true), "");
    for (std::vector<uint16_t> weight : {std::vector<uint16_t>{none, number},
                                         std::vector<uint16_t>{number, none}})
      EXPECT_THAT(problem(type, weight, 0, true), HasSubstr("beyond f32"));
  }
}

TEST_F(FoldedTest, WhatDoesNotFit) {
  RowMatrix weight = numbers(9, 6), bias = numbers(1, 6);
  auto problem = [&](std::optional<TensorView> bias, std::vector<VectorEdit> reads,
                     std::vector<VectorEdit> gives) {
    auto folded = FoldedLinear::create(view(weight), bias, false, reads, gives);
    return folded ? std::string() : toString(folded.takeError());
  };
  EXPECT_THAT(problem(vectorView(bias), {}, {}),
              HasSubstr("the bias does not fit its weight"));
  EXPECT_THAT(problem(std::nullopt, {shift(9)}, {}),
              HasSubstr("rows of 9 numbers do not fit a weight of 6"));
  EXPECT_THAT(problem(std::nullopt, {}, {span(1, 6)}),
              HasSubstr("rows of 6 numbers do not fit a weight of 9"));
  VectorEdit far{false, RowMatrix::Constant(1, 9, 3e38f)};
  EXPECT_THAT(problem(std::nullopt, {}, {far, far}),
              HasSubstr("numbers beyond f32"));
}

} // namespace
