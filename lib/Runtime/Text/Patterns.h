//===- Patterns.h - What a text is split by ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_PATTERNS_H
#define WEIR_LIB_RUNTIME_TEXT_PATTERNS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir {

struct Range {
  size_t begin, end;
  bool isMatch;
};

/// What a Split looks for: finds all matches, from left to right.
class Pattern {
public:
  virtual ~Pattern() = default;
  /// All of the text as an alternation of matches and gaps, without empty ones.
  /// Throws if the search fails.
  virtual std::vector<Range> find(llvm::StringRef text) const = 0;

protected:
  static void add(std::vector<Range> &ranges, size_t begin, size_t end) {
    size_t done = ranges.empty() ? 0 : ranges.back().end;
    if (done < begin)
      ranges.push_back({done, begin, false});
    if (begin < end)
      ranges.push_back({begin, end, true});
  }
  static void finish(std::vector<Range> &ranges, size_t size) {
    add(ranges, size, size);
  }
};

/// A regular expression of PCRE2, with Unicode's character classes.
class Regex {
public:
  static llvm::Expected<Regex> compile(llvm::StringRef pattern);
  Regex(Regex &&);
  ~Regex();

  /// The first match at or after `from`, or nothing. Throws if the search fails:
  /// the interfaces of pytorch-tokenizers report nothing.
  std::optional<std::pair<size_t, size_t>> match(llvm::StringRef text,
                                                 size_t from) const;

private:
  struct Compiled;
  explicit Regex(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled;
};

std::unique_ptr<Pattern> literalPattern(std::string text);

/// {"String": s} or {"Regex": r} under "pattern".
llvm::Expected<std::unique_ptr<Pattern>>
parsePattern(const llvm::json::Object &object);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_PATTERNS_H
