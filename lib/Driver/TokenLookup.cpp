//===- TokenLookup.cpp - Asks a model for the ids of texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/TokenLookup.h"

#include "weir/Torch/TorchRuntime.h"

using namespace weir;

TokenLookup weir::makeTokenLookup(const Resources &resources,
                                  OperatorPolicy operators) {
  return [model = resources.options().model, operators = std::move(operators)](
             llvm::ArrayRef<std::string> texts) -> llvm::Expected<ModelTokens> {
    if (model.empty()) {
      if (texts.empty())
        return ModelTokens();
      return llvm::createStringError("there is no model to ask");
    }
    auto runtime = TorchRuntime::load();
    if (!runtime)
      return runtime.takeError();
    return runtime->encode(texts, model, operators);
  };
}
