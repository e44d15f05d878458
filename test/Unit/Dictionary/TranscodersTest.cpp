//===- TranscodersTest.cpp - Formats beyond autoencoders, by hand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Transcoders, crosscoders and files with one direction a layer. Small numbers
// whose effective form is worked out here; the comparison with the formats' own
// libraries is in test/Python/test_dictionary_formats.py.
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"

#include <gmock/gmock.h>

using namespace weir;
using namespace weir::test;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace {

DictionaryPlace atLayer(int64_t layer, bool readsKnown = false) {
  DictionaryPlace place;
  place.layer = place.firstLayer = place.lastLayer = layer;
  place.readsKnown = readsKnown;
  return place;
}

DictionaryPlace sharedBy(int64_t first, int64_t last, int64_t layer) {
  DictionaryPlace place = atLayer(layer);
  place.firstLayer = first;
  place.lastLayer = last;
  return place;
}

//===----------------------------------------------------------------------===//
// sae_lens
//===----------------------------------------------------------------------===//

/// d = 2, F = 3. W_enc [2, 3], W_dec [3, 2].
std::vector<Stored> transcoderTensors() {
  return {{"W_enc", {2, 3}, {1, 2, 3, 4, 5, 6}},
          {"W_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
          {"b_enc", {3}, {0.5f, -1, 2}},
          {"b_dec", {2}, {10, 1}}};
}

llvm::Expected<std::shared_ptr<Dictionary>>
openSaeLens(const Folder &folder, const std::string &more,
            const std::vector<Stored> &tensors, bool readsKnown = false) {
  folder.write("cfg.json",
               "{\"d_in\": 2, \"d_sae\": 3, \"d_out\": 2, " + more + "}");
  folder.writeSafetensors("sae_weights.safetensors", tensors);
  return openDictionary(DictionaryFormat::SAELens, folder.path(), {},
                        atLayer(3, readsKnown));
}

TEST(SaeLensTranscoder, ReadsAndWritesAtItsHooks) {
  Folder folder;
  auto dictionary = take(openSaeLens(
      folder, R"("architecture": "transcoder", "metadata":
          {"hook_name": "blocks.3.hook_resid_mid",
           "hook_name_out": "blocks.3.hook_mlp_out"})",
      transcoderTensors()));
  EXPECT_FALSE(dictionary->info().readsSite);
  EXPECT_EQ(dictionary->info().hookName, "blocks.3.hook_resid_mid");
  EXPECT_EQ(dictionary->info().outputHookName, "blocks.3.hook_mlp_out");
  EncoderRows rows = take(dictionary->encoder({}));
  EXPECT_EQ(rows.weight, (RowMatrix(3, 2) << 1, 4, 2, 5, 3, 6).finished());
  // b_dec is of the output, and not taken from the input.
  EXPECT_EQ(rows.bias, (RowVector(3) << 0.5f, -1, 2).finished());
}

TEST(SaeLensTranscoder, SkipsCountAsContentAlone) {
  Folder plain, skip;
  std::string hooks = R"(, "metadata": {"hook_name": "blocks.3.mlp.hook_in",
                                        "hook_name_out": "blocks.3.hook_mlp_out"})";
  auto tensors = transcoderTensors();
  tensors.push_back({"W_skip", {2, 2}, {1, 2, 3, 4}});
  auto with = take(openSaeLens(
      skip, R"("architecture": "skip_transcoder")" + hooks, tensors));
  auto without = take(openSaeLens(
      plain, R"("architecture": "transcoder")" + hooks, transcoderTensors()));
  EXPECT_EQ(take(with->decoder({})), take(without->decoder({})));
  EXPECT_NE(take(with->contentHash()), take(without->contentHash()));
}

TEST(SaeLensTranscoder, WhereNothingSaysWhereItReads) {
  Folder folder;
  std::string normalized = R"("architecture": "transcoder", "metadata":
      {"hook_name": "blocks.3.ln2.hook_normalized"})";
  auto dictionary =
      take(openSaeLens(folder, normalized, transcoderTensors()));
  EXPECT_THAT(message(dictionary->encoder({0})),
              AllOf(HasSubstr("'blocks.3.ln2.hook_normalized'"),
                    HasSubstr("say with `reads`")));
  EXPECT_EQ(take(dictionary->decoder({0})),
            (RowMatrix(1, 2) << 3, 4).finished());
  Folder told;
  EXPECT_EQ(take(take(openSaeLens(told, normalized, transcoderTensors(),
                                  /*readsKnown=*/true))
                     ->encoder({0}))
                .bias[0],
            0.5f);
}

TEST(SaeLensTranscoder, WhatItCannotSay) {
  auto refusal = [](const std::string &settings) {
    Folder folder;
    return message(openSaeLens(folder, settings, transcoderTensors()));
  };
  EXPECT_THAT(refusal(R"("architecture": "transcoder",
                         "apply_b_dec_to_input": true)"),
              HasSubstr("'apply_b_dec_to_input' is true, which a transcoder"));
  EXPECT_THAT(refusal(R"("architecture": "transcoder",
                         "normalize_activations": "layer_norm")"),
              HasSubstr("transcoders that normalise their input"));
  EXPECT_THAT(refusal(R"("architecture": "skip_transcoder")"),
              HasSubstr("no tensor 'W_skip'"));
  EXPECT_THAT(refusal(R"("architecture": "jumprelu_transcoder")"),
              HasSubstr("no tensor 'threshold'"));
}

TEST(SaeLensTranscoder, OtherWidthsOfferTheirDecoderAlone) {
  Folder folder;
  folder.write("cfg.json", R"({"architecture": "transcoder", "d_in": 1,
      "d_out": 2, "d_sae": 3, "metadata": {"hook_name": "blocks.3.hook_z"}})");
  auto tensors = transcoderTensors();
  tensors[0] = {"W_enc", {1, 3}, {1, 2, 3}};
  folder.writeSafetensors("sae_weights.safetensors", tensors);
  auto dictionary = take(openDictionary(DictionaryFormat::SAELens, folder.path(),
                                        {}, atLayer(3, true)));
  EXPECT_EQ(dictionary->info().width, 2);
  EXPECT_THAT(message(dictionary->encoder({0})),
              HasSubstr("reads values of 1 numbers and writes 2"));
}

//===----------------------------------------------------------------------===//
// sparsify
//===----------------------------------------------------------------------===//

std::vector<Stored> sparsifyTensors() {
  return {{"encoder.weight", {3, 2}, {1, 4, 2, 5, 3, 6}},
          {"encoder.bias", {3}, {0.5f, -1, 2}},
          {"W_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
          {"b_dec", {2}, {10, 1}}};
}

llvm::Expected<std::shared_ptr<Dictionary>>
openIn(const Folder &folder, llvm::StringRef name, llvm::StringRef settings,
       const std::vector<Stored> &tensors) {
  folder.write((name + "/cfg.json").str(), settings);
  folder.writeSafetensors((name + "/sae.safetensors").str(), tensors);
  return openDictionary(DictionaryFormat::Sparsify, folder.path(name), {},
                        atLayer(3));
}

TEST(Sparsify, AnAutoencoderIsOfItsModulesOutput) {
  Folder folder;
  auto dictionary =
      take(openIn(folder, "layers.3", R"({"k": 2, "d_in": 2})",
                  sparsifyTensors()));
  EXPECT_EQ(dictionary->info().activation, ActivationKind::TopK);
  EXPECT_EQ(dictionary->info().topK, 2);
  EXPECT_TRUE(dictionary->info().readsSite);
  EXPECT_EQ(dictionary->info().hookName, "layers.3");
  // b - (10 w_0 + 1 w_1)
  EXPECT_EQ(take(dictionary->encoder({})).bias,
            (RowVector(3) << 0.5f - 14, -1 - 25, 2 - 36).finished());
}

TEST(Sparsify, ATranscoderIsOfItsModule) {
  Folder folder;
  auto tensors = sparsifyTensors();
  tensors.push_back({"W_skip", {2, 2}, {1, 2, 3, 4}});
  auto dictionary = take(openIn(
      folder, "layers.3.mlp",
      R"({"k": 2, "d_in": 2, "transcode": true, "skip_connection": true})",
      tensors));
  EXPECT_FALSE(dictionary->info().readsSite);
  EXPECT_EQ(dictionary->info().hookName, "layers.3.mlp.input");
  EXPECT_EQ(dictionary->info().outputHookName, "layers.3.mlp.output");
  EXPECT_EQ(take(dictionary->encoder({})).bias,
            (RowVector(3) << 0.5f, -1, 2).finished());
}

TEST(Sparsify, WhatItCannotSay) {
  auto refusal = [](llvm::StringRef settings) {
    Folder folder;
    return message(openIn(folder, "layers.3", settings, sparsifyTensors()));
  };
  EXPECT_THAT(refusal(R"({"activation": "groupmax"})"),
              HasSubstr("'activation' is 'groupmax'"));
  EXPECT_THAT(refusal(R"({"signed": true})"), HasSubstr("'signed' is true"));
  EXPECT_THAT(refusal(R"({"k": 4})"), HasSubstr("k = 4 for 3 features"));
  EXPECT_THAT(refusal(R"({"k": 2, "skip_connection": true})"),
              HasSubstr("no tensor 'W_skip'"));
  EXPECT_THAT(refusal(R"({"k": 2, "d_in": 3})"), HasSubstr("'d_in' is 3"));
  Folder folder;
  auto tensors = sparsifyTensors();
  tensors.push_back({"W_skip", {2, 2}, {1, 2, 3, 4}});
  EXPECT_THAT(message(openIn(folder, "layers.3", R"({"k": 2})", tensors)),
              HasSubstr("unexpected tensor 'W_skip'"));
}

//===----------------------------------------------------------------------===//
// circuit_tracer
//===----------------------------------------------------------------------===//

TEST(CircuitTracer, PerLayer) {
  Folder folder;
  std::vector<Stored> tensors = {
      {"W_enc", {3, 2}, {1, 4, 2, 5, 3, 6}},
      {"W_dec", {3, 2}, {3, 4, 0, 2, 1, 0}},
      {"b_enc", {3}, {0.5f, -1, 2}},
      {"b_dec", {2}, {10, 1}},
      {"activation_function.threshold", {3}, {1, 0, -1}}};
  folder.writeSafetensors("layer_3.safetensors", tensors);
  auto open = [&](const DictionaryPlace &place) {
    return openDictionary(DictionaryFormat::CircuitTracer,
                          folder.path("layer_3.safetensors"), {}, place);
  };
  EXPECT_THAT(message(take(open(atLayer(3)))->encoder({0})),
              HasSubstr("a place that its files do not name"));
  folder.write("config.yaml", "model_name: \"x\"\nfeature_input_hook: "
                              "\"hook_resid_mid\"\n"
                              "feature_output_hook: hook_mlp_out # written\n");
  auto dictionary = take(open(atLayer(3)));
  EXPECT_EQ(dictionary->info().hookName, "blocks.3.hook_resid_mid");
  EXPECT_EQ(dictionary->info().outputHookName, "blocks.3.hook_mlp_out");
  EXPECT_EQ(dictionary->info().activation, ActivationKind::JumpReLU);
  EXPECT_EQ(take(dictionary->encoder({0, 1})).threshold,
            (RowVector(2) << 1, 0).finished());
  // x [x > theta] without a ReLU.
  EXPECT_THAT(message(dictionary->encoder({2})),
              HasSubstr("the threshold of feature 2 is negative"));
  EXPECT_THAT(message(open(sharedBy(3, 5, 3))),
              HasSubstr("write {layer} in the path"));
  folder.write("config.yaml", "activation: topk\n");
  EXPECT_THAT(message(open(atLayer(3))), HasSubstr("'activation' is 'topk'"));
}

TEST(CircuitTracer, OlderFilesHaveTheDecoderTheOtherWayRound) {
  Folder folder;
  folder.writeSafetensors("layer_3.safetensors",
                          {{"W_enc", {3, 2}, {1, 4, 2, 5, 3, 6}},
                           {"W_dec", {2, 3}, {3, 0, 1, 4, 2, 0}},
                           {"b_enc", {3}, {0.5f, -1, 2}},
                           {"b_dec", {2}, {10, 1}}});
  auto dictionary = take(openDictionary(DictionaryFormat::CircuitTracer,
                                        folder.path("layer_3.safetensors"), {},
                                        atLayer(3, true)));
  EXPECT_EQ(take(dictionary->decoder({})),
            (RowMatrix(3, 2) << 3, 4, 0, 2, 1, 0).finished());
  EXPECT_EQ(dictionary->info().activation, ActivationKind::ReLU);
}

/// Two features at layer 1, which write at layers 1, 2 and 3.
void writeCrossLayer(const Folder &folder) {
  folder.writeSafetensors("W_enc_1.safetensors",
                          {{"W_enc_1", {2, 2}, {1, 2, 3, 4}},
                           {"b_enc_1", {2}, {5, 6}},
                           {"b_dec_1", {2}, {7, 8}}});
  folder.writeSafetensors(
      "W_dec_1.safetensors",
      {{"W_dec_1", {2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}});
}

llvm::Expected<std::shared_ptr<Dictionary>>
openCrossLayer(const Folder &folder, std::optional<int64_t> target,
               int64_t layer = 1) {
  DictionaryPlace place = atLayer(layer, true);
  place.target = target;
  return openDictionary(DictionaryFormat::CircuitTracer, folder.path(), {},
                        place);
}

TEST(CircuitTracer, AcrossLayers) {
  Folder folder;
  writeCrossLayer(folder);
  auto own = take(openCrossLayer(folder, std::nullopt));
  EXPECT_EQ(own->info().lastTarget, 3);
  EXPECT_EQ(own->info().features, 2);
  EXPECT_EQ(own->info().width, 2);
  EXPECT_EQ(take(own->decoder({})),
            (RowMatrix(2, 2) << 1, 2, 7, 8).finished());
  auto last = take(openCrossLayer(folder, 3));
  EXPECT_EQ(take(last->decoder({1, 0})),
            (RowMatrix(2, 2) << 11, 12, 5, 6).finished());
  EXPECT_EQ(take(last->encoder({1})).weight,
            (RowMatrix(1, 2) << 3, 4).finished());
  // The bias at a layer is not one layer's features'.
  EXPECT_EQ(take(own->decoderBias()), (RowVector(2) << 7, 8).finished());
  EXPECT_EQ(take(last->decoderBias()), (RowVector(2) << 0, 0).finished());
  EXPECT_NE(take(own->contentHash()), take(last->contentHash()));
}

TEST(CircuitTracer, AcrossLayersRefusals) {
  Folder folder;
  writeCrossLayer(folder);
  EXPECT_THAT(message(openCrossLayer(folder, 4)),
              HasSubstr("it does not write at layer 4"));
  EXPECT_THAT(message(openCrossLayer(folder, 0)),
              HasSubstr("it does not write at layer 0"));
  EXPECT_THAT(message(openCrossLayer(folder, std::nullopt, 2)),
              HasSubstr("W_enc_2.safetensors"));
  EXPECT_THAT(message(openDictionary(DictionaryFormat::CircuitTracer,
                                     folder.path())),
              HasSubstr("which layer's features are meant is not said"));
  folder.writeSafetensors("W_dec_1.safetensors",
                          {{"W_dec_1", {2, 1, 3}, {1, 2, 3, 4, 5, 6}}});
  EXPECT_THAT(message(openCrossLayer(folder, std::nullopt)),
              HasSubstr("b_dec_1 is [2], but W_dec_1 is [2, 3]"));
  folder.writeSafetensors("W_dec_1.safetensors",
                          {{"W_dec_1", {1, 2, 3}, {1, 2, 3, 4, 5, 6}}});
  EXPECT_THAT(message(openCrossLayer(folder, std::nullopt)),
              HasSubstr("so it must be [2, 2, 3]"));
}

//===----------------------------------------------------------------------===//
// crosscoder
//===----------------------------------------------------------------------===//

TEST(Crosscoder, EachLayerHasItsDecoder) {
  Folder module, stacked;
  // n = 2, d = 2, F = 3.
  module.writeSafetensors(
      "model.safetensors",
      {{"encoder.weight", {2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
       {"encoder.bias", {3}, {1, 2, 3}},
       {"decoder.weight", {2, 3, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
       {"decoder.bias", {2, 2}, {1, 2, 3, 4}}});
  stacked.writeSafetensors(
      "model.safetensors",
      {{"W_enc", {2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
       {"b_enc", {3}, {1, 2, 3}},
       {"W_dec", {3, 2, 2}, {1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12}},
       {"b_dec", {2, 2}, {1, 2, 3, 4}}});
  for (const Folder *folder : {&module, &stacked}) {
    auto open = [&](int64_t first, int64_t last, int64_t layer) {
      return openDictionary(DictionaryFormat::Crosscoder, folder->path(), {},
                            sharedBy(first, last, layer));
    };
    auto second = take(open(6, 7, 7));
    EXPECT_EQ(second->info().features, 3);
    EXPECT_EQ(take(second->decoder({2, 0})),
              (RowMatrix(2, 2) << 11, 12, 7, 8).finished());
    EXPECT_EQ(take(second->decoderBias()), (RowVector(2) << 3, 4).finished());
    EXPECT_EQ(take(take(open(6, 7, 6))->decoder({1})),
              (RowMatrix(1, 2) << 3, 4).finished());
    EXPECT_THAT(message(second->encoder({0})),
                HasSubstr("a crosscoder reads 2 values together"));
    EXPECT_THAT(message(open(6, 8, 7)),
                HasSubstr("a crosscoder of 2 values, and the dictionary covers "
                          "3 layers"));
    EXPECT_THAT(message(open(6, 6, 6)), HasSubstr("covers 1 layer:"));
  }
}

TEST(Crosscoder, ValuesThatAreNormalisedAreBroughtBack) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  auto open = [](const std::vector<float> &mean, const std::vector<float> &std,
                 const std::vector<float> &scale, bool other = false) {
    Folder folder;
    std::vector<Stored> tensors = {
        {"encoder.weight", {2, 2, 1}, {1, 2, 3, 4}},
        {"encoder.bias", {1}, {1}},
        {"decoder.weight", {2, 1, 2}, {1, 2, 3, 4}},
        {"decoder.bias", {2, 2}, {1, 2, 3, 4}},
        {"activation_mean", {2, 2}, mean},
        {"activation_std", {2, 2}, std},
        {"activation_global_scale", {2}, scale},
        {"target_rms", {1}, {1}},
        {"code_normalization_id", {1}, {1}}};
    if (other)
      tensors.push_back({"code.other", {1}, {1}});
    folder.writeSafetensors("model.safetensors", tensors);
    auto opened = openDictionary(DictionaryFormat::Crosscoder, folder.path(),
                                 {}, sharedBy(6, 7, 7));
    return opened; // a mapped file outlives its name
  };
  // x^ = (f W + b) / scale + mean, of the second layer.
  auto dictionary = take(open({9, 9, 10, 20}, {1, 1, 1, 1}, {8, 0.5f}));
  EXPECT_EQ(take(dictionary->decoder({0})), (RowMatrix(1, 2) << 6, 8).finished());
  EXPECT_EQ(take(dictionary->decoderBias()), (RowVector(2) << 16, 28).finished());
  auto other = take(open({9, 9, 10, 20}, {1, 1, 1, 1}, {8, 0.25f}));
  EXPECT_NE(take(other->contentHash()), take(dictionary->contentHash()));
  // One NaN says that there is nothing of it, as the library has it.
  auto plain = take(open({nan, 9, 10, 20}, {1, 1, 1, 1}, {1, 1}));
  EXPECT_EQ(take(plain->decoder({0})), (RowMatrix(1, 2) << 3, 4).finished());
  EXPECT_EQ(take(plain->decoderBias()), (RowVector(2) << 3, 4).finished());
  EXPECT_THAT(message(open({0, 0, 0, 0}, {1, 1, 1, 1}, {1, 0})),
              HasSubstr("activation_global_scale[1] is not above 0"));
  EXPECT_THAT(message(open({0, 0, 0, 0}, {1, 1, 1, 1}, {1, 1}, true)),
              HasSubstr("unexpected tensor 'code.other'"));
}

//===----------------------------------------------------------------------===//
// dictionary_learning, directions
//===----------------------------------------------------------------------===//

TEST(DictionaryLearning, ClassesThatAreNotKnown) {
  Folder folder;
  auto open = [&] {
    return openDictionary(DictionaryFormat::DictionaryLearning, folder.path());
  };
  EXPECT_THAT(message(open()), HasSubstr("config.json"));
  folder.write("config.json", R"({"trainer": {"dict_class": "CrossCoder"}})");
  EXPECT_THAT(message(open()),
              AllOf(HasSubstr("'CrossCoder', which is not supported"),
                    HasSubstr("MatryoshkaBatchTopKSAE")));
  folder.write("config.json", R"({"trainer": {"dict_class": "AutoEncoder"}})");
  folder.write("ae.pt", "PK");
  EXPECT_THAT(message(open()), HasSubstr("ae.pt: "));
}

TEST(Directions, OneALayer) {
  Folder folder;
  folder.writeSafetensors("v.safetensors",
                          {{"direction.1", {2}, {3, 4}}, {"layer_2", {2}, {0, 2}}});
  auto open = [&](const DictionaryPlace &place) {
    return openDictionary(DictionaryFormat::Directions,
                          folder.path("v.safetensors"), {}, place);
  };
  EXPECT_EQ(take(take(open(sharedBy(1, 2, 2)))->decoder({})),
            (RowMatrix(1, 2) << 0, 2).finished());
  EXPECT_EQ(take(take(open(atLayer(1)))->decoder({})),
            (RowMatrix(1, 2) << 3, 4).finished());
  EXPECT_THAT(message(open(sharedBy(1, 3, 3))),
              HasSubstr("has no direction of layer 3; it has those of 1, 2"));
  EXPECT_THAT(message(openDictionary(DictionaryFormat::Directions,
                                     folder.path("v.safetensors"))),
              HasSubstr("which layer is meant is not said"));
  folder.writeSafetensors("v.safetensors",
                          {{"1", {2}, {3, 4}}, {"layers.1", {2}, {0, 2}}});
  EXPECT_THAT(message(open(atLayer(1))), HasSubstr("two tensors of layer 1"));
  folder.writeSafetensors("v.safetensors", {{"v", {2}, {3, 4}}});
  EXPECT_EQ(take(open(atLayer(1)))->info().features, 1);
  EXPECT_THAT(message(open(sharedBy(1, 2, 1))),
              HasSubstr("does not hold one direction a layer"));
}

} // namespace
