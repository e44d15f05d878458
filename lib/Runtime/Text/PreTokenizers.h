//===- PreTokenizers.h - Normalizers, pre-tokenizers, decoders ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The components of a tokenizer.json around its model, as objects of
// pytorch-tokenizers: its own where they do as Hugging Face's library does (each
// has been compared), else ours behind its interfaces. Ours throw what derives from
// std::exception when a text cannot be handled.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_PRETOKENIZERS_H
#define WEIR_LIB_RUNTIME_TEXT_PRETOKENIZERS_H

#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <pytorch/tokenizers/normalizer.h>
#include <pytorch/tokenizers/pre_tokenizer.h>
#include <pytorch/tokenizers/token_decoder.h>

#include <string>

namespace weir {

/// How a text becomes pieces. With `space` (Metaspace), spaces become it first,
/// and it is put before a text that does not begin with it: before every text
/// between added tokens, before the one that begins the whole, or never.
struct Splitting {
  enum class Prepend { Always, First, Never };

  std::string space;
  Prepend prepend = Prepend::Never;
  tokenizers::PreTokenizer::Ptr steps; ///< null: the text is one piece
};

/// How a token becomes bytes. Of the whole text, leading spaces are dropped.
struct Decoding {
  tokenizers::TokenDecoder::Ptr steps; ///< null: as it is
  unsigned leadingSpaces = 0;
};

/// The steps of "normalizer" (null: none), "pre_tokenizer" and "decoder". Errors:
/// an unknown type or option.
llvm::Expected<tokenizers::Normalizer::Ptr>
parseNormalizer(const llvm::json::Value *value);
llvm::Expected<Splitting> parsePreTokenizer(const llvm::json::Value *value);
llvm::Expected<Decoding> parseDecoder(const llvm::json::Value *value);

/// White_Space of the Unicode standard.
bool isWhitespace(uint32_t codePoint);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_PRETOKENIZERS_H
