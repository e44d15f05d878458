//===- ModelTokens.h - What a model's tokenizer makes of texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_MODELTOKENS_H
#define WEIR_RESOURCES_MODELTOKENS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// Ids of texts, and how many there are.
struct ModelTokens {
  /// For each text those of all its tokens, without any that a tokenizer would
  /// add in front or behind.
  std::vector<std::vector<int64_t>> ids;
  /// Ids are 0 up to this, which is none; unknown without a model.
  std::optional<int64_t> vocabulary;
};

/// Asks a model. Without texts it needs no tokenizer. Errors: there is no model,
/// or it has no tokenizer.
using TokenLookup = std::function<llvm::Expected<ModelTokens>(
    llvm::ArrayRef<std::string> texts)>;

} // namespace weir

#endif // WEIR_RESOURCES_MODELTOKENS_H
