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
// another one for transcoders). A transcoder's affine_skip_connection adds x
// W_skip to its output; an edit changes features, not x, so it never meets the
// skip.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

using namespace llvm;

namespace weir::dictionary {

Expected<std::shared_ptr<Dictionary>> openGemmaScope2(StringRef path) {
  if (Error error = requireFolder(path, "config.json and params.safetensors"))
    return std::move(error);
  Expected<Settings> settings = Settings::read(inFolder(path, "config.json"));
  if (!settings)
    return settings.takeError();
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, "params.safetensors"));
  if (!weights)
    return weights.takeError();

  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::JumpReLU;
  LinearForm form;

  Expected<std::optional<std::string>> architecture =
      settings->string("architecture");
  if (!architecture)
    return architecture.takeError();
  if (architecture->value_or("") != "jump_relu")
    return settings->wrong("architecture",
                           "is '" + architecture->value_or("") +
                               "', which is not supported; known is jump_relu");
  Expected<std::optional<std::string>> in =
      settings->string("hf_hook_point_in");
  if (!in)
    return in.takeError();
  Expected<std::optional<std::string>> out =
      settings->string("hf_hook_point_out");
  if (!out)
    return out.takeError();
  Expected<std::optional<bool>> affine = settings->boolean("affine_connection");
  if (!affine)
    return affine.takeError();
  info.hookName = in->value_or("");
  bool hasSkip = (*weights)->contains("affine_skip_connection");
  if (affine->value_or(hasSkip) != hasSkip)
    return settings->wrong("affine_connection",
                           Twine("is ") + (hasSkip ? "false" : "true") +
                               ", but params.safetensors has " +
                               (hasSkip ? "an" : "no") +
                               " affine_skip_connection");
  bool elsewhere = *out && **out != info.hookName;
  if (elsewhere)
    info.outputHookName = **out;
  if (elsewhere || hasSkip) {
    info.readsSite = false;
    form.unreadable =
        "a transcoder (it reads " +
        (info.hookName.empty() ? "an unnamed module" : info.hookName) +
        " and writes " + (elsewhere ? info.outputHookName : "elsewhere") +
        "): only its decoder rows can be used";
  }

  struct Matrix {
    StringRef name;
    NamedTensor *into;
  };
  for (Matrix matrix :
       {Matrix{"w_enc", &form.encoder}, {"w_dec", &form.decoder}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, matrix.name, 2);
    if (!tensor)
      return tensor.takeError();
    *matrix.into = std::move(*tensor);
  }
  struct Vector {
    StringRef name;
    std::optional<NamedTensor> *into;
  };
  for (Vector vector : {Vector{"b_enc", &form.encoderBias},
                        {"b_dec", &form.decoderBias},
                        {"threshold", &form.threshold}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, vector.name, 1);
    if (!tensor)
      return tensor.takeError();
    *vector.into = std::move(*tensor);
  }
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
  if (Error error = refuseOtherTensors(**weights,
                                       {"w_enc", "w_dec", "b_enc", "b_dec",
                                        "threshold", "affine_skip_connection"},
                                       "Gemma Scope 2"))
    return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
