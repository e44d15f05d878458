//===- Hooks.h - Places of a model in other tools' words ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DICTIONARY_HOOKS_H
#define WEIR_DICTIONARY_HOOKS_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>

namespace weir {

/// A place that a dictionary's metadata names, in the words of a spec.
struct HookPlace {
  /// "res", "mlp", "att", "mid" or "head"; empty for a place of a block that is
  /// none of these (the input of an MLP, a normalised value, the embedding).
  llvm::StringRef site;
  int64_t layer = 0; ///< of the place; nothing where there is none
  /// "mlp_in" for the input of an MLP, which is no site but can be read.
  llvm::StringRef input = "";

  bool isSite() const { return !site.empty(); }
  bool canBeRead() const { return isSite() || !input.empty(); }
  /// The name of the place, a site or not.
  llvm::StringRef name() const { return isSite() ? site : input; }
};

/// The place that a hook's name means. Known are the names of TransformerLens
/// ("blocks.12.hook_resid_post"; "hook_resid_pre" of block L is `res` of L - 1),
/// modules of Hugging Face with "output" or "input" behind them, as Gemma
/// Scope 2 and SAELens' hf_hook_name have them ("model.layers.12.output",
/// "model.layers.12.self_attn.o_proj.input") or without "model.", as sparsify
/// has them ("layers.12.mlp.input", "h.12"), and what dictionary_learning calls
/// its submodules ("resid_post_layer_12"). None for any other name: nothing is
/// known of it then.
std::optional<HookPlace> parseHookName(llvm::StringRef name);

} // namespace weir

#endif // WEIR_DICTIONARY_HOOKS_H
