//===- LlamaScope.cpp - Dictionaries of Llama Scope ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hyperparams.json and checkpoints/final.safetensors (arXiv 2410.20526), as
// SparseAutoEncoder.from_config of OpenMOSS' Language-Model-SAEs loads them at
// the time of that release:
//
//   1. norm_activation "dataset-wise": with s = sqrt(d_model) / average norm
//   (one
//      for input and output), b_enc /= s_in, b_dec /= s_out,
//      W_dec *= s_in / s_out, and x enters as it is;
//   2. sparsity_include_decoder_norm: each feature's encoder row and bias are
//      multiplied, its decoder row divided, by the norm of the decoder row;
//   3. z where z > jump_relu_threshold, in these units. A "topk" with a
//   positive
//      threshold is JumpReLU as well.
//
// sae-lens keeps the factor s in the activations instead (its f is s times this
// one, its decoder rows 1 / s) and leaves step 2 out.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "llvm/Support/FileSystem.h"

#include <cmath>

using namespace llvm;

namespace weir::dictionary {

namespace {

class Reader {
public:
  Reader(StringRef path, Settings settings, std::shared_ptr<TensorFile> weights,
         const DictionaryPlace &place)
      : path(path), settings(std::move(settings)), weights(std::move(weights)),
        place(place) {}

  Expected<std::shared_ptr<Dictionary>> run();

private:
  Error readHooks();
  Error readActivation();
  Error readTensors();
  Error readNormalization();

  /// A setting with the default that the original code has.
  Error flag(StringRef key, bool &value) {
    Expected<std::optional<bool>> found = settings.boolean(key);
    if (!found)
      return found.takeError();
    value = found->value_or(value);
    return Error::success();
  }
  Error text(StringRef key, std::string &value) {
    Expected<std::optional<std::string>> found = settings.string(key);
    if (!found)
      return found.takeError();
    value = found->value_or(value);
    return Error::success();
  }

  std::string path;
  Settings settings;
  std::shared_ptr<TensorFile> weights;
  DictionaryPlace place;
  DictionaryInfo info;
  LinearForm form;
};

} // namespace

Error Reader::readHooks() {
  if (Error error = text("hook_point_in", info.hookName))
    return error;
  std::string output = info.hookName;
  if (Error error = text("hook_point_out", output))
    return error;
  if (output != info.hookName)
    makeTranscoder(info, form, std::move(info.hookName), std::move(output),
                   place);
  bool glu = false;
  if (Error error = flag("use_glu_encoder", glu))
    return error;
  if (glu)
    return settings.wrong("use_glu_encoder", "is true: not supported");
  return Error::success();
}

Error Reader::readActivation() {
  std::string name = "relu";
  if (Error error = text("act_fn", name))
    return error;
  Expected<std::optional<double>> threshold =
      settings.number("jump_relu_threshold");
  if (!threshold)
    return threshold.takeError();
  double value = threshold->value_or(0);
  // Without the ReLU of the other formats a negative one would mean another
  // function.
  if (value < 0)
    return settings.wrong("jump_relu_threshold", "must not be negative");
  std::string lower = StringRef(name).lower();
  if (lower == "relu") {
    info.activation = ActivationKind::ReLU;
  } else if (lower == "jumprelu" || (lower == "topk" && value > 0)) {
    info.activation = ActivationKind::JumpReLU;
    form.constantThreshold = value;
  } else if (lower == "topk") {
    info.activation = ActivationKind::TopK;
    Expected<std::optional<int64_t>> k = settings.integer("top_k");
    if (!k)
      return k.takeError();
    if (!*k)
      return settings.wrong("top_k", "is missing: a topk dictionary needs it");
    info.topK = **k;
  } else {
    return settings.wrong("act_fn", "is '" + name +
                                        "', which is not supported; known are "
                                        "relu, jumprelu and topk");
  }
  return Error::success();
}

Error Reader::readTensors() {
  bool hasDecoderBias = true, subtracted = true;
  if (Error error = flag("use_decoder_bias", hasDecoderBias))
    return error;
  if (Error error = flag("apply_decoder_bias_to_pre_encoder", subtracted))
    return error;
  if (subtracted && hasDecoderBias)
    form.inputBiasScale = 1;

  Expected<NamedTensor> encoder = floatTensor(*weights, "encoder.weight", 2);
  if (!encoder)
    return encoder.takeError();
  form.encoder = std::move(*encoder);
  form.encoderByRow = true;
  Expected<NamedTensor> decoder = floatTensor(*weights, "decoder.weight", 2);
  if (!decoder)
    return decoder.takeError();
  form.decoder = std::move(*decoder);
  form.decoderByRow = false;
  Expected<NamedTensor> bias = floatTensor(*weights, "encoder.bias", 1);
  if (!bias)
    return bias.takeError();
  form.encoderBias = std::move(*bias);
  SmallVector<StringRef> known = {"encoder.weight", "encoder.bias",
                                  "decoder.weight"};
  if (hasDecoderBias) {
    known.push_back("decoder.bias");
    Expected<NamedTensor> found = floatTensor(*weights, "decoder.bias", 1);
    if (!found)
      return found.takeError();
    form.decoderBias = std::move(*found);
  }
  if (Error error = refuseOtherTensors(*weights, known, "this configuration"))
    return error;
  if (Error error = requireSize(settings, "d_model", form.encoder.view.shape[1],
                                form.encoder))
    return error;
  return requireSize(settings, "d_sae", form.encoder.view.shape[0],
                     form.encoder);
}

Error Reader::readNormalization() {
  bool byDecoderNorm = true;
  if (Error error = flag("sparsity_include_decoder_norm", byDecoderNorm))
    return error;
  form.byDecoderNorm = byDecoderNorm;

  std::string name = "token-wise";
  if (Error error = text("norm_activation", name))
    return error;
  if (name == "none" || name == "inference")
    return Error::success();
  if (name == "token-wise") {
    // The output is brought back by the factor of the value it stands for,
    // which is the input's at a shared site only.
    info.normalization = Normalization::ConstantNorm;
    if (!info.readsSite && form.unreadable.empty())
      form.unreadable = "a transcoder with token-wise norms, which bring its "
                        "output back by the norm of a value that is only there "
                        "in training: only its decoder rows can be used";
    return Error::success();
  }
  if (name != "dataset-wise")
    return settings.wrong(
        "norm_activation",
        "is '" + name +
            "'; supported are none, inference, token-wise and "
            "dataset-wise");
  Expected<Settings> norms = settings.object("dataset_average_activation_norm");
  if (!norms)
    return norms.takeError();
  double factors[2];
  for (auto [key, factor] :
       {std::pair<const char *, double &>{"in", factors[0]},
        {"out", factors[1]}}) {
    Expected<std::optional<double>> norm = norms->number(key);
    if (!norm)
      return norm.takeError();
    if (!*norm)
      return norms->wrong(key, "is missing: norm_activation is 'dataset-wise'");
    if (!(**norm > 0))
      return norms->wrong(key, "must be above 0");
    factor =
        std::sqrt(static_cast<double>(form.encoder.view.shape[1])) / **norm;
  }
  form.encoderBiasScale = 1 / factors[0];
  form.decoderBiasScale = 1 / factors[1];
  form.decoderScale = factors[0] / factors[1];
  form.inputBiasScale *= form.decoderBiasScale;
  return Error::success();
}

Expected<std::shared_ptr<Dictionary>> Reader::run() {
  info.path = path;
  for (auto step : {&Reader::readHooks, &Reader::readActivation,
                    &Reader::readTensors, &Reader::readNormalization})
    if (Error error = (this->*step)())
      return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

Expected<std::shared_ptr<Dictionary>>
openLlamaScope(StringRef path, const DictionaryPlace &place) {
  if (Error error = requireFolder(
          path, "hyperparams.json and checkpoints/final.safetensors"))
    return std::move(error);
  Expected<Settings> settings =
      Settings::read(inFolder(path, "hyperparams.json"));
  if (!settings)
    return settings.takeError();
  // The order in which the original code looks for weights.
  std::string file;
  for (StringRef candidate :
       {"sae_weights.safetensors", "checkpoints/pruned.safetensors",
        "checkpoints/final.safetensors"}) {
    file = inFolder(path, candidate);
    if (sys::fs::exists(file))
      break;
  }
  Expected<std::shared_ptr<TensorFile>> weights = TensorFile::open(file);
  if (!weights)
    return weights.takeError();
  return Reader(path, std::move(*settings), std::move(*weights), place).run();
}

} // namespace weir::dictionary
