//===- HooksTest.cpp - Places of a model in other tools' words ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Hooks.h"

#include <gtest/gtest.h>

using namespace weir;

namespace {

/// "12/res", "12/mlp_in (no site)", "no site", or "unknown".
std::string place(llvm::StringRef name) {
  std::optional<HookPlace> place = parseHookName(name);
  if (!place)
    return "unknown";
  if (!place->canBeRead())
    return "no site";
  if (!place->isSite())
    return std::to_string(place->layer) + "/" + place->name().str() +
           " (no site)";
  return std::to_string(place->layer) + "/" + place->site.str();
}

TEST(Hooks, OfTransformerLens) {
  EXPECT_EQ(place("blocks.12.hook_resid_post"), "12/res");
  EXPECT_EQ(place("blocks.12.hook_resid_pre"), "11/res");
  EXPECT_EQ(place("blocks.0.hook_resid_pre"), "no site");
  EXPECT_EQ(place("blocks.3.hook_resid_mid"), "3/mid");
  EXPECT_EQ(place("blocks.3.hook_mlp_out"), "3/mlp");
  EXPECT_EQ(place("blocks.3.hook_attn_out"), "3/att");
  EXPECT_EQ(place("blocks.3.attn.hook_z"), "3/head");
  EXPECT_EQ(place("blocks.3.hook_mlp_in"), "3/mid");
  EXPECT_EQ(place("blocks.3.mlp.hook_in"), "3/mlp_in (no site)");
  EXPECT_EQ(place("blocks.3.mlp.hook_out"), "3/mlp");
  EXPECT_EQ(place("blocks.3.ln2.hook_normalized"), "no site");
}

TEST(Hooks, OfModules) {
  EXPECT_EQ(place("model.layers.12.output"), "12/res");
  EXPECT_EQ(place("model.layers.12"), "12/res");
  EXPECT_EQ(place("model.layers.12.input"), "11/res");
  EXPECT_EQ(place("model.layers.7.self_attn.o_proj.input"), "7/head");
  EXPECT_EQ(place("model.layers.7.post_feedforward_layernorm.output"),
            "7/mlp");
  EXPECT_EQ(place("model.layers.7.pre_feedforward_layernorm.output"),
            "7/mlp_in (no site)");
  // As sparsify names its folders, with the side behind it.
  EXPECT_EQ(place("layers.7"), "7/res");
  EXPECT_EQ(place("h.7.attn"), "7/att");
  EXPECT_EQ(place("layers.7.mlp.input"), "7/mlp_in (no site)");
  EXPECT_EQ(place("layers.7.mlp.output"), "7/mlp");
}

TEST(Hooks, OfDictionaryLearning) {
  EXPECT_EQ(place("resid_post_layer_12"), "12/res");
  EXPECT_EQ(place("attn_out_layer_3"), "3/att");
  EXPECT_EQ(place("mlp_out_layer_0"), "0/mlp");
  EXPECT_EQ(place("resid_post_layer_"), "unknown");
  EXPECT_EQ(place("resid_post_layer_-1"), "unknown");
}

TEST(Hooks, WhatIsNotUnderstood) {
  for (llvm::StringRef name :
       {"", "blocks", "blocks.", "blocks.x.hook_resid_post", "blocks.-1.hook_z",
        "blocks.99999999999999999999.hook_resid_post", "model.layers.1.ffn",
        "transformer.h.3", "blocks.3.output", "blocks.+3.hook_resid_post"})
    EXPECT_EQ(place(name), "unknown") << name.str();
}

} // namespace
