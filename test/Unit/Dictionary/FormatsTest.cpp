//===- FormatsTest.cpp - The other formats, by hand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"

#include <cmath>

using namespace weir;
using namespace weir::test;

namespace {

TEST(Formats, HaveNames) {
  for (DictionaryFormat format :
       {DictionaryFormat::SAELens, DictionaryFormat::GemmaScope,
        DictionaryFormat::GemmaScope2, DictionaryFormat::LlamaScope,
        DictionaryFormat::Neurons, DictionaryFormat::Unembedding,
        DictionaryFormat::Directions})
    EXPECT_EQ(parseDictionaryFormat(nameOf(format)), format);
  EXPECT_EQ(nameOf(DictionaryFormat::GemmaScope2), "gemma_scope_2");
  EXPECT_EQ(parseDictionaryFormat("saelens"), std::nullopt);
}

std::vector<Stored> gemmaTensors() {
  return {{"w_enc", {2, 3}, {1, 2, 3, 4, 5, 6}},
          {"w_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
          {"b_enc", {3}, {0.5f, -1, 2}},
          {"b_dec", {2}, {10, 1}},
          {"threshold", {3}, {0.25f, 1, 2}}};
}

TEST(GemmaScope2, LeavesTheInputAlone) {
  Folder folder;
  folder.write("config.json",
               R"({"architecture": "jump_relu", "width": 3, "l0": 20,
                   "hf_hook_point_in": "model.layers.4.output",
                   "hf_hook_point_out": "model.layers.4.output",
                   "affine_connection": false})");
  folder.writeSafetensors("params.safetensors", gemmaTensors());
  auto dictionary =
      take(openDictionary(DictionaryFormat::GemmaScope2, folder.path()));
  EXPECT_EQ(dictionary->info().activation, ActivationKind::JumpReLU);
  EXPECT_EQ(dictionary->info().hookName, "model.layers.4.output");
  EXPECT_TRUE(dictionary->info().readsSite);
  EncoderRows rows = take(dictionary->encoder({2}));
  EXPECT_EQ(rows.weight, (RowMatrix(1, 2) << 3, 6).finished());
  EXPECT_EQ(rows.bias[0], 2);
  EXPECT_EQ(rows.threshold[0], 2);
  EXPECT_EQ(take(dictionary->decoderBias()),
            (RowVector(2) << 10, 1).finished());
}

TEST(GemmaScope2, TranscodersAreReadAtTheirInput) {
  Folder folder;
  folder.write("config.json",
               R"({"architecture": "jump_relu", "affine_connection": true,
          "hf_hook_point_in": "model.layers.4.pre_feedforward_layernorm.output",
          "hf_hook_point_out": "model.layers.4.post_feedforward_layernorm.output"})");
  auto tensors = gemmaTensors();
  tensors.push_back({"affine_skip_connection", {2, 2}, {1, 0, 0, 1}});
  folder.writeSafetensors("params.safetensors", tensors);
  auto dictionary =
      take(openDictionary(DictionaryFormat::GemmaScope2, folder.path()));
  EXPECT_FALSE(dictionary->info().readsSite);
  EXPECT_EQ(dictionary->info().outputHookName,
            "model.layers.4.post_feedforward_layernorm.output");
  EXPECT_EQ(take(dictionary->decoder({1})),
            (RowMatrix(1, 2) << 0, 2).finished());
  EXPECT_EQ(dictionary->info().hookName,
            "model.layers.4.pre_feedforward_layernorm.output");
  EXPECT_EQ(take(dictionary->encoder({1})).weight.rows(), 1);
}

std::vector<Stored> llamaTensors() {
  // d = 4, F = 2; decoder columns (0, 3, 0, 4) and (0.5, 0, 0, 0).
  return {{"encoder.weight", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}},
          {"encoder.bias", {2}, {1, -2}},
          {"decoder.weight", {4, 2}, {0, 0.5f, 3, 0, 0, 0, 4, 0}},
          {"decoder.bias", {4}, {2, 0, 0, 1}}};
}

std::shared_ptr<Dictionary> openLlama(const Folder &folder,
                                      llvm::StringRef settings) {
  folder.write("hyperparams.json", settings);
  folder.writeSafetensors("checkpoints/final.safetensors", llamaTensors());
  return take(openDictionary(DictionaryFormat::LlamaScope, folder.path()));
}

TEST(LlamaScope, FoldsTheDatasetNormAndTheDecoderNorm) {
  // sqrt(4) / 0.5 = 4 on both sides.
  Folder folder;
  auto dictionary = openLlama(folder, R"({"d_model": 4, "d_sae": 2,
      "act_fn": "jumprelu", "jump_relu_threshold": 0.75,
      "norm_activation": "dataset-wise", "sparsity_include_decoder_norm": true,
      "apply_decoder_bias_to_pre_encoder": false, "use_decoder_bias": true,
      "dataset_average_activation_norm": {"in": 0.5, "out": 0.5},
      "hook_point_in": "blocks.24.hook_resid_post",
      "hook_point_out": "blocks.24.hook_resid_post"})");
  EXPECT_EQ(dictionary->info().features, 2);
  EXPECT_EQ(dictionary->info().width, 4);
  EXPECT_EQ(dictionary->info().hookName, "blocks.24.hook_resid_post");
  EncoderRows rows = take(dictionary->encoder({}));
  // Rows times the norms 5 and 0.5; biases over 4 as well.
  EXPECT_EQ(rows.weight,
            (RowMatrix(2, 4) << 5, 10, 15, 20, 2.5f, 3, 3.5f, 4).finished());
  EXPECT_EQ(rows.bias, (RowVector(2) << 1.25f, -0.25f).finished());
  EXPECT_EQ(rows.threshold, (RowVector(2) << 0.75f, 0.75f).finished());
  EXPECT_EQ(take(dictionary->decoder({})),
            (RowMatrix(2, 4) << 0, 0.6f, 0, 0.8f, 1, 0, 0, 0).finished());
  EXPECT_EQ(take(dictionary->decoderBias()),
            (RowVector(4) << 0.5f, 0, 0, 0.25f).finished());
}

TEST(LlamaScope, SettingsHaveTheDefaultsOfItsCode) {
  Folder folder;
  auto dictionary = openLlama(folder, "{}");
  EXPECT_EQ(dictionary->info().activation, ActivationKind::ReLU);
  EXPECT_EQ(dictionary->info().normalization, Normalization::ConstantNorm);
  // The decoder bias is subtracted, then the norm counts: 5 (1 - (2 + 4)).
  EXPECT_EQ(take(dictionary->encoder({0})).bias[0], -25);
}

TEST(LlamaScope, TopKWithAThresholdIsJumpReLU) {
  Folder folder;
  EXPECT_EQ(
      openLlama(folder, R"({"act_fn": "topk", "top_k": 1})")->info().activation,
      ActivationKind::TopK);
  EXPECT_EQ(openLlama(folder, R"({"act_fn": "topk", "top_k": 1,
                                  "jump_relu_threshold": 0.5})")
                ->info()
                .activation,
            ActivationKind::JumpReLU);
}

TEST(Directions, ReadingGivesBackWhatWasSet) {
  Folder folder;
  folder.writeSafetensors("two.safetensors",
                          {{"any", {2, 2}, {3, 4, 0, 0.5f}}});
  auto dictionary = take(openDictionary(DictionaryFormat::Directions,
                                        folder.path("two.safetensors")));
  EXPECT_EQ(dictionary->info().activation, ActivationKind::Identity);
  EncoderRows rows = take(dictionary->encoder({}));
  RowMatrix decoder = take(dictionary->decoder({}));
  for (int i : {0, 1})
    EXPECT_FLOAT_EQ(rows.weight.row(i).dot(decoder.row(i)), 1);
  EXPECT_EQ(rows.bias, RowVector::Zero(2));
  EXPECT_EQ(take(dictionary->decoderBias()), RowVector::Zero(2));
}

TEST(Directions, OneVectorIsOneFeature) {
  Folder folder;
  folder.writeSafetensors("one.safetensors", {{"v", {3}, {0, 2, 0}}});
  auto dictionary = take(openDictionary(DictionaryFormat::Directions,
                                        folder.path("one.safetensors")));
  EXPECT_EQ(dictionary->info().features, 1);
  EXPECT_EQ(dictionary->info().width, 3);
  EXPECT_EQ(take(dictionary->encoder({0})).weight,
            (RowMatrix(1, 3) << 0, 0.5f, 0).finished());
}

TEST(Directions, TheTensorCalledDirections) {
  Folder folder;
  folder.writeSafetensors("d.safetensors",
                          {{"a", {2}, {1, 1}}, {"directions", {1, 2}, {2, 0}}});
  auto dictionary = take(openDictionary(DictionaryFormat::Directions,
                                        folder.path("d.safetensors")));
  EXPECT_EQ(take(dictionary->decoder({0})),
            (RowMatrix(1, 2) << 2, 0).finished());
}

TEST(Unembedding, RowsAreTheTokens) {
  auto dictionary =
      take(unembeddingDictionary(view({3, 2}, {1, 1, 0, 2, 0, 0})));
  EXPECT_EQ(dictionary->info().features, 3);
  EXPECT_TRUE(dictionary->info().readsSite);
  EXPECT_EQ(take(dictionary->encoder({1, 0})).weight,
            (RowMatrix(2, 2) << 0, 0.5f, 0.5f, 0.5f).finished());
  EXPECT_EQ(take(dictionary->decoder({2})), RowMatrix::Zero(1, 2));
  std::string error = message(dictionary->encoder({2}));
  EXPECT_NE(error.find("zero row at 2"), std::string::npos) << error;
}

TEST(Neurons, DecoderRowsAreColumnsOfDown) {
  TensorView gate = view({3, 2}, {1, 2, 3, 4, 5, 6});
  TensorView up = view({3, 2}, {0, 0, 0, 0, 0, 0});
  TensorView down = view({2, 3}, {7, 8, 9, 10, 11, 12});
  auto dictionary = take(neuronsDictionary(gate, up, down, false));
  EXPECT_FALSE(dictionary->info().readsSite);
  EXPECT_EQ(dictionary->info().features, 3);
  EXPECT_EQ(take(dictionary->encoder({1})).weight,
            (RowMatrix(1, 2) << 3, 4).finished());
  EXPECT_EQ(take(dictionary->decoder({0, 2})),
            (RowMatrix(2, 2) << 7, 10, 9, 12).finished());
  auto other = take(neuronsDictionary(gate, std::nullopt, down, false));
  EXPECT_NE(take(other->contentHash()), take(dictionary->contentHash()));
}

TEST(Neurons, TransposedAsInConv1D) {
  auto dictionary =
      take(neuronsDictionary(view({2, 3}, {1, 3, 5, 2, 4, 6}), std::nullopt,
                             view({3, 2}, {7, 10, 8, 11, 9, 12}), true));
  EXPECT_EQ(take(dictionary->encoder({1})).weight,
            (RowMatrix(1, 2) << 3, 4).finished());
  EXPECT_EQ(take(dictionary->decoder({2})),
            (RowMatrix(1, 2) << 9, 12).finished());
}

TEST(Neurons, ShapesAreTiedTogether) {
  std::string error =
      message(neuronsDictionary(view({3, 2}, {1, 2, 3, 4, 5, 6}), std::nullopt,
                                view({3, 2}, {1, 2, 3, 4, 5, 6}), false));
  EXPECT_NE(
      error.find("down is [3, 2], but up is [3, 2], so it must be [2, 3]"),
      std::string::npos)
      << error;
}

} // namespace
