//===- Splitter.h - Pieces of a text before merging ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_SPLITTER_H
#define WEIR_LIB_RUNTIME_TEXT_SPLITTER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <memory>
#include <string>
#include <vector>

namespace weir {

/// One step of normalization, or one that cuts pieces into smaller ones.
class Normalizer {
public:
  virtual ~Normalizer() = default;
  virtual llvm::Expected<std::string> apply(llvm::StringRef text) const = 0;
};

class Splitter {
public:
  virtual ~Splitter() = default;
  /// Appends the pieces of `text`; a step may also change them.
  virtual llvm::Error apply(llvm::StringRef text,
                            std::vector<std::string> &pieces) const = 0;
};

/// The steps of "normalizer" and "pre_tokenizer"; null means no step. Errors:
/// an unknown type or option. `byteLevel` is set if the last step is ByteLevel,
/// whose pieces are raw bytes here.
llvm::Expected<std::vector<std::unique_ptr<Normalizer>>>
parseNormalizer(const llvm::json::Value *value);
llvm::Expected<std::vector<std::unique_ptr<Splitter>>>
parsePreTokenizer(const llvm::json::Value *value, bool &byteLevel);

/// White_Space of the Unicode standard.
bool isWhitespace(uint32_t codePoint);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_SPLITTER_H
