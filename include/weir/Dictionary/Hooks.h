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
  int64_t layer = 0; ///< of the site; nothing where there is none

  bool isSite() const { return !site.empty(); }
};

/// The place that a hook's name means. Known are the names of TransformerLens
/// ("blocks.12.hook_resid_post"; "hook_resid_pre" of block L is `res` of L - 1)
/// and modules of Hugging Face with "output" or "input" behind them, as Gemma
/// Scope 2 and SAELens' hf_hook_name have them ("model.layers.12.output",
/// "model.layers.12.self_attn.o_proj.input"). None for any other name: nothing
/// is known of it then.
std::optional<HookPlace> parseHookName(llvm::StringRef name);

} // namespace weir

#endif // WEIR_DICTIONARY_HOOKS_H
