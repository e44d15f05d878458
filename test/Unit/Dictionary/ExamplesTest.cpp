//===- ExamplesTest.cpp - The dictionaries of the SmolLM2 example ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Rows.h"

#include "TestFiles.h"

#include <set>

using namespace weir;
using namespace weir::test;

namespace {

std::string pathOf(llvm::StringRef site, int layer) {
  return (WEIR_EXAMPLES "/smollm2/dictionaries/" + site + "." +
          std::to_string(layer))
      .str();
}

TEST(SmolLM2Dictionaries, AllOfThemLoad) {
  struct Site {
    llvm::StringRef name, hook;
    int64_t features;
  };
  std::set<std::string> hashes;
  for (Site site : {Site{"res", "hook_resid_post", 1536},
                    {"mlp", "hook_mlp_out", 1024},
                    {"att", "hook_attn_out", 1024}})
    for (int layer = 9; layer <= 16; ++layer) {
      auto dictionary = take(
          openDictionary(DictionaryFormat::SAELens, pathOf(site.name, layer)));
      const DictionaryInfo &info = dictionary->info();
      EXPECT_EQ(info.features, site.features);
      EXPECT_EQ(info.width, 576);
      EXPECT_EQ(info.inputWidth, 576);
      EXPECT_EQ(info.activation, ActivationKind::JumpReLU);
      EXPECT_EQ(info.normalization, Normalization::None);
      EXPECT_EQ(info.hookName,
                ("blocks." + std::to_string(layer) + "." + site.hook.str()));
      EncoderRows rows = take(dictionary->encoder({}));
      EXPECT_TRUE(rows.bias.allFinite());
      EXPECT_GT(rows.threshold.minCoeff(), 0);
      EXPECT_EQ(rows.threshold.minCoeff(), rows.threshold.maxCoeff());
      RowMatrix decoder = take(dictionary->decoder({}));
      EXPECT_EQ(decoder.rows(), site.features);
      // Unit rows, to the resolution of f16.
      EXPECT_LT((decoder.rowwise().norm().array() - 1).abs().maxCoeff(), 5e-4);
      hashes.insert(take(dictionary->contentHash()));
    }
  EXPECT_EQ(hashes.size(), 24u);
}

/// The chain of the README: war, from layer 11 to 14, by cosine.
TEST(SmolLM2Dictionaries, TheWarChainIsWhereTheReadmeSays) {
  struct Node {
    int layer;
    int64_t feature;
    double cosine;
  };
  const Node chain[] = {
      {11, 743, 0}, {12, 1438, 0.54}, {13, 1103, 0.76}, {14, 839, 0.82}};
  RowMatrix previous;
  for (const Node &node : chain) {
    auto dictionary = take(
        openDictionary(DictionaryFormat::SAELens, pathOf("res", node.layer)));
    RowMatrix all = unitRows(take(dictionary->decoder({})));
    if (previous.size() != 0) {
      // The predecessor of the feature is the best match in the layer before.
      RowMatrix row = unitRows(take(dictionary->decoder({node.feature})));
      Eigen::Index best = 0;
      double cosine = (previous * row.transpose()).col(0).maxCoeff(&best);
      EXPECT_EQ(best, (&node - 1)->feature);
      EXPECT_NEAR(cosine, node.cosine, 0.006);
    }
    previous = all;
  }
}

} // namespace
