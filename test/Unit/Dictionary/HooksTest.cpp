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

/// "12/res", "no site", or "unknown".
std::string place(llvm::StringRef name) {
  std::optional<HookPlace> place = parseHookName(name);
  if (!place)
    return "unknown";
  if (!place->isSite())
    return "no site";
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
  EXPECT_EQ(place("blocks.3.hook_mlp_in"), "no site");
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
            "no site");
}

TEST(Hooks, WhatIsNotUnderstood) {
  for (llvm::StringRef name :
       {"", "blocks", "blocks.", "blocks.x.hook_resid_post", "blocks.-1.hook_z",
        "blocks.99999999999999999999.hook_resid_post", "model.layers.1.ffn",
        "transformer.h.3", "blocks.3.output", "blocks.+3.hook_resid_post"})
    EXPECT_EQ(place(name), "unknown") << name.str();
}

} // namespace
