//===- GemmaScope.cpp - Dictionaries of Gemma Scope ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// layer_L/width_W/average_l0_N/params.npz (arXiv 2408.05147): JumpReLU, no
// decoder bias at the input. The file says nothing about its site; two kinds of
// folders are known by their names.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir::dictionary {

/// True if one of the last five components of the path contains `word`.
static bool namesFolder(StringRef path, StringRef word) {
  SmallVector<StringRef> components(sys::path::begin(path),
                                    sys::path::end(path));
  return any_of(ArrayRef(components).take_back(5),
                [&](StringRef component) { return component.contains(word); });
}

Expected<std::shared_ptr<Dictionary>> openGemmaScope(StringRef path) {
  if (Error error = requireFolder(path, "params.npz"))
    return std::move(error);
  if (namesFolder(path, "embedding"))
    return fail(path,
                "Gemma Scope's embedding dictionaries read the scaled token "
                "embedding, which is not a site");
  Expected<std::shared_ptr<TensorFile>> weights =
      TensorFile::open(inFolder(path, "params.npz"));
  if (!weights)
    return weights.takeError();

  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::JumpReLU;
  LinearForm form;
  if (namesFolder(path, "transcoders")) {
    info.readsSite = false;
    form.unreadable = "a transcoder reads the MLP's input, not the site its "
                      "decoder writes to; only its decoder rows can be used";
  }
  struct Matrix {
    StringRef name;
    NamedTensor *into;
  };
  for (Matrix matrix :
       {Matrix{"W_enc", &form.encoder}, {"W_dec", &form.decoder}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, matrix.name, 2);
    if (!tensor)
      return tensor.takeError();
    *matrix.into = std::move(*tensor);
  }
  struct Vector {
    StringRef name;
    std::optional<NamedTensor> *into;
  };
  for (Vector vector : {Vector{"b_enc", &form.encoderBias},
                        {"b_dec", &form.decoderBias},
                        {"threshold", &form.threshold}}) {
    Expected<NamedTensor> tensor = floatTensor(**weights, vector.name, 1);
    if (!tensor)
      return tensor.takeError();
    *vector.into = std::move(*tensor);
  }
  if (Error error = refuseOtherTensors(
          **weights, {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"},
          "Gemma Scope"))
    return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
