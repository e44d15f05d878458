//===- BytePairs.h - Byte pair encoding ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H
#define WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <functional>
#include <pytorch/tokenizers/bpe_tokenizer_base.h>
#include <pytorch/tokenizers/pre_tokenizer.h>
#include <pytorch/tokenizers/token_decoder.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// The bytes of tokens by their ids, in one piece.
class TokenBytes {
public:
  /// Of the next id; nothing where there is no token.
  void append(std::optional<llvm::StringRef> bytes);
  std::optional<llvm::StringRef> operator[](int64_t id) const;
  void shrink();

private:
  std::string text;
  std::vector<uint64_t> ends; ///< twice where in `text`, and 1 if it is a token
};

/// Which pairs of tokens become one, sorted by their first: a vocabulary of
/// 262,144 has half a million of them.
class MergeTable {
public:
  struct Merge {
    int32_t left, right;
    uint32_t rank;
    int32_t result;
  };

  MergeTable() = default;
  /// In the order of the file; of equal pairs the last counts.
  explicit MergeTable(std::vector<Merge> merges);
  struct Entry {
    int32_t right;
    uint32_t rank;
    int32_t result;
  };
  /// Null if they stay apart.
  const Entry *find(int32_t left, int32_t right) const;

private:
  std::vector<uint32_t> begins; ///< of each first token, and the end
  std::vector<Entry> entries;
};

/// The BPE model of a tokenizer.json (Sennrich et al., arXiv 1508.07909) on top
/// of pytorch-tokenizers: its driver, its maps between texts and ids, its
/// splitting and its decoders.
///
/// The merging is ours, in the place that the library has for it
/// (byte_pair_encode_). Its own HFTokenizer takes the rank of the merged text for
/// the rank of the pair, looks every piece up in the vocabulary before merging
/// whatever "ignore_merges" says, takes id 0 for a failure and then drops the
/// piece ("!" is 0 in GPT-2's, Llama 3's and Qwen's vocabularies), skips merges
/// written as "a b", and knows neither byte_fallback nor unk_token. Hugging Face's
/// library merges pairs.
class BytePairs final : public tokenizers::detail::BPETokenizerBase {
public:
  struct AddedToken {
    std::string content;
    int64_t id;
  };

  /// `splitter` may be null: then a text is one piece. `added` are tokens that
  /// have a text, whether or not they are in the vocabulary; they are never
  /// looked for here. Errors: an option that is not known, a vocabulary or merges
  /// that do not fit together.
  static llvm::Expected<std::unique_ptr<BytePairs>>
  parse(const llvm::json::Object &model, llvm::ArrayRef<AddedToken> added,
        tokenizers::PreTokenizer::Ptr splitter,
        tokenizers::TokenDecoder::Ptr decoder);

  /// Appends the ids of a text (UTF-8). A character outside the vocabulary becomes
  /// its bytes' tokens, or the unknown token, or nothing, as the model says.
  /// Errors: a piece of 2 GiB, what the splitter says.
  llvm::Error appendIds(llvm::StringRef text, std::vector<int64_t> &ids) const;

  std::optional<int64_t> idOf(llvm::StringRef text) const;
  /// The bytes of every token.
  llvm::Expected<TokenBytes> bytesOfTokens() const;

private:
  llvm::Error readVocabulary(const llvm::json::Object &vocabulary);
  llvm::Error readMerges(const llvm::json::Array &merges);
  llvm::Error readAdded(llvm::ArrayRef<AddedToken> added);
  std::optional<int32_t> find(llvm::StringRef text) const;
  std::vector<int32_t> characters(llvm::StringRef piece) const;
  void merge(std::vector<int32_t> &symbols) const;

  // The library's extension points.
  tokenizers::Error load(const std::string &path) override;
  tokenizers::Error _encode(const std::string &text, std::vector<uint64_t> &ids,
                            uint64_t &lastPieceSize) const override;
  void _decode(const std::string &token, std::string &out) const override;
  tokenizers::Result<std::vector<uint64_t>>
  byte_pair_encode_(const std::string &piece,
                    const tokenizers::detail::TokenMap &vocabulary) const override;

  tokenizers::PreTokenizer::Ptr splitter;
  tokenizers::TokenDecoder::Ptr decoder;
  bool byteFallback = false;
  bool ignoreMerges = false;
  bool fuseUnknown = false;
  std::optional<int32_t> unknown;
  std::array<int32_t, 256> byteIds{}; ///< <0xNN> of byte_fallback, or -1
  MergeTable merges;
  int64_t end = 0; ///< one more than the largest id
};

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_BYTEPAIRS_H
