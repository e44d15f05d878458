//===- Hooks.cpp - Places of a model in other tools' words ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Hooks.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir {

namespace {

struct NamedPlace {
  StringRef name, site;
  int64_t before = 0; ///< how many layers before the block it is named in
  StringRef input = "";
};

/// Behind "blocks.L." (transformer_lens/components/transformer_block.py).
/// hook_mlp_out and hook_attn_out are what is added to the residual stream, a
/// norm behind the module included.
constexpr NamedPlace transformerLens[] = {
    {"hook_resid_post", "res"},  {"hook_resid_pre", "res", 1},
    {"hook_resid_mid", "mid"},   {"hook_mlp_out", "mlp"},
    {"hook_attn_out", "att"},    {"attn.hook_z", "head"},
    {"hook_mlp_in", "mid"},      {"mlp.hook_out", "mlp"},
    {"mlp.hook_in", "", 0, "mlp_in"},
};

/// Behind "model.layers.L.", for blocks as Llama and Gemma call their parts.
/// Gemma adds what its norms behind attention and MLP give.
constexpr NamedPlace huggingFace[] = {
    {"output", "res"},
    {"", "res"},
    {"input", "res", 1},
    {"mlp.output", "mlp"},
    {"mlp", "mlp"},
    {"post_feedforward_layernorm.output", "mlp"},
    {"self_attn.output", "att"},
    {"self_attn", "att"},
    {"self_attn.o_proj.output", "att"},
    {"post_attention_layernorm.output", "att"},
    {"self_attn.o_proj.input", "head"},
    {"pre_feedforward_layernorm.output", "", 0, "mlp_in"},
    {"mlp.input", "", 0, "mlp_in"},
    {"attn.output", "att"},
    {"attn", "att"},
    {"attention.output", "att"},
    {"attention", "att"},
    {"self_attn.input", ""},
    {"input_layernorm.output", ""},
};

} // namespace

/// dictionary_learning's names, with the layer at their end.
static std::optional<HookPlace> parseSubmoduleName(StringRef name) {
  for (auto [prefix, site] :
       {std::pair<StringRef, StringRef>{"resid_post_layer_", "res"},
        {"attn_out_layer_", "att"},
        {"mlp_out_layer_", "mlp"}}) {
    StringRef number = name;
    int64_t layer;
    if (number.consume_front(prefix) && !number.empty() &&
        all_of(number, isDigit) && !number.getAsInteger(10, layer))
      return HookPlace{site, layer};
  }
  return std::nullopt;
}

std::optional<HookPlace> parseHookName(StringRef name) {
  if (std::optional<HookPlace> place = parseSubmoduleName(name))
    return place;
  bool isTransformerLens = name.consume_front("blocks.");
  if (!isTransformerLens && !name.consume_front("model.layers.") &&
      !name.consume_front("layers.") && !name.consume_front("h."))
    return std::nullopt;
  auto [number, rest] = name.split('.');
  int64_t layer;
  if (number.empty() || !all_of(number, isDigit) ||
      number.getAsInteger(10, layer))
    return std::nullopt;
  ArrayRef<NamedPlace> known =
      isTransformerLens ? ArrayRef(transformerLens) : ArrayRef(huggingFace);
  const auto *found = llvm::find_if(
      known, [&, tail = rest](const auto &entry) { return entry.name == tail; });
  if (found == known.end()) {
    // What else TransformerLens hooks in a block is no site.
    if (isTransformerLens && rest.contains("hook_"))
      return HookPlace{};
    return std::nullopt;
  }
  if (!found->input.empty())
    return HookPlace{"", layer, found->input};
  // Before the first block there is the embedding.
  if (found->site.empty() || layer < found->before)
    return HookPlace{};
  return HookPlace{found->site, layer - found->before};
}

} // namespace weir
