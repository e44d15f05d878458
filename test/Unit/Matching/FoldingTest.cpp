//===- FoldingTest.cpp - Tests of folding ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Folding.h"

#include <gtest/gtest.h>

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
