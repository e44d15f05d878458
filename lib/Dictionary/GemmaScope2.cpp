//===- GemmaScope2.cpp - Dictionaries of Gemma Scope 2 ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// SITE_all/layer_L_width_W_l0_N/{config.json, params.safetensors}: the tensors
// of Gemma Scope in lower case. config.json names the module whose value is
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

/// Which modules' values are read and written, in Hugging Face's names.
struct Hooks {
  std::string in, out; ///< `out` is empty where it is the same
  std::optional<bool> affine;
};

} // namespace

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

Expected<std::shared_ptr<Dictionary>> openGemmaScope2(StringRef path) {
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
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, "params.safetensors"));
  if (!weights)
    return weights.takeError();

  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::JumpReLU;
  LinearForm form;
  info.hookName = hooks->in;
  bool hasSkip = (*weights)->contains("affine_skip_connection");
  if (hooks->affine.value_or(hasSkip) != hasSkip)
    return fail(hasConfig ? StringRef(config) : path,
                Twine(hasConfig ? "'affine_connection' is "
                                : "the folder's name says affine is ") +
                    (hasSkip ? "false" : "true") +
                    ", but params.safetensors has " + (hasSkip ? "an" : "no") +
                    " affine_skip_connection");
  bool elsewhere = !hooks->out.empty();
  info.outputHookName = hooks->out;
  if (elsewhere || hasSkip) {
    info.readsSite = false;
    form.unreadable =
        "a transcoder (it reads " +
        (info.hookName.empty() ? "an unnamed module" : info.hookName) +
        " and writes " + (elsewhere ? info.outputHookName : "elsewhere") +
        "): only its decoder rows can be used";
  }

  if (Error error = readGemmaTensors(**weights, "Gemma Scope 2",
                                     {"affine_skip_connection"}, form))
    return std::move(error);
  if (hasSkip) {
    Expected<NamedTensor> skip =
        floatTensor(**weights, "affine_skip_connection", 2);
    if (!skip)
      return skip.takeError();
    if (Error error = requireShape(
            path, *skip,
            {form.encoder.view.shape[0], form.decoder.view.shape[1]},
            form.encoder))
      return std::move(error);
    form.others.push_back(std::move(*skip));
  }
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
