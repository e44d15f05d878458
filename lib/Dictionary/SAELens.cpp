//===- SAELens.cpp - Dictionaries in SAELens' format ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cfg.json and sae_weights.safetensors, as sae-lens 6.54 reads and writes them;
// configurations of its versions 2 to 5 as well. The arithmetic is that of
// sae_lens/saes/*.py (see docs/dictionaries.md for the formulas). A BatchTopK
// checkpoint is taken as sae-lens exports it for inference: JumpReLU with the
// trained threshold and the decoder's norms folded in.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "weir/Dictionary/Hooks.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <cmath>

using namespace llvm;

namespace weir::dictionary {

namespace {

enum class Architecture { Standard, JumpReLU, TopK, BatchTopK, Gated };

struct NamedArchitecture {
  StringRef name;
  Architecture architecture;
  bool isTranscoder = false, hasSkip = false;
};

/// The matryoshka variant differs in its training loss alone.
constexpr NamedArchitecture architectures[] = {
    {"standard", Architecture::Standard},
    {"jumprelu", Architecture::JumpReLU},
    {"topk", Architecture::TopK},
    {"batchtopk", Architecture::BatchTopK},
    {"matryoshka_batchtopk", Architecture::BatchTopK},
    {"gated", Architecture::Gated},
    {"transcoder", Architecture::Standard, true},
    {"skip_transcoder", Architecture::Standard, true, true},
    {"jumprelu_transcoder", Architecture::JumpReLU, true},
    {"jumprelu_skip_transcoder", Architecture::JumpReLU, true, true},
};

/// Fills a LinearForm from the settings and tensors of one folder.
class Reader {
public:
  Reader(StringRef path, Settings settings, Settings metadata,
         std::shared_ptr<TensorFile> weights, const ModelTraits &model,
         const DictionaryPlace &place)
      : path(path), settings(std::move(settings)),
        metadata(std::move(metadata)), weights(std::move(weights)),
        model(model), place(place) {}

  Expected<std::shared_ptr<Dictionary>> run();

private:
  /// Whether sae-lens 6 or newer wrote the settings.
  Expected<bool> isVersion6() const;
  Error readArchitecture();
  Error readTensors();
  Error readNormalization();
  Error readDecoderNorm();
  Error readHook();
  /// What TransformerLens did to the model before the dictionary was trained.
  Error readProcessing();
  Error refuseUnsupported();
  /// The factor of `expected_average_only_in`, which sae-lens keeps outside the
  /// weights until it is folded in.
  Expected<double> averageScale();
  Error tensor(StringRef name, std::optional<NamedTensor> &into);

  std::string path;
  Settings settings, metadata;
  std::shared_ptr<TensorFile> weights;
  ModelTraits model;
  DictionaryPlace place;
  Architecture architecture = Architecture::Standard;
  bool isTranscoder = false, hasSkip = false;
  DictionaryInfo info;
  LinearForm form;
};

} // namespace

Expected<bool> Reader::isVersion6() const {
  for (const Settings *from : {&settings, &metadata}) {
    Expected<std::optional<std::string>> version =
        from->string("sae_lens_version");
    if (!version)
      return version.takeError();
    unsigned major;
    if (*version && !(**version).empty())
      return !StringRef(**version).split('.').first.getAsInteger(10, major) &&
             major >= 6;
  }
  return false;
}

Error Reader::readArchitecture() {
  Expected<std::optional<std::string>> name = settings.string("architecture");
  if (!name)
    return name.takeError();
  std::string wanted = name->value_or("standard");

  // Before version 6 the activation was a setting of its own, and TopK one of
  // its values. Since then a key that is left over decides nothing.
  Expected<bool> left = isVersion6();
  if (!left)
    return left.takeError();
  for (StringRef key : {"activation_fn", "activation_fn_str"}) {
    Expected<std::optional<std::string>> activation = settings.string(key);
    if (!activation)
      return activation.takeError();
    if (!*activation || **activation == "relu" || *left)
      continue;
    if (**activation != "topk")
      return settings.wrong(key, "is '" + **activation +
                                     "'; supported are relu and topk");
    wanted = "topk";
  }

  const auto *found = llvm::find_if(
      architectures, [&](const auto &entry) { return entry.name == wanted; });
  if (found == std::end(architectures))
    return settings.wrong(
        "architecture",
        "is '" + wanted + "', which is not supported; known are " +
            join(map_range(architectures,
                           [](const auto &entry) { return entry.name; }),
                 ", "));
  architecture = found->architecture;
  isTranscoder = found->isTranscoder;
  hasSkip = found->hasSkip;

  switch (architecture) {
  case Architecture::Standard:
    info.activation = ActivationKind::ReLU;
    break;
  case Architecture::JumpReLU:
  case Architecture::BatchTopK:
    info.activation = ActivationKind::JumpReLU;
    break;
  case Architecture::Gated:
    info.activation = ActivationKind::Gated;
    break;
  case Architecture::TopK: {
    info.activation = ActivationKind::TopK;
    Expected<Settings> arguments = settings.object("activation_fn_kwargs");
    if (!arguments)
      return arguments.takeError();
    Expected<std::optional<int64_t>> old = arguments->integer("k");
    if (!old)
      return old.takeError();
    Expected<std::optional<int64_t>> k = settings.integer("k");
    if (!k)
      return k.takeError();
    if (!*old && !*k)
      return settings.wrong("k", "is missing: a topk dictionary needs it");
    if (*old && *k && **old != **k)
      return settings.wrong("k", "is " + Twine(**k) +
                                     ", but activation_fn_kwargs.k is " +
                                     Twine(**old));
    info.topK = *old ? **old : **k;
    break;
  }
  }
  return Error::success();
}

Error Reader::tensor(StringRef name, std::optional<NamedTensor> &into) {
  Expected<NamedTensor> found = floatTensor(*weights, name, 1);
  if (!found)
    return found.takeError();
  into = std::move(*found);
  return Error::success();
}

Error Reader::readTensors() {
  Expected<NamedTensor> encoder = floatTensor(*weights, "W_enc", 2);
  if (!encoder)
    return encoder.takeError();
  form.encoder = std::move(*encoder);
  Expected<NamedTensor> decoder = floatTensor(*weights, "W_dec", 2);
  if (!decoder)
    return decoder.takeError();
  form.decoder = std::move(*decoder);
  if (Error error = tensor("b_dec", form.decoderBias))
    return error;

  // Older versions stored factors of ones by default.
  SmallVector<StringRef> known = {"W_enc", "W_dec", "b_dec", "scaling_factor",
                                  "finetuning_scaling_factor"};
  if (architecture == Architecture::Gated) {
    known.append({"b_gate", "b_mag", "r_mag"});
    if (Error error = tensor("b_gate", form.encoderBias))
      return error;
    if (Error error = tensor("b_mag", form.magnitudeBias))
      return error;
    if (Error error = tensor("r_mag", form.logMagnitude))
      return error;
  } else {
    known.push_back("b_enc");
    if (Error error = tensor("b_enc", form.encoderBias))
      return error;
  }
  if (architecture == Architecture::JumpReLU) {
    // Checkpoints of versions before 6 train the logarithm.
    form.thresholdIsLog =
        weights->contains("log_threshold") && !weights->contains("threshold");
    StringRef name = form.thresholdIsLog ? "log_threshold" : "threshold";
    known.push_back(name);
    if (Error error = tensor(name, form.threshold))
      return error;
  } else if (architecture == Architecture::BatchTopK) {
    known.push_back("topk_threshold");
    Expected<NamedTensor> threshold =
        floatTensor(*weights, "topk_threshold", 0);
    if (!threshold)
      return threshold.takeError();
    form.threshold = std::move(*threshold);
  }
  if (hasSkip) {
    known.push_back("W_skip");
    if (Error error = addSkip(*weights, "W_skip", /*byInput=*/false, form))
      return error;
  }
  return refuseOtherTensors(*weights, known, "this architecture");
}

Expected<double> Reader::averageScale() {
  auto check = [](const Settings &from, StringRef key,
                  double value) -> Expected<double> {
    if (value > 0)
      return value;
    return from.wrong(key, "must be above 0");
  };
  for (const Settings *from : {&settings, &metadata}) {
    Expected<std::optional<double>> factor =
        from->number("norm_scaling_factor");
    if (!factor)
      return factor.takeError();
    if (*factor)
      return check(*from, "norm_scaling_factor", **factor);
  }
  std::string scaler = inFolder(path, "activation_scaler.json");
  if (sys::fs::exists(scaler)) {
    Expected<Settings> stored = Settings::read(scaler);
    if (!stored)
      return stored.takeError();
    Expected<std::optional<double>> factor = stored->number("scaling_factor");
    if (!factor)
      return factor.takeError();
    if (*factor)
      return check(*stored, "scaling_factor", **factor);
  }
  return settings.wrong(
      "normalize_activations",
      "is 'expected_average_only_in', and the factor, sqrt(d) / (average "
      "norm), "
      "is neither in activation_scaler.json nor under 'norm_scaling_factor'; "
      "add \"norm_scaling_factor\": 1 if the weights take x as it is");
}

Error Reader::readNormalization() {
  Expected<std::optional<bool>> applied =
      settings.boolean("apply_b_dec_to_input");
  if (!applied)
    return applied.takeError();
  // A transcoder's b_dec is of its output, and sae-lens does not let it be taken
  // from the input.
  if (isTranscoder && applied->value_or(false))
    return settings.wrong("apply_b_dec_to_input",
                          "is true, which a transcoder cannot be");
  form.inputBiasScale = !isTranscoder && applied->value_or(true) ? 1 : 0;

  std::string name = "none";
  // Version 1 had a boolean here.
  if (const json::Value *value = settings.find("normalize_activations")) {
    if (std::optional<bool> flag = value->getAsBoolean()) {
      name = *flag ? "expected_average_only_in" : "none";
    } else {
      Expected<std::optional<std::string>> text =
          settings.string("normalize_activations");
      if (!text)
        return text.takeError();
      name = **text;
    }
  }
  if (name == "none")
    return Error::success();
  if (isTranscoder)
    return settings.wrong("normalize_activations",
                          "is '" + name +
                              "': transcoders that normalise their input are "
                              "not supported");
  if (name == "constant_norm_rescale") {
    info.normalization = Normalization::ConstantNorm;
    return Error::success();
  }
  if (name == "layer_norm") {
    info.normalization = Normalization::LayerNorm;
    return Error::success();
  }
  if (name == "expected_average_only_in") {
    Expected<double> scale = averageScale();
    if (!scale)
      return scale.takeError();
    // SAE.fold_activation_norm_scaling_factor
    form.weightScale = *scale;
    form.decoderScale = form.decoderBiasScale = 1 / *scale;
    return Error::success();
  }
  return settings.wrong("normalize_activations",
                        "is '" + name +
                            "'; supported are none, expected_average_only_in, "
                            "constant_norm_rescale and layer_norm");
}

Error Reader::readDecoderNorm() {
  Expected<std::optional<bool>> rescale =
      settings.boolean("rescale_acts_by_decoder_norm");
  if (!rescale)
    return rescale.takeError();
  switch (architecture) {
  case Architecture::TopK:
    form.byDecoderNorm = rescale->value_or(false);
    return Error::success();
  case Architecture::BatchTopK:
    // True by default in training, which such a checkpoint comes from. The fold
    // for inference bounds the norm from below and, where activations carry the
    // norm, so does the threshold (BatchTopKTrainingSAE).
    form.byDecoderNorm = rescale->value_or(true);
    form.decoderNormFloor = 1e-8;
    if (form.byDecoderNorm)
      form.thresholdScale = form.decoderScale;
    return Error::success();
  default:
    // A key that is left over, which sae-lens drops for these as well.
    return Error::success();
  }
}

Error Reader::readHook() {
  for (const Settings *from : {&metadata, &settings})
    for (StringRef key : {"hook_name", "hook_point"}) {
      Expected<std::optional<std::string>> name = from->string(key);
      if (!name)
        return name.takeError();
      if (*name && info.hookName.empty())
        info.hookName = **name;
    }
  if (!isTranscoder)
    return Error::success();
  std::string output;
  for (const Settings *from : {&metadata, &settings}) {
    Expected<std::optional<std::string>> name = from->string("hook_name_out");
    if (!name)
      return name.takeError();
    if (*name && output.empty())
      output = **name;
  }
  makeTranscoder(info, form, std::move(info.hookName), std::move(output), place);
  return Error::success();
}

Error Reader::readProcessing() {
  // sae-lens loads models without processing but for what is said here.
  bool isHeads = StringRef(info.hookName).ends_with("hook_z");
  // Behind a norm there is no mean to take away, or another one.
  std::optional<HookPlace> read = parseHookName(info.hookName);
  bool isInput = isTranscoder && !(read && read->isSite());
  for (const Settings *from : {&metadata, &settings}) {
    Expected<Settings> given = from->object("model_from_pretrained_kwargs");
    if (!given)
      return given.takeError();
    // Between the heads and the output projection there is another basis, and
    // the values' biases are in it or not. fold_ln alone moves no number there,
    // nor in the residual stream, and center_unembed is about the logits.
    for (StringRef key :
         {"fold_value_biases", "refactor_factored_attn_matrices"}) {
      Expected<std::optional<bool>> flag = given->boolean(key);
      if (!flag)
        return flag.takeError();
      if (flag->value_or(false) && isHeads)
        return given->wrong(key, "is true: TransformerLens changes the values "
                                 "between the heads with it, so that the "
                                 "dictionary does not fit the model's own");
    }
    Expected<std::optional<bool>> centres =
        given->boolean("center_writing_weights");
    if (!centres)
      return centres.takeError();
    if (!centres->value_or(false) || isHeads || isInput)
      continue;
    info.centring = Centring::IfLayerNorm;
    if (!model.hasLayerNorm) {
      form.unreadable =
          "was trained on a residual stream whose mean TransformerLens took "
          "away if the model has LayerNorm (center_writing_weights); say which "
          "model it is with --model to read its encoder";
      continue;
    }
    form.centred = *model.hasLayerNorm;
    if (form.centred && info.normalization == Normalization::ConstantNorm)
      return given->wrong("center_writing_weights",
                          "is true, and constant_norm_rescale divides by the "
                          "norm of the centred value: not supported");
  }
  return Error::success();
}

Error Reader::refuseUnsupported() {
  Expected<std::optional<std::string>> reshape =
      settings.string("reshape_activations");
  if (!reshape)
    return reshape.takeError();
  // hook_z joins the heads' outputs, which is how the site `head` has them.
  if (*reshape && **reshape != "none" && **reshape != "hook_z")
    return settings.wrong("reshape_activations",
                          "is '" + **reshape +
                              "'; supported are none and hook_z");
  for (const Settings *from : {&settings, &metadata})
    for (StringRef key : {"hook_head_index", "hook_point_head_index"})
      if (from->find(key))
        return from->wrong(key,
                           "is set: dictionaries of a single attention head "
                           "are not supported");
  for (StringRef name : {"scaling_factor", "finetuning_scaling_factor"}) {
    if (!weights->contains(name))
      continue;
    std::optional<NamedTensor> factor;
    if (Error error = tensor(name, factor))
      return error;
    for (int64_t i = 0, n = factor->view.numElements(); i < n; ++i)
      if (double value = factor->view.at(i); !(std::abs(value - 1) <= 1e-5))
        return fail(
            weights->path(),
            Twine(name) + "[" + Twine(i) +
                "] is not 1: finetuning scaling factors are not "
                "supported (sae-lens since version 6 refuses them too)");
  }
  return Error::success();
}

Expected<std::shared_ptr<Dictionary>> Reader::run() {
  info.path = path;
  for (auto step : {&Reader::readArchitecture, &Reader::readTensors,
                    &Reader::readNormalization, &Reader::readDecoderNorm,
                    &Reader::readHook, &Reader::readProcessing,
                    &Reader::refuseUnsupported})
    if (Error error = (this->*step)())
      return std::move(error);
  if (Error error = requireSize(settings, "d_in", form.encoder.view.shape[0],
                                form.encoder))
    return std::move(error);
  if (Error error = requireSize(settings, "d_sae", form.encoder.view.shape[1],
                                form.encoder))
    return std::move(error);
  if (isTranscoder)
    if (Error error = requireSize(settings, "d_out", form.decoder.view.shape[1],
                                  form.decoder))
      return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

Expected<std::shared_ptr<Dictionary>>
openSAELens(StringRef path, const ModelTraits &model,
            const DictionaryPlace &place) {
  if (Error error = requireFolder(path, "cfg.json and sae_weights.safetensors"))
    return std::move(error);
  Expected<Settings> settings = Settings::read(inFolder(path, "cfg.json"));
  if (!settings)
    return settings.takeError();
  Expected<Settings> metadata = settings->object("metadata");
  if (!metadata)
    return metadata.takeError();
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, "sae_weights.safetensors"));
  if (!weights)
    return weights.takeError();
  return Reader(path, std::move(*settings), std::move(*metadata),
                std::move(*weights), model, place)
      .run();
}

} // namespace weir::dictionary
