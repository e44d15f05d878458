//===- ModelInfo.h - What the exporter noted about a model ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_MODELINFO_H
#define WEIR_RUNTIME_MODELINFO_H

#include "llvm/Support/Error.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// What the exporter noted about the model (extra/weir.json).
struct ModelInfo {
  std::string model, family, dtype;
  /// Of its products, where they round what they read: "int8". Empty for exact ones.
  std::string arithmetic;
  int64_t vocabularySize = 0;
  int64_t maxBatch = 0;  ///< rows of the key/value cache
  int64_t maxLength = 0; ///< positions of a row
  std::optional<int64_t> bos;
  std::vector<int64_t> eos;
  /// By name, if the model has several or one with a name; "default" is the
  /// one that is taken without.
  std::map<std::string, std::string> chatTemplates;

  static llvm::Expected<ModelInfo> parse(llvm::StringRef json);
};

} // namespace weir

#endif // WEIR_RUNTIME_MODELINFO_H
