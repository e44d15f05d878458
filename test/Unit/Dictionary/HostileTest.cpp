//===- HostileTest.cpp - Files that are wrong ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every one of these is refused with an error that says where and why.
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"

#include "weir/Support/Files.h"

#include "gmock/gmock.h"
#include <rapidcheck/gtest.h>

#include <limits>

using namespace weir;
using namespace weir::test;
using testing::AllOf;
using testing::HasSubstr;

namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<Stored> tensors() {
  return {{"W_enc", {2, 3}, {1, 2, 3, 4, 5, 6}},
          {"W_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
          {"b_enc", {3}, {0.5f, -1, 2}},
          {"b_dec", {2}, {10, 1}}};
}

Stored &named(std::vector<Stored> &list, llvm::StringRef name) {
  for (Stored &tensor : list)
    if (tensor.name == name)
      return tensor;
  std::abort();
}

/// The error of opening sae_lens files.
std::string refusal(llvm::StringRef settings,
                    const std::vector<Stored> &list = tensors()) {
  Folder folder;
  folder.write("cfg.json", settings);
  folder.writeSafetensors("sae_weights.safetensors", list);
  return message(openDictionary(DictionaryFormat::SAELens, folder.path()));
}

/// Opens what is well formed, to be read.
std::shared_ptr<Dictionary> opened(const Folder &folder,
                                   const std::vector<Stored> &list,
                                   llvm::StringRef settings = "{}") {
  folder.write("cfg.json", settings);
  folder.writeSafetensors("sae_weights.safetensors", list);
  return take(openDictionary(DictionaryFormat::SAELens, folder.path()));
}

TEST(Hostile, Folders) {
  Folder folder;
  EXPECT_THAT(message(openDictionary(DictionaryFormat::SAELens,
                                     folder.path("nowhere"))),
              AllOf(HasSubstr("nowhere"), HasSubstr("no such folder"),
                    HasSubstr("cfg.json and sae_weights.safetensors")));
  folder.write("a_file", "");
  for (DictionaryFormat format :
       {DictionaryFormat::SAELens, DictionaryFormat::GemmaScope,
        DictionaryFormat::GemmaScope2, DictionaryFormat::LlamaScope})
    EXPECT_THAT(message(openDictionary(format, folder.path("a_file"))),
                HasSubstr("is a file"));
  EXPECT_THAT(message(openDictionary(DictionaryFormat::SAELens, folder.path())),
              HasSubstr("cfg.json"));
  folder.write("cfg.json", "{}");
  EXPECT_THAT(message(openDictionary(DictionaryFormat::SAELens, folder.path())),
              HasSubstr("sae_weights.safetensors"));
  EXPECT_THAT(message(openDictionary(DictionaryFormat::Neurons, folder.path())),
              HasSubstr("made from the model's weights"));
}

TEST(Hostile, Settings) {
  EXPECT_THAT(refusal("{"), HasSubstr("cfg.json"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("nested"));
  EXPECT_THAT(refusal(R"({"architecture": 3})"),
              HasSubstr("'architecture' must be a string, not 3"));
  EXPECT_THAT(refusal(R"({"apply_b_dec_to_input": "yes"})"),
              HasSubstr("must be true or false"));
  EXPECT_THAT(refusal(R"({"metadata": []})"),
              HasSubstr("'metadata' must be an object, not a list"));
  EXPECT_THAT(refusal(R"({"d_in": 2.5})"), HasSubstr("must be a whole number"));
}

TEST(Hostile, UnknownArchitecturesListTheKnown) {
  for (llvm::StringRef name : {"temporal", "abstopk", "Standard"})
    EXPECT_THAT(refusal(("{\"architecture\": \"" + name + "\"}").str()),
                AllOf(HasSubstr(name.str()), HasSubstr("known are standard, "
                                                       "jumprelu, topk")));
  for (llvm::StringRef version : {"", ", \"sae_lens_version\": \"5.3.2\""})
    EXPECT_THAT(
        refusal(("{\"activation_fn\": \"tanh-relu\"" + version + "}").str()),
        HasSubstr("supported are relu and topk"));
}

TEST(Hostile, WhatIsNotSupportedIsNotIgnored) {
  EXPECT_THAT(refusal(R"({"normalize_activations": "covariance_whitening"})"),
              HasSubstr("supported are none"));
  EXPECT_THAT(
      refusal(R"({"normalize_activations": "expected_average_only_in"})"),
      HasSubstr("activation_scaler.json"));
  EXPECT_THAT(refusal(R"({"normalize_activations": true,
                          "norm_scaling_factor": 0})"),
              HasSubstr("must be above 0"));
  EXPECT_THAT(refusal(R"({"reshape_activations": "other"})"),
              HasSubstr("'reshape_activations' is 'other'"));
  EXPECT_THAT(refusal(R"({"metadata": {"hook_head_index": 0}})"),
              HasSubstr("'metadata.hook_head_index' is set"));
  auto list = tensors();
  list.push_back({"scaling_factor", {3}, {1, 1, 1.5f}});
  EXPECT_THAT(refusal("{}", list), HasSubstr("scaling_factor[2] is not 1"));
  list = tensors();
  list.push_back({"W_skip", {2, 2}, {1, 0, 0, 1}});
  EXPECT_THAT(refusal("{}", list), HasSubstr("unexpected tensor 'W_skip'"));
  list = tensors();
  list.push_back({"threshold", {3}, {1, 1, 1}});
  EXPECT_THAT(refusal("{}", list), HasSubstr("unexpected tensor 'threshold'"));
}

TEST(Hostile, MissingTensorsNameWhatIsThere) {
  auto list = tensors();
  list.erase(list.begin() + 1);
  EXPECT_THAT(refusal("{}", list),
              AllOf(HasSubstr("W_dec"), HasSubstr("b_enc")));
  EXPECT_THAT(refusal(R"({"architecture": "jumprelu"})"),
              AllOf(HasSubstr("threshold"), HasSubstr("W_enc")));
  EXPECT_THAT(refusal(R"({"architecture": "gated"})"), HasSubstr("b_gate"));
}

TEST(Hostile, ShapesThatDisagree) {
  auto list = tensors();
  named(list, "W_dec") = {"W_dec", {2, 2}, {1, 2, 3, 4}};
  EXPECT_THAT(
      refusal("{}", list),
      HasSubstr("W_dec is [2, 2], but W_enc is [2, 3], so it must be [3, 2]"));
  list = tensors();
  named(list, "b_enc") = {"b_enc", {2}, {1, 2}};
  EXPECT_THAT(refusal("{}", list),
              HasSubstr("b_enc is [2], but W_enc is [2, 3]"));
  list = tensors();
  named(list, "b_dec") = {"b_dec", {3}, {1, 2, 3}};
  EXPECT_THAT(refusal("{}", list),
              HasSubstr("b_dec is [3], but W_dec is [3, 2]"));
  list = tensors();
  named(list, "W_enc") = {"W_enc", {6}, {1, 2, 3, 4, 5, 6}};
  EXPECT_THAT(refusal("{}", list),
              HasSubstr("W_enc is f32 [6]; expected 2 dimensions"));
  EXPECT_THAT(refusal(R"({"d_sae": 4})"),
              HasSubstr("'d_sae' is 4, but W_enc is [2, 3]"));
  EXPECT_THAT(refusal(R"({"d_in": -2})"),
              HasSubstr("'d_in' is -2, but W_enc is [2, 3]"));
}

TEST(Hostile, EmptyMatrices) {
  for (auto [width, features] : {std::pair<int64_t, int64_t>{0, 3}, {2, 0}}) {
    EXPECT_THAT(
        refusal("{}", {{"W_enc", {width, features}, {}},
                       {"W_dec", {features, width}, {}},
                       {"b_enc", {features}, std::vector<float>(features)},
                       {"b_dec", {width}, std::vector<float>(width)}}),
        HasSubstr("holds nothing"));
  }
}

TEST(Hostile, SizesAbove31Bits) {
  TensorView huge = view({1, 1}, {1});
  huge.shape = {int64_t(1) << 31, 1};
  EXPECT_THAT(message(unembeddingDictionary(huge)),
              AllOf(HasSubstr("[2147483648, 1]"), HasSubstr("below 2^31")));
}

TEST(Hostile, TopKBounds) {
  EXPECT_THAT(refusal(R"({"architecture": "topk"})"),
              HasSubstr("'k' is missing"));
  for (llvm::StringRef k : {"0", "-1", "4"})
    EXPECT_THAT(
        refusal(("{\"architecture\": \"topk\", \"k\": " + k + "}").str()),
        HasSubstr("for 3 features; expected 1 to 3"));
}

TEST(Hostile, NumbersThatAreNotFinite) {
  Folder folder;
  auto list = tensors();
  named(list, "W_enc").values[4] = nan;
  auto dictionary = opened(folder, list);
  EXPECT_THAT(message(dictionary->encoder({0, 1})),
              HasSubstr("W_enc[1, 1] is NaN"));
  // Another feature's number is not read.
  EXPECT_EQ(take(dictionary->encoder({0, 2})).weight.rows(), 2);

  list = tensors();
  named(list, "W_dec").values[5] = -infinity;
  dictionary = opened(folder, list);
  EXPECT_THAT(message(dictionary->decoder({})),
              HasSubstr("W_dec[2, 1] is infinite"));

  list = tensors();
  named(list, "b_dec").values[1] = infinity;
  dictionary = opened(folder, list);
  EXPECT_THAT(message(dictionary->encoder({0})),
              HasSubstr("b_dec[1] is infinite"));
  EXPECT_THAT(message(dictionary->decoderBias()), HasSubstr("b_dec[1]"));

  list = tensors();
  named(list, "b_enc").values[2] = nan;
  dictionary = opened(folder, list);
  EXPECT_THAT(message(dictionary->encoder({2})), HasSubstr("b_enc[2] is NaN"));

  list = tensors();
  list.push_back({"threshold", {3}, {1, nan, 1}});
  dictionary = opened(folder, list, R"({"architecture": "jumprelu"})");
  EXPECT_THAT(message(dictionary->encoder({1})),
              HasSubstr("threshold[1] is NaN"));
}

TEST(Hostile, NumbersThatDoNotFitOnceFolded) {
  Folder folder;
  auto list = tensors();
  named(list, "W_enc").values[0] = 3e38f;
  auto dictionary = opened(folder, list);
  EXPECT_THAT(message(dictionary->encoder({0})),
              HasSubstr("the encoder bias of feature 0 does not fit f32"));
  dictionary = opened(folder, list,
                      R"({"normalize_activations": true,
                          "norm_scaling_factor": 10,
                          "apply_b_dec_to_input": false})");
  EXPECT_THAT(message(dictionary->encoder({0})),
              HasSubstr("the encoder row of feature 0 does not fit f32"));
}

TEST(Hostile, ZeroDecoderRowsUnderTheirNorm) {
  Folder folder;
  auto list = tensors();
  named(list, "W_dec").values = {3, 4, 0, 0, 1, 0};
  auto dictionary = opened(folder, list, R"({"architecture": "topk", "k": 1,
      "rescale_acts_by_decoder_norm": true})");
  // It is never active and has no direction; the others are none of its affair.
  EncoderRows all = take(dictionary->encoder({}));
  EXPECT_TRUE(all.weight.row(1).isZero(0));
  EXPECT_EQ(all.bias[1], 0);
  EXPECT_FALSE(all.weight.row(0).isZero(0));
  EXPECT_EQ(take(dictionary->decoder({})),
            (RowMatrix(3, 2) << 0.6f, 0.8f, 0, 0, 1, 0).finished());
  EXPECT_THAT(message(dictionary->decoder({0, 1})),
              HasSubstr("the decoder row of feature 1 is zero"));
}

TEST(Hostile, FeaturesOutOfRange) {
  Folder folder;
  auto dictionary = opened(folder, tensors());
  for (int64_t feature : {int64_t(-1), int64_t(3), int64_t(1) << 40}) {
    EXPECT_THAT(message(dictionary->encoder({0, feature})),
                AllOf(HasSubstr("no feature " + std::to_string(feature)),
                      HasSubstr("0 to 2")));
    EXPECT_THAT(message(dictionary->decoder({feature})), HasSubstr("0 to 2"));
  }
}

TEST(Hostile, GemmaScope2Settings) {
  std::vector<Stored> list = tensors();
  list.push_back({"threshold", {3}, {1, 1, 1}});
  for (Stored &tensor : list)
    tensor.name = llvm::StringRef(tensor.name).lower();
  auto refusal = [&](llvm::StringRef settings) {
    Folder folder;
    folder.write("config.json", settings);
    folder.writeSafetensors("params.safetensors", list);
    return message(
        openDictionary(DictionaryFormat::GemmaScope2, folder.path()));
  };
  EXPECT_THAT(refusal(R"({"architecture": "topk"})"),
              AllOf(HasSubstr("'topk'"), HasSubstr("known is jump_relu")));
  EXPECT_THAT(refusal("{}"), HasSubstr("known is jump_relu"));
  EXPECT_THAT(refusal(R"({"architecture": "jump_relu",
                          "affine_connection": true})"),
              HasSubstr("no affine_skip_connection"));
  list.push_back({"affine_skip_connection", {2, 3}, {1, 2, 3, 4, 5, 6}});
  EXPECT_THAT(
      refusal(R"({"architecture": "jump_relu"})"),
      HasSubstr("affine_skip_connection is [2, 3], but w_enc is [2, 3], "
                "so it must be [2, 2]"));
  list.back() = {"w_extra", {1}, {0}};
  EXPECT_THAT(refusal(R"({"architecture": "jump_relu"})"),
              HasSubstr("unexpected tensor 'w_extra'"));
}

TEST(Hostile, GemmaScope2FoldersWithoutSettings) {
  std::vector<Stored> list = tensors();
  list.push_back({"threshold", {3}, {1, 1, 1}});
  auto open = [&](llvm::StringRef name) {
    Folder folder;
    folder.writeSafetensors((name + "/params.safetensors").str(), list);
    return openDictionary(DictionaryFormat::GemmaScope2, folder.path(name));
  };
  for (llvm::StringRef name :
       {"resid_post_all/12", "layer_12_width_16k", "resid_post/layer_x",
        "resid_post/layer_-1", "resid_post/layer_99999999999999999999",
        "crosscoder/layer_7"})
    EXPECT_THAT(message(open(name)),
                HasSubstr("does not say site and layer"))
        << name.str();
  EXPECT_EQ(take(open("attn_out_all/layer_7_width_16k"))->info().hookName,
            "model.layers.7.self_attn.o_proj.input");
  EXPECT_THAT(message(open("transcoder_all/layer_7_affine")),
              HasSubstr("no affine_skip_connection"));
}

TEST(Hostile, LlamaScopeSettings) {
  auto refusal = [&](llvm::StringRef settings) {
    Folder folder;
    folder.write("hyperparams.json", settings);
    folder.writeSafetensors("checkpoints/final.safetensors",
                            {{"encoder.weight", {3, 2}, {1, 2, 3, 4, 5, 6}},
                             {"encoder.bias", {3}, {1, 2, 3}},
                             {"decoder.weight", {2, 3}, {1, 2, 3, 4, 5, 6}},
                             {"decoder.bias", {2}, {1, 2}}});
    return message(openDictionary(DictionaryFormat::LlamaScope, folder.path()));
  };
  EXPECT_THAT(refusal(R"({"jump_relu_threshold": -0.5})"),
              HasSubstr("must not be negative"));
  EXPECT_THAT(refusal(R"({"act_fn": "gelu"})"),
              HasSubstr("known are relu, jumprelu and topk"));
  EXPECT_THAT(refusal(R"({"act_fn": "topk"})"),
              HasSubstr("'top_k' is missing"));
  EXPECT_THAT(refusal(R"({"use_glu_encoder": true})"),
              HasSubstr("not supported"));
  EXPECT_THAT(refusal(R"({"norm_activation": "batch-wise"})"),
              HasSubstr("supported are none, inference, token-wise"));
  EXPECT_THAT(refusal(R"({"norm_activation": "dataset-wise"})"),
              HasSubstr("'dataset_average_activation_norm.in' is missing"));
  EXPECT_THAT(refusal(R"({"norm_activation": "dataset-wise",
                          "dataset_average_activation_norm": {"in": 0}})"),
              HasSubstr("must be above 0"));
  EXPECT_THAT(refusal(R"({"d_model": 3})"),
              HasSubstr("'d_model' is 3, but encoder.weight is [3, 2]"));
  EXPECT_THAT(refusal(R"({"use_decoder_bias": false})"),
              HasSubstr("unexpected tensor 'decoder.bias'"));
}

TEST(Hostile, Directions) {
  Folder folder;
  folder.writeSafetensors("many.safetensors",
                          {{"a", {2}, {1, 1}}, {"b", {2}, {1, 2}}});
  EXPECT_THAT(message(openDictionary(DictionaryFormat::Directions,
                                     folder.path("many.safetensors"))),
              AllOf(HasSubstr("a, b"), HasSubstr("'directions'")));
  folder.writeSafetensors("none.safetensors", {});
  EXPECT_THAT(message(openDictionary(DictionaryFormat::Directions,
                                     folder.path("none.safetensors"))),
              HasSubstr("holds no tensor"));
  folder.writeSafetensors("deep.safetensors", {{"a", {1, 1, 2}, {1, 1}}});
  EXPECT_THAT(message(openDictionary(DictionaryFormat::Directions,
                                     folder.path("deep.safetensors"))),
              HasSubstr("expected [n, d] or [d]"));
  folder.writeSafetensors("tiny.safetensors", {{"a", {2}, {1e-40f, 0}}});
  auto tiny = take(openDictionary(DictionaryFormat::Directions,
                                  folder.path("tiny.safetensors")));
  EXPECT_THAT(message(tiny->encoder({0})), HasSubstr("too short"));
}

/// Files with bytes changed, lost or added are read or refused, never worse.
RC_GTEST_PROP(Hostile, DamagedFiles, ()) {
  Folder folder;
  auto list = tensors();
  list.push_back({"threshold", {3}, {1, 2, 3}});
  opened(folder, list,
         R"({"architecture": "jumprelu", "d_in": 2, "d_sae": 3, "k": 1,
             "normalize_activations": "none", "apply_b_dec_to_input": true,
             "metadata": {"hook_name": "blocks.0.hook_resid_post"}})");
  for (llvm::StringRef name : {"cfg.json", "sae_weights.safetensors"}) {
    std::string text = take(readText(folder.path(name)));
    auto places = *rc::gen::container<std::vector<size_t>>(
        *rc::gen::inRange(0, 4), rc::gen::inRange<size_t>(0, text.size()));
    for (size_t place : places)
      text[place] = *rc::gen::arbitrary<char>();
    if (*rc::gen::inRange(0, 12) == 11)
      text.resize(*rc::gen::inRange<size_t>(0, 2 * text.size()));
    folder.write(name, text);
  }
  auto dictionary = openDictionary(DictionaryFormat::SAELens, folder.path());
  RC_CLASSIFY(bool(dictionary), "read");
  if (!dictionary) {
    RC_ASSERT(!llvm::toString(dictionary.takeError()).empty());
    return;
  }
  auto settle = [](auto expected) {
    if (!expected)
      llvm::consumeError(expected.takeError());
  };
  settle((*dictionary)->encoder({}));
  settle((*dictionary)->decoder({}));
  settle((*dictionary)->decoderBias());
  settle((*dictionary)->contentHash());
}

} // namespace
