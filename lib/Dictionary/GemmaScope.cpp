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

#include "GemmaTensors.h"

using namespace llvm;

namespace weir::dictionary {

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
  if (Error error = readGemmaTensors(**weights, "Gemma Scope", {}, form))
    return std::move(error);
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
