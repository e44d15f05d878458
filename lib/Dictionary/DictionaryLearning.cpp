//===- DictionaryLearning.cpp - dictionary_learning's autoencoders ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// config.json and ae.pt, a state dict as torch.save writes it, of the classes of
// dictionary-learning 0.1 (dictionary.py and trainers/*.py), as its
// load_dictionary loads them.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir::dictionary {

namespace {

/// A class, by the names of its tensors; an empty name where it has none.
struct Layout {
  StringRef name;
  ActivationKind activation;
  StringRef encoder, decoder, encoderBias, decoderBias;
  /// nn.Linear stores [out, in], parameters of their own [in, out].
  bool isLinear = true;
  bool subtractsBias = true;
  /// load_dictionary scales features so that decoder rows have length one.
  bool byDecoderNorm = false;
  StringRef threshold = "";
  bool hasOneThreshold = false;
  SmallVector<StringRef, 3> others = {};
};

} // namespace

static ArrayRef<Layout> layouts() {
  static const Layout known[] = {
      {"AutoEncoder", ActivationKind::ReLU, "encoder.weight", "decoder.weight",
       "encoder.bias", "bias", true, true, true},
      {"AutoEncoderNew", ActivationKind::ReLU, "encoder.weight",
       "decoder.weight", "encoder.bias", "decoder.bias", true, false},
      {"GatedAutoEncoder", ActivationKind::Gated, "encoder.weight",
       "decoder.weight", "gate_bias", "decoder_bias"},
      {"JumpReluAutoEncoder", ActivationKind::JumpReLU, "W_enc", "W_dec",
       "b_enc", "b_dec", false, false, false, "threshold"},
      {"AutoEncoderTopK", ActivationKind::TopK, "encoder.weight",
       "decoder.weight", "encoder.bias", "b_dec", true, true, false, "", false,
       {"k", "threshold"}},
      {"BatchTopKSAE", ActivationKind::JumpReLU, "encoder.weight",
       "decoder.weight", "encoder.bias", "b_dec", true, true, false,
       "threshold", true, {"k"}},
      {"MatryoshkaBatchTopKSAE", ActivationKind::JumpReLU, "W_enc", "W_dec",
       "b_enc", "b_dec", false, true, false, "threshold", true,
       {"k", "group_sizes"}},
  };
  return known;
}

Expected<std::shared_ptr<Dictionary>> openDictionaryLearning(StringRef path) {
  if (Error error = requireFolder(path, "config.json and ae.pt"))
    return std::move(error);
  Expected<Settings> settings = Settings::read(inFolder(path, "config.json"));
  if (!settings)
    return settings.takeError();
  Expected<Settings> trainer = settings->object("trainer");
  if (!trainer)
    return trainer.takeError();
  Expected<std::optional<std::string>> name = trainer->string("dict_class");
  if (!name)
    return name.takeError();
  const Layout *layout = find_if(layouts(), [&](const Layout &entry) {
    return entry.name == name->value_or("");
  });
  if (layout == layouts().end())
    return trainer->wrong(
        "dict_class",
        "is '" + name->value_or("") + "', which is not supported; known are " +
            join(map_range(layouts(),
                           [](const Layout &entry) { return entry.name; }),
                 ", "));
  Expected<std::shared_ptr<TensorFile>> opened =
      TensorFile::open(inFolder(path, "ae.pt"));
  if (!opened)
    return opened.takeError();
  const TensorFile &weights = **opened;

  DictionaryInfo info;
  info.path = path.str();
  info.activation = layout->activation;
  LinearForm form;
  form.encoderByRow = layout->isLinear;
  form.decoderByRow = !layout->isLinear;
  form.inputBiasScale = layout->subtractsBias ? 1 : 0;
  form.byDecoderNorm = layout->byDecoderNorm;

  SmallVector<StringRef> known(layout->others.begin(), layout->others.end());
  auto matrix = [&](StringRef tensor, NamedTensor &into) -> Error {
    known.push_back(tensor);
    Expected<NamedTensor> found = floatTensor(weights, tensor, 2);
    if (!found)
      return found.takeError();
    into = std::move(*found);
    return Error::success();
  };
  auto vector = [&](StringRef tensor, std::optional<NamedTensor> &into,
                    int64_t rank = 1) -> Error {
    if (tensor.empty())
      return Error::success();
    known.push_back(tensor);
    Expected<NamedTensor> found = floatTensor(weights, tensor, rank);
    if (!found)
      return found.takeError();
    into = std::move(*found);
    return Error::success();
  };
  if (Error error = matrix(layout->encoder, form.encoder))
    return std::move(error);
  if (Error error = matrix(layout->decoder, form.decoder))
    return std::move(error);
  if (Error error = vector(layout->encoderBias, form.encoderBias))
    return std::move(error);
  if (Error error = vector(layout->decoderBias, form.decoderBias))
    return std::move(error);
  if (Error error = vector(layout->threshold, form.threshold,
                           layout->hasOneThreshold ? 0 : 1))
    return std::move(error);
  if (layout->activation == ActivationKind::Gated) {
    if (Error error = vector("mag_bias", form.magnitudeBias))
      return std::move(error);
    if (Error error = vector("r_mag", form.logMagnitude))
      return std::move(error);
  }
  if (Error error = refuseOtherTensors(weights, known, layout->name))
    return std::move(error);

  if (layout->activation == ActivationKind::TopK) {
    // load_dictionary refuses a k that differs from the file's.
    Expected<std::optional<int64_t>> k = trainer->integer("k");
    if (!k)
      return k.takeError();
    if (!*k)
      return trainer->wrong("k", "is missing: " + layout->name + " needs it");
    info.topK = **k;
    if (weights.contains("k")) {
      Expected<TensorView> stored = weights.tensor("k");
      if (!stored)
        return stored.takeError();
      if (stored->rank() != 0 || stored->at(0) != static_cast<double>(**k))
        return trainer->wrong("k", "is " + Twine(**k) +
                                       ", and ae.pt has another one");
    }
  }
  int64_t width = form.encoder.view.shape[layout->isLinear ? 1 : 0];
  int64_t features = form.encoder.view.shape[layout->isLinear ? 0 : 1];
  if (Error error =
          requireSize(*trainer, "activation_dim", width, form.encoder))
    return std::move(error);
  if (Error error = requireSize(*trainer, "dict_size", features, form.encoder))
    return std::move(error);
  Expected<std::optional<std::string>> submodule =
      trainer->string("submodule_name");
  if (!submodule)
    return submodule.takeError();
  info.hookName = submodule->value_or("");
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
