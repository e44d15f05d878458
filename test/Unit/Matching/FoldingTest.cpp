//===- FoldingTest.cpp - Tests of folding ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Folding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

using namespace weir::matching;

namespace {

/// Three JumpReLU features of width 2; the second has no threshold above 0.
struct Sample {
  std::vector<float> encoder = {1, 2, -1, 3, 0.5, 4};
  std::vector<float> bias = {0.25f, -1, 2};
  std::vector<float> threshold = {0.5f, 0, 3};
  std::vector<float> decoder = {3, 4, 0, 0, -1, 7};
  FoldedRows rows() {
    return {3, 2, 2, encoder.data(), bias.data(), threshold.data(),
            decoder.data()};
  }
  std::vector<double> output(double x, double y) const {
    std::vector<double> out(2);
    for (int i = 0; i < 3; ++i) {
      const double z = x * encoder[2 * i] + y * encoder[2 * i + 1] + bias[i];
      for (int k = 0; k < 2; ++k)
        out[k] += z > threshold[i] ? z * decoder[2 * i + k] : 0.0;
    }
    return out;
  }
};

void expectSameOutput(const Sample &one, const Sample &two) {
  for (double x : {-2.0, -0.3, 0.1, 1.7})
    for (double y : {-1.5, 0.2, 0.9}) {
      const std::vector<double> left = one.output(x, y),
                                right = two.output(x, y);
      for (int k = 0; k < 2; ++k)
        EXPECT_NEAR(left[k], right[k], 1e-5 * (1 + std::fabs(left[k])));
    }
}

} // namespace

TEST(Folding, ThresholdsBecomeOne) {
  Sample sample;
  EXPECT_EQ(llvm::cantFail(foldThresholds(sample.rows())),
            std::vector<int64_t>{1});
  EXPECT_EQ(sample.threshold, (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(sample.decoder, (std::vector<float>{1.5, 2, 0, 0, -3, 21}));
  EXPECT_EQ(sample.bias, (std::vector<float>{0.5, -1, 2.0f / 3}));
  expectSameOutput(Sample(), sample);
}

TEST(Folding, DecoderRowsGetNormOne) {
  Sample sample;
  EXPECT_EQ(llvm::cantFail(foldDecoderNorms(sample.rows())),
            std::vector<int64_t>{1});
  EXPECT_FLOAT_EQ(sample.decoder[0], 0.6f);
  EXPECT_FLOAT_EQ(sample.threshold[0], 2.5f);
  EXPECT_EQ(sample.encoder[0], 5);
  expectSameOutput(Sample(), sample);
}

TEST(Folding, MeansBecomeOne) {
  Sample sample;
  EXPECT_EQ(llvm::cantFail(
                foldMeanActivations(sample.rows(), {4.0f, -1.0f, 0.0f})),
            (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(sample.encoder, (std::vector<float>{0.25, 0.5, -1, 3, 0.5, 4}));
  EXPECT_EQ(sample.threshold, (std::vector<float>{0.125, 0, 3}));
  EXPECT_EQ(sample.decoder, (std::vector<float>{12, 16, 0, 0, -1, 7}));
  expectSameOutput(Sample(), sample);
  EXPECT_EQ(llvm::toString(
                foldMeanActivations(sample.rows(), {1.0f}).takeError()),
            "there are 1 mean activations for 3 features");
  EXPECT_EQ(llvm::toString(
                foldMeanActivations(sample.rows(), {1, INFINITY, 1})
                    .takeError()),
            "the mean activation of feature 1 is not finite");
}

RC_GTEST_PROP(Folding, EveryFoldingKeepsTheOutput, ()) {
  // Away from the thresholds, where rounding decides which side one is on.
  auto number = [](int low, int high) {
    return static_cast<float>(*rc::gen::inRange(low, high)) / 8;
  };
  Sample before;
  std::vector<float> means;
  for (float &value : before.encoder)
    value = number(-40, 40);
  for (float &value : before.decoder)
    value = number(-40, 40);
  for (int i = 0; i < 3; ++i) {
    before.bias[i] = number(-20, 20);
    before.threshold[i] = number(-4, 20);
    means.push_back(number(-4, 40));
  }
  for (int what = 0; what < 3; ++what) {
    Sample sample = before;
    const std::vector<int64_t> left = llvm::cantFail(
        what == 0   ? foldThresholds(sample.rows())
        : what == 1 ? foldDecoderNorms(sample.rows())
                    : foldMeanActivations(sample.rows(), means));
    for (int i = 0; i < 3; ++i) {
      const bool zero =
          before.decoder[2 * i] == 0 && before.decoder[2 * i + 1] == 0;
      const bool stays = what == 0   ? before.threshold[i] <= 0
                         : what == 1 ? zero
                                     : means[i] <= 0;
      RC_ASSERT(stays ==
                (std::find(left.begin(), left.end(), i) != left.end()));
      if (stays)
        for (int k = 0; k < 2; ++k) {
          RC_ASSERT(sample.encoder[2 * i + k] == before.encoder[2 * i + k]);
          RC_ASSERT(sample.decoder[2 * i + k] == before.decoder[2 * i + k]);
        }
    }
    for (int trial = 0; trial < 20; ++trial) {
      const double x = number(-30, 30) + 1.0 / 97, y = number(-30, 30);
      bool close = false;
      for (int i = 0; i < 3; ++i) {
        const double z = x * before.encoder[2 * i] +
                         y * before.encoder[2 * i + 1] + before.bias[i];
        close |= std::fabs(z - before.threshold[i]) < 1e-3;
      }
      if (close)
        continue;
      const std::vector<double> one = before.output(x, y),
                                two = sample.output(x, y);
      for (int k = 0; k < 2; ++k)
        RC_ASSERT(std::fabs(one[k] - two[k]) < 1e-3);
    }
  }
}

TEST(Folding, ErrorsChangeNothing) {
  Sample sample;
  sample.threshold[2] = 1e-38f;
  sample.encoder[5] = 1e30f;
  const Sample before = sample;
  EXPECT_EQ(llvm::toString(foldThresholds(sample.rows()).takeError()),
            "feature 2 would leave the range of f32 when it is folded");
  EXPECT_EQ(sample.encoder, before.encoder);
  EXPECT_EQ(sample.decoder, before.decoder);
  sample.threshold[0] = NAN;
  EXPECT_EQ(llvm::toString(foldThresholds(sample.rows()).takeError()),
            "the threshold of feature 0 is not finite");
  sample.decoder[1] = INFINITY;
  EXPECT_EQ(llvm::toString(foldDecoderNorms(sample.rows()).takeError()),
            "the decoder row of feature 0 has NaN or infinity");
  FoldedRows rows = sample.rows();
  rows.threshold = nullptr;
  EXPECT_TRUE(llvm::errorToBool(foldThresholds(rows).takeError()));
}
