//===- TokenWindows.h - A text as pieces that a model reads ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_TOKENWINDOWS_H
#define WEIR_RUNTIME_TOKENWINDOWS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace weir {

class Program;

struct WindowOptions {
  /// Positions of a window, the beginning-of-sequence token included. By default
  /// 128, or as many as the program holds if those are fewer.
  std::optional<int64_t> context;
  /// Each window begins with the model's beginning-of-sequence token.
  bool beginWithBos = false;
  /// Positions at the beginning of each window that do not count. The first
  /// token of a window is an attention sink in many models: its residual stream
  /// is hundreds of times longer than that of others and says nothing of the
  /// text.
  int64_t skipFirst = 1;
  /// Stop after this many tokens that count.
  std::optional<int64_t> maxTokens;
};

/// Documents cut into windows, in order. A window never holds tokens of two
/// documents; one without a token that counts is left out.
class TokenWindows {
public:
  /// Reads a text or tokens:
  ///   .txt    one document, tokenised by the program's tokenizer (without the
  ///           special tokens that it adds)
  ///   .jsonl  one document a line, its key "text"; empty lines are skipped
  ///   .npy    int64 or int32: [n], one document, or [documents, length], padded
  ///           on the right with -1
  /// Errors name the file and the line or row: another extension, text that is
  /// not UTF-8, malformed JSON, no "text", ids outside the vocabulary, padding
  /// that is not on the right, no token that counts; options out of range, no
  /// beginning-of-sequence token.
  static llvm::Expected<TokenWindows> read(llvm::StringRef path,
                                           const Program &program,
                                           const WindowOptions &options);

  size_t size() const { return windows.size(); }
  /// Appends the ids of a window to `out`.
  void append(size_t window, std::vector<int64_t> &out) const {
    if (bos)
      out.push_back(*bos);
    auto begin = tokens.begin() + windows[window].begin;
    out.insert(out.end(), begin, begin + windows[window].length);
  }
  /// Positions of a window.
  int64_t length(size_t window) const {
    return windows[window].length + bos.has_value();
  }
  /// The document of the text that a window is of, counted from 0; of a .jsonl
  /// file these are its lines without the empty ones.
  int64_t document(size_t window) const { return windows[window].document; }
  /// Positions that count: from `skipFirst()` on.
  int64_t counted(size_t window) const { return length(window) - skip; }
  int64_t skipFirst() const { return skip; }
  int64_t context() const { return positions; }
  /// Tokens that count, over all windows.
  int64_t totalCounted() const { return total; }

private:
  struct Window {
    size_t begin;
    int64_t length;
    int64_t document;
  };
  friend class WindowReader;
  std::vector<int32_t> tokens;
  std::vector<Window> windows;
  std::optional<int64_t> bos;
  int64_t skip = 0, positions = 0, total = 0;
};

} // namespace weir

#endif // WEIR_RUNTIME_TOKENWINDOWS_H
