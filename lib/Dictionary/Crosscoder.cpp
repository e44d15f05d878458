//===- Crosscoder.cpp - Dictionaries of several layers at once ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A crosscoder reads n values together, f = act(sum_l x_l w_l + b), and writes
// each of them. Its folder has model.safetensors with either the tensors of
// dictionary_learning's CrossCoder (encoder.weight [n, d, F], encoder.bias [F],
// decoder.weight [n, F, d], decoder.bias [n, d]) or those of "Sparse crosscoders"
// as replicated for model diffing (W_enc [n, d, F], b_enc [F], W_dec [F, n, d],
// b_dec [n, d]). The n values are those of the layers that a spec covers, in
// order. Which features are active is decided by all of them, which no site has:
// decoder rows alone can be used.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

using namespace llvm;

#include <cmath>
#include <tuple>

namespace weir::dictionary {

/// Values that are normalised before they are encoded, each layer's by a factor
/// and a mean of its own, and brought back behind the decoder:
///   x^ = (f W_dec + b_dec) / (scale + 1e-8) + mean.
/// Tensors of NaN say that they are not.
static Error readNormalization(const TensorFile &file, int64_t index,
                               LinearForm &form) {
  if (!file.contains("activation_mean"))
    return Error::success();
  ArrayRef<int64_t> shape = form.encoder.view.shape; // [layers, d, F]
  NamedTensor tensors[3];
  for (auto [name, rank, into] :
       {std::tuple<StringRef, int64_t, NamedTensor *>("activation_mean", 2,
                                                      &tensors[0]),
        {"activation_std", 2, &tensors[1]},
        {"activation_global_scale", 1, &tensors[2]}}) {
    Expected<NamedTensor> found = floatTensor(file, name, rank);
    if (!found)
      return found.takeError();
    *into = std::move(*found);
    if (Error error = requireShape(file.path(), *into, shape.take_front(rank),
                                   form.encoder))
      return error;
    if (Error error = into->load())
      return error;
  }
  for (const NamedTensor &tensor : {tensors[0], tensors[1]})
    for (int64_t i = 0, n = tensor.view.numElements(); i < n; ++i)
      if (std::isnan(tensor.view.at(i)))
        return Error::success();
  double scale = tensors[2].view.at(index);
  if (!std::isfinite(scale) || !(scale > 0))
    return fail(file.path(), "activation_global_scale[" + Twine(index) +
                                 "] is not above 0: values cannot be brought "
                                 "back from what they are normalised to");
  form.decoderScale = 1 / (scale + 1e-8);

  // The bias of this layer, [d].
  if (Error error = form.decoderBias->load())
    return error;
  int64_t width = form.decoderBias->view.numElements();
  auto bias = std::make_shared<std::vector<float>>(width);
  for (int64_t i = 0; i < width; ++i)
    (*bias)[i] =
        static_cast<float>(form.decoderBias->view.at(i) * form.decoderScale +
                           tensors[0].view.at(index * width + i));
  form.decoderBias->view.dtype = DType::Float32;
  form.decoderBias->view.data =
      reinterpret_cast<const std::byte *>(bias->data());
  form.decoderBias->view.owner = std::move(bias);
  return Error::success();
}

Expected<std::shared_ptr<Dictionary>>
openCrosscoder(StringRef path, const DictionaryPlace &place) {
  if (Error error = requireFolder(path, "model.safetensors"))
    return std::move(error);
  Expected<std::shared_ptr<TensorFile>> opened =
      TensorFile::open(inFolder(path, "model.safetensors"));
  if (!opened)
    return opened.takeError();
  const TensorFile &file = **opened;
  bool isModule = file.contains("decoder.weight");
  StringRef names[] = {isModule ? "encoder.weight" : "W_enc",
                       isModule ? "encoder.bias" : "b_enc",
                       isModule ? "decoder.weight" : "W_dec",
                       isModule ? "decoder.bias" : "b_dec"};
  Expected<NamedTensor> encoder = floatTensor(file, names[0], 3);
  if (!encoder)
    return encoder.takeError();
  Expected<NamedTensor> encoderBias = floatTensor(file, names[1], 1);
  if (!encoderBias)
    return encoderBias.takeError();
  Expected<NamedTensor> decoder = floatTensor(file, names[2], 3);
  if (!decoder)
    return decoder.takeError();
  Expected<NamedTensor> decoderBias = floatTensor(file, names[3], 2);
  if (!decoderBias)
    return decoderBias.takeError();

  SmallVector<int64_t, 4> shape = encoder->view.shape;
  int64_t layers = shape[0], width = shape[1], features = shape[2];
  int64_t rows[] = {layers, features, width};
  if (!isModule)
    std::swap(rows[0], rows[1]);
  if (Error error = requireShape(file.path(), *decoder, rows, *encoder))
    return std::move(error);
  if (Error error = requireShape(file.path(), *decoderBias, {layers, width},
                                 *encoder))
    return std::move(error);
  int64_t covered = place.layer ? place.lastLayer - place.firstLayer + 1 : layers;
  if (layers != covered)
    return fail(file.path(),
                encoder->text() + ", a crosscoder of " + Twine(layers) +
                    " values, and the dictionary covers " + Twine(covered) +
                    (covered == 1 ? " layer" : " layers") +
                    ": each of its values must be that of a layer, in order");
  int64_t index = place.layer ? *place.layer - place.firstLayer : 0;
  if (layers < 1 || index < 0 || index >= layers)
    return fail(file.path(), encoder->text() + ", which holds nothing");
  std::optional<int64_t> inputs = checkedBytes({layers, width}, 1);
  std::optional<int64_t> decoders = checkedBytes({layers, features}, 1);
  if (!inputs || !decoders)
    return fail(file.path(), encoder->text() + ": too large");

  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::ReLU;
  info.readsSite = false;
  LinearForm form;
  form.unreadable = "a crosscoder reads " + std::to_string(layers) +
                    " values together, and no site has them all: only its "
                    "decoder rows can be used";
  decoderBias->slice(index);
  form.decoderBias = std::move(*decoderBias);
  form.encoder = std::move(*encoder);
  if (Error error = readNormalization(file, index, form))
    return std::move(error);
  form.encoder.reshape({*inputs, features});
  form.encoderBias = std::move(*encoderBias);
  decoder->reshape({*decoders, width});
  form.decoder = std::move(*decoder);
  form.severalDecoders = true;
  form.decoderStride = isModule ? 1 : layers;
  form.decoderOffset = isModule ? index * features : index;
  if (Error error = refuseOtherTensors(
          file,
          {names[0], names[1], names[2], names[3], "activation_mean",
           "activation_std", "activation_global_scale", "target_rms",
           // How sparsity was counted, and who is active: no decoder row's.
           "code_normalization_id", "k", "threshold"},
          "a crosscoder"))
    return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
