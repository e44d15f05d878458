//===- GemmaTensors.cpp - What Gemma Scope and Gemma Scope 2 share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GemmaTensors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace llvm;

namespace weir::dictionary {

SmallVector<StringRef> folderNames(StringRef path) {
  SmallVector<StringRef> components(sys::path::begin(path),
                                    sys::path::end(path));
  return SmallVector<StringRef>(ArrayRef(components).take_back(5));
}

bool namesFolder(StringRef path, StringRef word) {
  return any_of(folderNames(path),
                [&](StringRef component) { return component.contains(word); });
}

std::optional<int64_t> layerOfFolder(StringRef path) {
  SmallVector<StringRef> names = folderNames(path);
  for (StringRef component : reverse(names)) {
    StringRef rest = component.split("layer_").second;
    int64_t layer;
    if (!rest.consumeInteger(10, layer) && layer >= 0)
      return layer;
  }
  return std::nullopt;
}

/// The tensor under its name, or under the name in lower case.
static Expected<NamedTensor> matrix(const TensorFile &file, StringRef name) {
  std::string lower = name.lower();
  bool isLower = !file.contains(name) && file.contains(lower);
  return floatTensor(file, isLower ? StringRef(lower) : name, 2);
}

/// sae-lens' loader allows what numpy.allclose calls one.
static Error requireOnes(const TensorFile &file, StringRef name,
                         const NamedTensor &encoder) {
  Expected<NamedTensor> factor = floatTensor(file, name, 1);
  if (!factor)
    return factor.takeError();
  if (Error error = requireShape(file.path(), *factor, encoder.view.shape[1],
                                 encoder))
    return error;
  if (Error error = factor->load())
    return error;
  for (int64_t i = 0, n = factor->view.numElements(); i < n; ++i)
    if (double value = factor->view.at(i); !(std::abs(value - 1) <= 1e-5))
      return fail(file.path(), Twine(name) + "[" + Twine(i) +
                                   "] is not 1: finetuning scaling factors "
                                   "are not supported");
  return Error::success();
}

Error readGemmaTensors(const TensorFile &file, StringRef owner,
                       ArrayRef<StringRef> others, LinearForm &form) {
  struct Matrix {
    StringRef name;
    NamedTensor *into;
  };
  for (Matrix entry :
       {Matrix{"W_enc", &form.encoder}, {"W_dec", &form.decoder}}) {
    Expected<NamedTensor> tensor = matrix(file, entry.name);
    if (!tensor)
      return tensor.takeError();
    *entry.into = std::move(*tensor);
  }
  struct Vector {
    StringRef name;
    std::optional<NamedTensor> *into;
  };
  for (Vector vector : {Vector{"b_enc", &form.encoderBias},
                        {"b_dec", &form.decoderBias},
                        {"threshold", &form.threshold}}) {
    Expected<NamedTensor> tensor = floatTensor(file, vector.name, 1);
    if (!tensor)
      return tensor.takeError();
    *vector.into = std::move(*tensor);
  }
  SmallVector<StringRef> known = {form.encoder.name, form.decoder.name, "b_enc",
                                  "b_dec", "threshold"};
  known.append(others.begin(), others.end());
  if (file.contains("scaling_factor")) {
    known.push_back("scaling_factor");
    if (Error error = requireOnes(file, "scaling_factor", form.encoder))
      return error;
  }
  return refuseOtherTensors(file, known, owner);
}

} // namespace weir::dictionary
