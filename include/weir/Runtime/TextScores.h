//===- TextScores.h - Numbers about a generated text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Torch-free.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_TEXTSCORES_H
#define WEIR_RUNTIME_TEXTSCORES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir {

/// The share of the n-grams of a text that are different ones: 1 where none is
/// there twice. NaN for a text that is shorter than n.
double distinctNGrams(llvm::ArrayRef<int64_t> tokens, size_t n);

/// 1 - distinctNGrams(tokens, 4): the share of 4-grams that were there before
/// (seq-rep-4 of Welleck et al., arXiv 1908.04319). 0 for shorter texts.
double repetition(llvm::ArrayRef<int64_t> tokens);

/// Rates a text by itself.
class TextScore {
public:
  virtual ~TextScore() = default;
  /// Errors: a search that needs too many steps.
  virtual llvm::Expected<double> of(llvm::StringRef text) const = 0;

  /// The share of a text's words, of any case, that are among some words; 0
  /// without a word. A word is a run of letters, digits, marks and apostrophes.
  /// Errors: no word; one that is no such run.
  static llvm::Expected<std::unique_ptr<TextScore>>
  words(llvm::ArrayRef<std::string> words);
  /// 1 if a regular expression of PCRE2 matches somewhere in a text, else 0.
  /// Errors: a pattern that is none.
  static llvm::Expected<std::unique_ptr<TextScore>> regex(llvm::StringRef pattern);
};

} // namespace weir

#endif // WEIR_RUNTIME_TEXTSCORES_H
