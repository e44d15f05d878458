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

namespace weir::dictionary {

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
  encoder->reshape({*inputs, features});
  form.encoder = std::move(*encoder);
  form.encoderBias = std::move(*encoderBias);
  decoder->reshape({*decoders, width});
  form.decoder = std::move(*decoder);
  form.severalDecoders = true;
  form.decoderStride = isModule ? 1 : layers;
  form.decoderOffset = isModule ? index * features : index;
  decoderBias->slice(index);
  form.decoderBias = std::move(*decoderBias);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
