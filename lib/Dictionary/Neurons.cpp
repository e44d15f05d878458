//===- Neurons.cpp - A model's neurons as a dictionary ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

using namespace llvm;
using namespace weir::dictionary;

namespace weir {

Expected<std::shared_ptr<Dictionary>>
neuronsDictionary(TensorView gateOrUp, std::optional<TensorView> up,
                  TensorView down, bool downIsTransposed) {
  DictionaryInfo info;
  info.path = "the model's neurons";
  info.activation = ActivationKind::Identity;
  info.readsSite = false;
  LinearForm form;
  form.encoder = {up ? "gate" : "up", std::move(gateOrUp)};
  form.decoder = {"down", std::move(down)};
  form.encoderByRow = !downIsTransposed;
  form.decoderByRow = downIsTransposed;
  if (up)
    form.others.push_back({"up", std::move(*up)});
  for (const NamedTensor *tensor : {&form.encoder, &form.decoder})
    if (!isFloat(tensor->view.dtype) || tensor->view.rank() != 2)
      return fail(info.path, tensor->text() +
                                 "; expected a matrix of f64, f32, "
                                 "f16 or bf16");
  for (const NamedTensor &tensor : form.others)
    if (Error error = requireShape(info.path, tensor, form.encoder.view.shape,
                                   form.encoder))
      return std::move(error);
  // `down` is the other way round; this also ties the widths together, which
  // transcoders may have apart.
  ArrayRef<int64_t> shape = form.encoder.view.shape;
  int64_t expected[] = {shape[1], shape[0]};
  if (Error error =
          requireShape(info.path, form.decoder, expected, form.encoder))
    return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir
