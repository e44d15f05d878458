//===- SAELensTest.cpp - sae_lens dictionaries, by hand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small numbers whose effective form is worked out here; the comparison with
// sae-lens itself is in test/Python/test_dictionaries.py.
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"

#include <rapidcheck/gtest.h>

#include <numeric>

using namespace weir;
using namespace weir::test;

namespace {

/// d = 2, F = 3. W_enc [2, 3], W_dec [3, 2].
std::vector<Stored> standardTensors() {
  return {{"W_enc", {2, 3}, {1, 2, 3, 4, 5, 6}},
          {"W_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
          {"b_enc", {3}, {0.5f, -1, 2}},
          {"b_dec", {2}, {10, 1}}};
}

std::shared_ptr<Dictionary> openIn(const Folder &folder,
                                   llvm::StringRef settings,
                                   const std::vector<Stored> &tensors) {
  folder.write("cfg.json", settings);
  folder.writeSafetensors("sae_weights.safetensors", tensors);
  return take(openDictionary(DictionaryFormat::SAELens, folder.path()));
}

TEST(SAELens, FoldsTheDecoderBias) {
  Folder folder;
  auto dictionary = openIn(folder, R"({"architecture": "standard",
      "d_in": 2, "d_sae": 3, "metadata": {"hook_name": "blocks.3.hook_mlp_out"}})",
                           standardTensors());
  const DictionaryInfo &info = dictionary->info();
  EXPECT_EQ(info.features, 3);
  EXPECT_EQ(info.inputWidth, 2);
  EXPECT_EQ(info.width, 2);
  EXPECT_EQ(info.activation, ActivationKind::ReLU);
  EXPECT_EQ(info.normalization, Normalization::None);
  EXPECT_EQ(info.hookName, "blocks.3.hook_mlp_out");
  EXPECT_TRUE(info.readsSite);

  EncoderRows rows = take(dictionary->encoder({}));
  EXPECT_EQ(rows.weight, (RowMatrix(3, 2) << 1, 4, 2, 5, 3, 6).finished());
  // b_enc - (10 w_0 + 1 w_1)
  EXPECT_EQ(rows.bias, (RowVector(3) << 0.5f - 14, -1 - 25, 2 - 36).finished());
  EXPECT_EQ(rows.threshold.size(), 0);
  EXPECT_EQ(rows.magnitudeScale.size(), 0);
  EXPECT_EQ(take(dictionary->decoder({})),
            (RowMatrix(3, 2) << 3, 4, 0, 2, 1, 0).finished());
  EXPECT_EQ(take(dictionary->decoderBias()),
            (RowVector(2) << 10, 1).finished());
}

TEST(SAELens, ChosenFeaturesComeInTheirOrder) {
  Folder folder;
  auto dictionary = openIn(folder, "{}", standardTensors());
  EncoderRows rows = take(dictionary->encoder({2, 0, 2}));
  EXPECT_EQ(rows.weight, (RowMatrix(3, 2) << 3, 6, 1, 4, 3, 6).finished());
  EXPECT_EQ(rows.bias, (RowVector(3) << -34, -13.5f, -34).finished());
  EXPECT_EQ(take(dictionary->decoder({2, 0, 2})),
            (RowMatrix(3, 2) << 1, 0, 3, 4, 1, 0).finished());
}

TEST(SAELens, LeavesTheInputAloneWhenTold) {
  Folder folder;
  auto dictionary =
      openIn(folder, R"({"apply_b_dec_to_input": false})", standardTensors());
  EXPECT_EQ(take(dictionary->encoder({})).bias,
            (RowVector(3) << 0.5f, -1, 2).finished());
}

TEST(SAELens, ThresholdsAreNeverNegative) {
  // relu(z) * [z > -1] is relu(z).
  Folder folder;
  auto tensors = standardTensors();
  tensors.push_back({"threshold", {3}, {0.25f, -1, 0}});
  auto dictionary = openIn(folder, R"({"architecture": "jumprelu"})", tensors);
  EXPECT_EQ(dictionary->info().activation, ActivationKind::JumpReLU);
  EXPECT_EQ(take(dictionary->encoder({})).threshold,
            (RowVector(3) << 0.25f, 0, 0).finished());
}

TEST(SAELens, ReadsLogarithmicThresholds) {
  Folder folder;
  auto tensors = standardTensors();
  tensors.push_back({"log_threshold", {3}, {0, 1, -2}});
  auto dictionary = openIn(folder, R"({"architecture": "jumprelu"})", tensors);
  RowVector threshold = take(dictionary->encoder({2, 1, 0})).threshold;
  EXPECT_FLOAT_EQ(threshold[0], std::exp(-2.0f));
  EXPECT_FLOAT_EQ(threshold[1], std::exp(1.0f));
  EXPECT_FLOAT_EQ(threshold[2], 1);
}

TEST(SAELens, TopKWithDecoderNorms) {
  Folder folder;
  auto dictionary = openIn(folder, R"({"architecture": "topk", "k": 2,
      "apply_b_dec_to_input": false, "rescale_acts_by_decoder_norm": true})",
                           standardTensors());
  EXPECT_EQ(dictionary->info().activation, ActivationKind::TopK);
  EXPECT_EQ(dictionary->info().topK, 2);
  // Norms 5, 2, 1.
  EncoderRows rows = take(dictionary->encoder({}));
  EXPECT_EQ(rows.weight, (RowMatrix(3, 2) << 5, 20, 4, 10, 3, 6).finished());
  EXPECT_EQ(rows.bias, (RowVector(3) << 2.5f, -2, 2).finished());
  EXPECT_EQ(take(dictionary->decoder({})),
            (RowMatrix(3, 2) << 0.6f, 0.8f, 0, 1, 1, 0).finished());
}

TEST(SAELens, TopKOfOldConfigurations) {
  Folder folder;
  auto dictionary = openIn(folder, R"({"activation_fn_str": "topk",
      "activation_fn_kwargs": {"k": 1}, "hook_point": "blocks.0.hook_resid_pre"})",
                           standardTensors());
  EXPECT_EQ(dictionary->info().activation, ActivationKind::TopK);
  EXPECT_EQ(dictionary->info().topK, 1);
  EXPECT_EQ(dictionary->info().hookName, "blocks.0.hook_resid_pre");
  EXPECT_EQ(take(dictionary->decoder({0})),
            (RowMatrix(1, 2) << 3, 4).finished());
}

TEST(SAELens, GatedFoldsIntoBothBiases) {
  Folder folder;
  auto tensors = standardTensors();
  tensors.erase(tensors.begin() + 2);
  tensors.push_back({"b_gate", {3}, {1, 2, 3}});
  tensors.push_back({"b_mag", {3}, {4, 5, 6}});
  tensors.push_back({"r_mag", {3}, {0, std::log(2.0f), 0}});
  auto dictionary = openIn(folder, R"({"architecture": "gated"})", tensors);
  EncoderRows rows = take(dictionary->encoder({0, 1}));
  EXPECT_EQ(rows.bias, (RowVector(2) << 1 - 14, 2 - 25).finished());
  EXPECT_FLOAT_EQ(rows.magnitudeScale[0], 1);
  EXPECT_FLOAT_EQ(rows.magnitudeScale[1], 2);
  EXPECT_FLOAT_EQ(rows.magnitudeBias[0], 4 - 14);
  EXPECT_FLOAT_EQ(rows.magnitudeBias[1], 5 - 2 * 25);
}

TEST(SAELens, AverageScaleIsFolded) {
  for (bool beside : {false, true}) {
    Folder folder;
    if (beside)
      folder.write("activation_scaler.json",
                   R"({"scaling_factor": 2.0, "has_whitening": false})");
    auto dictionary = openIn(
        folder,
        beside ? R"({"normalize_activations": "expected_average_only_in"})"
               : R"({"normalize_activations": true, "norm_scaling_factor": 2})",
        standardTensors());
    // (2 x - b_dec) W + b; W_dec / 2
    EncoderRows rows = take(dictionary->encoder({1}));
    EXPECT_EQ(rows.weight, (RowMatrix(1, 2) << 4, 10).finished());
    EXPECT_EQ(rows.bias[0], -26);
    EXPECT_EQ(take(dictionary->decoder({0})),
              (RowMatrix(1, 2) << 1.5f, 2).finished());
    EXPECT_EQ(take(dictionary->decoderBias()),
              (RowVector(2) << 5, 0.5f).finished());
    EXPECT_EQ(dictionary->info().normalization, Normalization::None);
  }
}

TEST(SAELens, NormalizationsOfTheToken) {
  Folder folder;
  auto constant =
      openIn(folder, R"({"normalize_activations": "constant_norm_rescale"})",
             standardTensors());
  EXPECT_EQ(constant->info().normalization, Normalization::ConstantNorm);
  auto layer = openIn(folder, R"({"normalize_activations": "layer_norm"})",
                      standardTensors());
  EXPECT_EQ(layer->info().normalization, Normalization::LayerNorm);
}

TEST(SAELens, FactorsOfOneAreNothing) {
  Folder folder;
  auto tensors = standardTensors();
  tensors.push_back({"scaling_factor", {3}, {1, 1, 1}});
  auto dictionary =
      openIn(folder, R"({"finetuning_scaling_factor": false})", tensors);
  EXPECT_EQ(take(dictionary->decoder({2})),
            (RowMatrix(1, 2) << 1, 0).finished());
}

TEST(SAELens, HashFollowsWhatMatters) {
  Folder a, b, c, d;
  auto tensors = standardTensors();
  std::string first = take(openIn(a, "{}", tensors)->contentHash());
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(take(openIn(b, R"({"metadata": {"hook_name": "x"}})", tensors)
                     ->contentHash()),
            first);
  EXPECT_NE(take(openIn(c, R"({"apply_b_dec_to_input": false})", tensors)
                     ->contentHash()),
            first);
  tensors[0].values[5] = 7;
  EXPECT_NE(take(openIn(d, "{}", tensors)->contentHash()), first);
}

/// Rows that were asked for are the same as rows out of the whole.
RC_GTEST_PROP(SAELens, AnyFeaturesAreRowsOfAll, ()) {
  int64_t width = *rc::gen::inRange<int64_t>(1, 40);
  int64_t features = *rc::gen::inRange<int64_t>(1, 60);
  auto numbers = [](int64_t count) {
    return *rc::gen::container<std::vector<float>>(
        count, rc::gen::map(rc::gen::inRange(-999, 1000),
                            [](int n) { return n / 64.0f; }));
  };
  std::vector<Stored> tensors = {
      {"W_enc", {width, features}, numbers(width * features)},
      {"W_dec", {features, width}, numbers(width * features)},
      {"b_enc", {features}, numbers(features)},
      {"b_dec", {width}, numbers(width)}};
  auto chosen = *rc::gen::nonEmpty(rc::gen::container<std::vector<int64_t>>(
      rc::gen::inRange<int64_t>(0, features)));
  Folder folder;
  auto dictionary = openIn(folder, "{}", tensors);
  EncoderRows all = take(dictionary->encoder({}));
  EncoderRows some = take(dictionary->encoder(chosen));
  RowMatrix allDecoder = take(dictionary->decoder({}));
  RowMatrix someDecoder = take(dictionary->decoder(chosen));
  RC_ASSERT(some.weight.rows() == static_cast<int64_t>(chosen.size()));
  for (size_t i = 0; i < chosen.size(); ++i) {
    RC_ASSERT(some.weight.row(i) == all.weight.row(chosen[i]));
    RC_ASSERT(some.bias[i] == all.bias[chosen[i]]);
    RC_ASSERT(someDecoder.row(i) == allDecoder.row(chosen[i]));
    for (int64_t j = 0; j < width; ++j)
      RC_ASSERT(some.weight(i, j) ==
                tensors[0].values[j * features + chosen[i]]);
  }
}

} // namespace
