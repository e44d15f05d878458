//===- Unembedding.cpp - A model's unembedding as a dictionary ---===//
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
unembeddingDictionary(TensorView unembedding) {
  DictionaryInfo info;
  info.path = "the model's unembedding";
  info.activation = ActivationKind::Identity;
  LinearForm form;
  form.decoder = {"unembedding", std::move(unembedding)};
  form.coefficients = true;
  if (!isFloat(form.decoder.view.dtype) || form.decoder.view.rank() != 2)
    return fail(info.path, form.decoder.text() + "; expected a matrix of f64, "
                                                 "f32, f16 or bf16");
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir
