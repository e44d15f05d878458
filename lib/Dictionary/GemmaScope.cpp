//===- GemmaScope.cpp - Dictionaries of Gemma Scope and Gemma Scope 2 ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gemma Scope: layer_L/width_W/average_l0_N/params.npz (arXiv 2408.05147):
// JumpReLU, no decoder bias at the input. The file says nothing about its site;
// two kinds of folders are known by their names.
//
// Gemma Scope 2: SITE_all/layer_L_width_W_l0_N/{config.json, params.safetensors}:
// the same tensors in lower case. config.json names the module whose value is
// read (hf_hook_point_in) and the one that is written (hf_hook_point_out:
// another one for transcoders). Some released folders have no config.json; their
// names say the same. A transcoder's affine_skip_connection adds x W_skip to its
// output; an edit changes features, not x, so it never meets the skip.
//
//===----------------------------------------------------------------------===//

#include "GemmaTensors.h"

#include "llvm/Support/FileSystem.h"

using namespace llvm;

namespace weir::dictionary {

namespace {

/// A dictionary of either, whose tensors are read and whose place is not.
struct Opened {
  std::shared_ptr<TensorFile> weights;
  DictionaryInfo info;
  LinearForm form;
};

/// Which modules' values are read and written, in Hugging Face's names.
struct Hooks {
  std::string in, out; ///< `out` is empty where it is the same
  std::optional<bool> affine;
};

} // namespace

/// Reads the tensors of `file` in a folder; `owner` and `others` as
/// readGemmaTensors has them.
static Expected<Opened> openTensors(StringRef path, StringRef file,
                                    StringRef owner,
                                    ArrayRef<StringRef> others) {
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, file));
  if (!weights)
    return weights.takeError();
  Opened opened;
  opened.weights = std::move(*weights);
  opened.info.path = path.str();
  opened.info.activation = ActivationKind::JumpReLU;
  if (Error error =
          readGemmaTensors(*opened.weights, owner, others, opened.form))
    return std::move(error);
  return opened;
}

static Expected<Hooks> hooksOf(const Settings &settings) {
  Expected<std::optional<std::string>> architecture =
      settings.string("architecture");
  if (!architecture)
    return architecture.takeError();
  if (architecture->value_or("") != "jump_relu")
    return settings.wrong("architecture",
                          "is '" + architecture->value_or("") +
                              "', which is not supported; known is jump_relu");
  Expected<std::optional<std::string>> in = settings.string("hf_hook_point_in");
  if (!in)
    return in.takeError();
  Expected<std::optional<std::string>> out =
      settings.string("hf_hook_point_out");
  if (!out)
    return out.takeError();
  Expected<std::optional<bool>> affine = settings.boolean("affine_connection");
  if (!affine)
    return affine.takeError();
  Hooks hooks{in->value_or(""), out->value_or(""), *affine};
  if (hooks.out == hooks.in)
    hooks.out.clear();
  return hooks;
}

/// What a release's folder says where config.json is not there, as
/// sae-lens 6.54 reads it too (_infer_gemma_3_raw_cfg_dict).
static Expected<Hooks> hooksOfFolder(StringRef path) {
  std::optional<int64_t> layer = layerOfFolder(path);
  auto unknown = [&] {
    return fail(path, "no config.json, and the folder's name does not say site "
                      "and layer as the releases' do (resid_post, attn_out, "
                      "mlp_out or transcoder, and layer_L)");
  };
  if (!layer)
    return unknown();
  std::string block = "model.layers." + std::to_string(*layer);
  Hooks hooks;
  if (namesFolder(path, "transcoder"))
    hooks = {block + ".pre_feedforward_layernorm.output",
             block + ".post_feedforward_layernorm.output",
             namesFolder(path, "affine")};
  else if (namesFolder(path, "resid_post"))
    hooks.in = block + ".output";
  else if (namesFolder(path, "attn_out"))
    hooks.in = block + ".self_attn.o_proj.input";
  else if (namesFolder(path, "mlp_out"))
    hooks.in = block + ".post_feedforward_layernorm.output";
  else
    return unknown();
  return hooks;
}

Expected<std::shared_ptr<Dictionary>>
openGemmaScope(StringRef path, const DictionaryPlace &place) {
  if (Error error = requireFolder(path, "params.npz"))
    return std::move(error);
  if (namesFolder(path, "embedding"))
    return fail(path,
                "Gemma Scope's embedding dictionaries read the scaled token "
                "embedding, which is not a site");
  Expected<Opened> opened = openTensors(path, "params.npz", "Gemma Scope", {});
  if (!opened)
    return opened.takeError();
  if (namesFolder(path, "transcoders"))
    makeTranscoder(opened->info, opened->form, "", "", place);
  return makeLinearDictionary(std::move(opened->info),
                              std::move(opened->form));
}

Expected<std::shared_ptr<Dictionary>>
openGemmaScope2(StringRef path, const DictionaryPlace &place) {
  if (Error error = requireFolder(path, "config.json and params.safetensors"))
    return std::move(error);
  std::string config = inFolder(path, "config.json");
  bool hasConfig = sys::fs::exists(config);
  Expected<Hooks> hooks = [&]() -> Expected<Hooks> {
    if (!hasConfig)
      return hooksOfFolder(path);
    Expected<Settings> settings = Settings::read(config);
    if (!settings)
      return settings.takeError();
    return hooksOf(*settings);
  }();
  if (!hooks)
    return hooks.takeError();
  constexpr StringRef skip = "affine_skip_connection";
  Expected<Opened> opened =
      openTensors(path, "params.safetensors", "Gemma Scope 2", {skip});
  if (!opened)
    return opened.takeError();

  bool hasSkip = opened->weights->contains(skip);
  if (hooks->affine.value_or(hasSkip) != hasSkip)
    return fail(hasConfig ? StringRef(config) : path,
                Twine(hasConfig ? "'affine_connection' is "
                                : "the folder's name says affine is ") +
                    (hasSkip ? "false" : "true") +
                    ", but params.safetensors has " + (hasSkip ? "an" : "no") +
                    " affine_skip_connection");
  if (hasSkip)
    if (Error error =
            addSkip(*opened->weights, skip, /*byInput=*/true, opened->form))
      return std::move(error);
  if (hooks->out.empty() && !hasSkip)
    opened->info.hookName = std::move(hooks->in);
  else
    makeTranscoder(opened->info, opened->form, std::move(hooks->in),
                   std::move(hooks->out), place);
  return makeLinearDictionary(std::move(opened->info),
                              std::move(opened->form));
}

} // namespace weir::dictionary
