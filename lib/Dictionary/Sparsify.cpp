//===- Sparsify.cpp - Dictionaries of EleutherAI's sparsify ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cfg.json and sae.safetensors, as eai-sparsify 1.3 writes them: encoder.weight
// [F, d], encoder.bias [F], W_dec [F, d], b_dec [d] and W_skip [d, d]. The folder
// is called as the module is ("layers.12.mlp"), counted from the model without
// its head: an autoencoder is of the module's output, a transcoder reads its
// input and writes its output. b_dec is taken from an autoencoder's input only.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "weir/Dictionary/Hooks.h"

#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir::dictionary {

Expected<std::shared_ptr<Dictionary>>
openSparsify(StringRef path, const DictionaryPlace &place) {
  if (Error error = requireFolder(path, "cfg.json and sae.safetensors"))
    return std::move(error);
  Expected<Settings> settings = Settings::read(inFolder(path, "cfg.json"));
  if (!settings)
    return settings.takeError();
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, "sae.safetensors"));
  if (!weights)
    return weights.takeError();

  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::TopK;
  Expected<std::optional<std::string>> activation =
      settings->string("activation");
  if (!activation)
    return activation.takeError();
  if (activation->value_or("topk") != "topk")
    return settings->wrong("activation",
                           "is '" + **activation +
                               "', which is not supported; known is topk");
  // Of versions before 1.0, which keep the sign of what they select.
  Expected<std::optional<bool>> isSigned = settings->boolean("signed");
  if (!isSigned)
    return isSigned.takeError();
  if (isSigned->value_or(false))
    return settings->wrong("signed", "is true: not supported");
  Expected<std::optional<int64_t>> k = settings->integer("k");
  if (!k)
    return k.takeError();
  info.topK = k->value_or(32); // as SparseCoderConfig has it

  LinearForm form;
  form.encoderByRow = true;
  struct Matrix {
    StringRef name;
    NamedTensor *into;
  };
  for (Matrix matrix : {Matrix{"encoder.weight", &form.encoder},
                        {"W_dec", &form.decoder}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, matrix.name, 2);
    if (!tensor)
      return tensor.takeError();
    *matrix.into = std::move(*tensor);
  }
  struct Vector {
    StringRef name;
    std::optional<NamedTensor> *into;
  };
  for (Vector vector : {Vector{"encoder.bias", &form.encoderBias},
                        {"b_dec", &form.decoderBias}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, vector.name, 1);
    if (!tensor)
      return tensor.takeError();
    *vector.into = std::move(*tensor);
  }
  SmallVector<StringRef> known = {"encoder.weight", "encoder.bias", "W_dec",
                                  "b_dec"};
  Expected<std::optional<bool>> skips = settings->boolean("skip_connection");
  if (!skips)
    return skips.takeError();
  if (skips->value_or(false)) {
    known.push_back("W_skip");
    if (Error error = addSkip(**weights, "W_skip", /*byInput=*/false, form))
      return std::move(error);
  }
  if (Error error =
          refuseOtherTensors(**weights, known, "this configuration"))
    return std::move(error);
  if (Error error = requireSize(*settings, "d_in", form.encoder.view.shape[1],
                                form.encoder))
    return std::move(error);

  Expected<std::optional<bool>> transcodes = settings->boolean("transcode");
  if (!transcodes)
    return transcodes.takeError();
  std::string module = sys::path::filename(path).str();
  bool isModule = parseHookName(module + ".output") || parseHookName(module);
  if (transcodes->value_or(false)) {
    makeTranscoder(info, form, isModule ? module + ".input" : "",
                   isModule ? module + ".output" : "", place);
  } else {
    form.inputBiasScale = 1;
    if (isModule)
      info.hookName = parseHookName(module) ? module : module + ".output";
    // A skip of an autoencoder is x itself in part, and no feature's.
  }
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
