//===- CircuitTracer.cpp - Transcoders of circuit-tracer ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As circuit-tracer 0.5 writes and reads them (transcoder/*.py):
//
//   * per layer, one file: W_enc [F, d], W_dec [F, d] (older files: [d, F]), b_enc,
//     b_dec, W_skip and activation_function.threshold where there are such;
//   * across layers, a folder of W_enc_L.safetensors with W_enc_L [F, d],
//     b_enc_L, b_dec_L, threshold_L, and W_dec_L.safetensors with W_dec_L
//     [F, n, d]: what a feature of layer L writes at the layers L to L + n - 1.
//
// Where they read and write, config.yaml next to them says, or nobody.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir::dictionary {

/// The text of one key at the top level of a config.yaml, empty if it is not
/// there. circuit-tracer writes plain or quoted words.
static std::string topLevel(StringRef yaml, StringRef key) {
  for (StringRef line : split(yaml, '\n')) {
    if (!line.consume_front(key) || !line.consume_front(":"))
      continue;
    StringRef value = line.trim();
    if (value.starts_with("\"") || value.starts_with("'"))
      return value.drop_front().split(value.front()).first.str();
    return value.split(" #").first.rtrim().str();
  }
  return {};
}

namespace {

/// The hooks that a config.yaml names.
struct Hooks {
  std::string in, out;
};

} // namespace

static Expected<Hooks> readHooks(StringRef folder,
                                 const DictionaryPlace &place) {
  std::string config = inFolder(folder, "config.yaml");
  if (!sys::fs::exists(config) || !place.layer)
    return Hooks();
  Expected<std::string> text = readText(config);
  if (!text)
    return text.takeError();
  std::string activation = topLevel(*text, "activation");
  if (!activation.empty() && activation != "relu" && activation != "jump_relu")
    return fail(config, "'activation' is '" + activation +
                            "', which is not supported");
  Hooks hooks;
  std::string block = "blocks." + std::to_string(*place.layer) + ".";
  if (std::string in = topLevel(*text, "feature_input_hook"); !in.empty())
    hooks.in = block + in;
  if (std::string out = topLevel(*text, "feature_output_hook"); !out.empty())
    hooks.out = block + out;
  return hooks;
}

static Error readVector(const TensorFile &file, const std::string &name,
                        std::optional<NamedTensor> &into) {
  Expected<NamedTensor> tensor = floatTensor(file, name, 1);
  if (!tensor)
    return tensor.takeError();
  into = std::move(*tensor);
  return Error::success();
}

static Error readThreshold(const TensorFile &file, const std::string &name,
                           DictionaryInfo &info, LinearForm &form) {
  info.activation = ActivationKind::ReLU;
  if (!file.contains(name))
    return Error::success();
  info.activation = ActivationKind::JumpReLU;
  form.thresholdMustNotBeNegative = true;
  return readVector(file, name, form.threshold);
}

static Expected<std::shared_ptr<Dictionary>>
openPerLayer(StringRef path, const DictionaryPlace &place) {
  if (place.isShared())
    return fail(path, "is of one layer: write {layer} in the path of several");
  Expected<std::shared_ptr<TensorFile>> opened = TensorFile::open(path);
  if (!opened)
    return opened.takeError();
  const TensorFile &file = **opened;
  Expected<Hooks> hooks = readHooks(sys::path::parent_path(path), place);
  if (!hooks)
    return hooks.takeError();

  DictionaryInfo info;
  info.path = path.str();
  LinearForm form;
  form.encoderByRow = true;
  Expected<NamedTensor> encoder = floatTensor(file, "W_enc", 2);
  if (!encoder)
    return encoder.takeError();
  form.encoder = std::move(*encoder);
  Expected<NamedTensor> decoder = floatTensor(file, "W_dec", 2);
  if (!decoder)
    return decoder.takeError();
  form.decoder = std::move(*decoder);
  form.decoderByRow = form.decoder.view.shape[0] == form.encoder.view.shape[0];
  if (Error error = readVector(file, "b_enc", form.encoderBias))
    return std::move(error);
  if (Error error = readVector(file, "b_dec", form.decoderBias))
    return std::move(error);
  if (Error error = readThreshold(file, "activation_function.threshold", info,
                                  form))
    return std::move(error);
  if (file.contains("W_skip"))
    if (Error error = addSkip(file, "W_skip", /*byInput=*/false, form))
      return std::move(error);
  if (Error error = refuseOtherTensors(
          file,
          {"W_enc", "W_dec", "b_enc", "b_dec", "W_skip",
           "activation_function.threshold"},
          "a transcoder"))
    return std::move(error);
  makeTranscoder(info, form, std::move(hooks->in), std::move(hooks->out), place);
  return makeLinearDictionary(std::move(info), std::move(form));
}

static Expected<std::shared_ptr<Dictionary>>
openCrossLayer(StringRef path, const DictionaryPlace &place) {
  if (!place.layer)
    return fail(path, "is a cross-layer transcoder: which layer's features are "
                      "meant is not said");
  std::string layer = std::to_string(*place.layer);
  auto open = [&](StringRef part) {
    return TensorFile::open(
        inFolder(path, (part + "_" + layer + ".safetensors").str()));
  };
  Expected<std::shared_ptr<TensorFile>> encoders = open("W_enc");
  if (!encoders)
    return encoders.takeError();
  Expected<std::shared_ptr<TensorFile>> decoders = open("W_dec");
  if (!decoders)
    return decoders.takeError();
  Expected<Hooks> hooks = readHooks(path, place);
  if (!hooks)
    return hooks.takeError();

  DictionaryInfo info;
  info.path = path.str();
  LinearForm form;
  form.encoderByRow = true;
  std::string names[] = {"W_enc_" + layer, "b_enc_" + layer, "b_dec_" + layer,
                         "threshold_" + layer, "W_dec_" + layer};
  Expected<NamedTensor> encoder = floatTensor(**encoders, names[0], 2);
  if (!encoder)
    return encoder.takeError();
  form.encoder = std::move(*encoder);
  if (Error error = readVector(**encoders, names[1], form.encoderBias))
    return std::move(error);
  std::optional<NamedTensor> bias;
  if (Error error = readVector(**encoders, names[2], bias))
    return std::move(error);
  if (Error error = readThreshold(**encoders, names[3], info, form))
    return std::move(error);
  if (Error error = refuseOtherTensors(
          **encoders, {names[0], names[1], names[2], names[3]},
          "a cross-layer transcoder"))
    return std::move(error);

  Expected<NamedTensor> decoder = floatTensor(**decoders, names[4], 3);
  if (!decoder)
    return decoder.takeError();
  form.decoder = std::move(*decoder);
  SmallVector<int64_t, 4> shape = form.decoder.view.shape;
  int64_t features = form.encoder.view.shape[0], targets = shape[1];
  if (Error error = requireShape((*decoders)->path(), form.decoder,
                                 {features, targets, shape[2]}, form.encoder))
    return std::move(error);
  if (targets < 1 || targets > std::numeric_limits<int32_t>::max())
    return fail((*decoders)->path(),
                form.decoder.text() + ": it writes at no layer");
  int64_t target = place.target.value_or(*place.layer) - *place.layer;
  if (target < 0 || target >= targets)
    return fail((*decoders)->path(),
                form.decoder.text() + ": it does not write at layer " +
                    Twine(*place.layer + target));
  std::optional<int64_t> rows = checkedBytes({features, targets}, 1);
  if (!rows)
    return fail((*decoders)->path(), form.decoder.text() + ": too large");
  form.decoder.reshape({*rows, shape[2]});
  form.severalDecoders = true;
  form.decoderStride = targets;
  form.decoderOffset = target;
  // The bias at a layer is that of all features which write there.
  if (target == 0)
    form.decoderBias = std::move(bias);
  if (Error error = refuseOtherTensors(**decoders, {names[4]},
                                       "a cross-layer transcoder"))
    return std::move(error);
  info.lastTarget = *place.layer + targets - 1;
  std::string out = std::move(hooks->out);
  makeTranscoder(info, form, std::move(hooks->in), std::move(out), place);
  return makeLinearDictionary(std::move(info), std::move(form));
}

Expected<std::shared_ptr<Dictionary>>
openCircuitTracer(StringRef path, const DictionaryPlace &place) {
  return sys::fs::is_directory(path) ? openCrossLayer(path, place)
                                     : openPerLayer(path, place);
}

} // namespace weir::dictionary
