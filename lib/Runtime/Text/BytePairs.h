//===- BytePairs.h - Byte pair encoding ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H
#define WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// The BPE model of a tokenizer.json (Sennrich et al., arXiv 1508.07909): a
/// piece starts as its characters and the adjacent pair of lowest rank is merged
/// until there is none. With `byteLevel`, characters are bytes: the vocabulary's
/// printable stand-ins (GPT-2's table) are mapped back when it is read.
class BytePairs {
public:
  static llvm::Expected<BytePairs> parse(const llvm::json::Object &model,
                                         bool byteLevel);

  /// Appends the ids of one piece. A character outside the vocabulary becomes
  /// its bytes' tokens, or the unknown token, or nothing, as the model says.
  /// Errors: a piece of 2 GiB.
  llvm::Error encode(llvm::StringRef piece, std::vector<int64_t> &ids) const;

  /// Token texts by id, as tokenizer.json has them (not mapped back).
  const std::vector<std::optional<std::string>> &texts() const { return tokens; }
  std::optional<int64_t> idOf(llvm::StringRef text) const;

private:
  struct Merge {
    uint32_t rank;
    int32_t result;
  };

  llvm::Error readVocabulary(const llvm::json::Object &vocabulary);
  llvm::Error readMerges(const llvm::json::Array &merges);
  void addCharacters(llvm::StringRef piece, std::vector<int32_t> &ids) const;
  void merge(std::vector<int32_t> &ids) const;

  bool byteLevel = false;
  bool byteFallback = false;
  bool ignoreMerges = false;
  bool fuseUnknown = false;
  std::optional<int32_t> unknown;
  std::vector<std::optional<std::string>> tokens;
  llvm::StringMap<int32_t> ids;         ///< by text
  llvm::StringMap<int32_t> pieces;      ///< by bytes; the same unless byteLevel
  std::array<int32_t, 256> byteIds{};   ///< <0xNN> of byte_fallback, or -1
  llvm::DenseMap<std::pair<int32_t, int32_t>, Merge> merges;
};

/// The bytes behind a text made of GPT-2's stand-ins; nothing if a character of
/// it is none.
std::optional<std::string> bytesOfStandIns(llvm::StringRef text);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H
