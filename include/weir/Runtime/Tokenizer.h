//===- Tokenizer.h - Hugging Face's tokenizer.json ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Byte pair encoding as the Rust library `tokenizers` does it. A tokenizer.json
// is a pipeline of components; every component and every option in it is either
// known here, and then the ids are those of that library, or the file is
// refused. Torch-free.
//
//   normalizer      NFC, Replace (string), Prepend, Sequence
//   pre_tokenizer   ByteLevel (last), Split, Digits, Sequence, Metaspace, none
//   model           BPE, with byte_fallback, ignore_merges, unk_token, fuse_unk
//   post_processor  TemplateProcessing, ByteLevel, Sequence, none
//   decoder         ByteLevel, or Replace, ByteFallback, Fuse, Strip in Sequence
//   added tokens    special or not, normalized or not, lstrip, rstrip
//
// The tokenizer is built from pytorch-tokenizers: its driver of BPE tokenizers,
// its maps between texts and ids, GPT-2's splitting and byte alphabet, Digits,
// Replace, the sequences of components and the decoders. Where that library does
// not do as `tokenizers` does, its place is taken by a part of ours behind its
// interfaces (lib/Runtime/Text). These are, with what it does instead:
//
//   merging         by the pair; its own goes by the merged text, drops pieces in
//                   which the token with id 0 occurs, and has no byte_fallback
//   added tokens    longest first, lstrip, rstrip, normalized; its own takes the
//                   first of the file that fits and ignores these options
//   NFC             by ICU; its own drops accents
//   Split           by PCRE2; its own ignores "behavior" for a regular expression,
//                   and its \s is ASCII's where RE2 can do the rest
//   ByteLevel       without a pattern it splits by GPT-2's all the same
//   Prepend, Metaspace, Strip, the post-processor: it has none
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_TOKENIZER_H
#define WEIR_RUNTIME_TOKENIZER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir {

class Tokenizer {
public:
  /// Reads the text of a tokenizer.json. Errors name the component or option
  /// that is not known, or what is malformed.
  static llvm::Expected<std::unique_ptr<Tokenizer>> parse(llvm::StringRef json);
  virtual ~Tokenizer() = default;

  /// The ids of a text. Added tokens that occur in it become their ids, as
  /// everywhere. With `addSpecialTokens` the post-processor adds what it adds
  /// (usually a beginning-of-sequence token). Errors: text that is not UTF-8;
  /// for a tokenizer that splits by character classes, a character that is newer
  /// than the Unicode version of PCRE2 or ICU, whose class is therefore unknown.
  virtual llvm::Expected<std::vector<int64_t>>
  encode(llvm::StringRef text, bool addSpecialTokens = true) const = 0;

  /// The bytes that one token stands for, maybe a part of a character. Nothing
  /// for an id outside the vocabulary.
  virtual std::optional<llvm::StringRef> bytesOf(int64_t id) const = 0;
  virtual bool isSpecial(int64_t id) const = 0;
  /// The id of an added or vocabulary token, by its text in tokenizer.json.
  virtual std::optional<int64_t> idOf(llvm::StringRef token) const = 0;
  /// Whether a leading space of a decoded text is dropped (Strip).
  virtual unsigned leadingSpacesToStrip() const = 0;

  /// The text of ids; bytes that are no UTF-8 become U+FFFD. Errors: an id
  /// outside the vocabulary.
  llvm::Expected<std::string> decode(llvm::ArrayRef<int64_t> ids,
                                     bool skipSpecialTokens = true) const;
};

/// Text as its tokens come in. A character whose bytes are spread over several
/// tokens appears when its last byte is there.
class TextStream {
public:
  explicit TextStream(const Tokenizer &tokenizer, bool skipSpecialTokens = true)
      : tokenizer(tokenizer), skipSpecialTokens(skipSpecialTokens),
        toStrip(tokenizer.leadingSpacesToStrip()) {}

  /// The text that is complete now.
  llvm::Expected<std::string> push(int64_t id);
  /// What was held back, with U+FFFD for an incomplete character.
  std::string finish();

private:
  const Tokenizer &tokenizer;
  bool skipSpecialTokens;
  unsigned toStrip;
  std::string pending;
};

} // namespace weir

#endif // WEIR_RUNTIME_TOKENIZER_H
