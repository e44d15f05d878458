//===- TextScores.cpp - Numbers about a generated text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/TextScores.h"

#include "../Support.h"
#include "Patterns.h"

#include <limits>
#include <set>

using namespace llvm;

namespace weir {

double distinctNGrams(ArrayRef<int64_t> tokens, size_t n) {
  if (n == 0 || tokens.size() < n)
    return std::numeric_limits<double>::quiet_NaN();
  const size_t count = tokens.size() - n + 1;
  std::set<std::vector<int64_t>> different;
  for (size_t at = 0; at < count; ++at)
    different.insert(tokens.slice(at, n).vec());
  return static_cast<double>(different.size()) / static_cast<double>(count);
}

double repetition(ArrayRef<int64_t> tokens) {
  return tokens.size() < 4 ? 0 : 1 - distinctNGrams(tokens, 4);
}

namespace {

constexpr StringLiteral wordPattern = R"([\p{L}\p{N}\p{M}'’]+)";

/// How often a regular expression matches, one match behind the other.
Expected<int64_t> countMatches(const Regex &regex, StringRef text) {
  int64_t count = 0;
  try {
    for (size_t from = 0; from < text.size();) {
      auto found = regex.match(text, from);
      if (!found)
        break;
      ++count;
      from = std::max(found->second, from + 1);
    }
  } catch (const std::exception &exception) {
    return fail("searching a text: {0}", exception.what());
  }
  return count;
}

class WordScore final : public TextScore {
public:
  WordScore(Regex any, Regex wanted)
      : any(std::move(any)), wanted(std::move(wanted)) {}

  Expected<double> of(StringRef text) const override {
    Expected<int64_t> all = countMatches(any, text);
    if (!all)
      return all.takeError();
    Expected<int64_t> found = countMatches(wanted, text);
    if (!found)
      return found.takeError();
    return *all ? static_cast<double>(*found) / static_cast<double>(*all) : 0;
  }

private:
  Regex any, wanted;
};

class RegexScore final : public TextScore {
public:
  explicit RegexScore(Regex regex) : regex(std::move(regex)) {}

  Expected<double> of(StringRef text) const override {
    try {
      return regex.match(text, 0) ? 1 : 0;
    } catch (const std::exception &exception) {
      return fail("searching a text: {0}", exception.what());
    }
  }

private:
  Regex regex;
};

} // namespace

Expected<std::unique_ptr<TextScore>>
TextScore::words(ArrayRef<std::string> words) {
  if (words.empty())
    return fail("there is no word to look for");
  Expected<Regex> any = Regex::compile(wordPattern);
  if (!any)
    return any.takeError();
  // Nothing of a word has a meaning in a pattern.
  std::string pattern =
      R"((?i)(?<![\p{L}\p{N}\p{M}'’])(?:)";
  for (const std::string &word : words) {
    auto found = any->match(word, 0);
    if (!found || found->first != 0 || found->second != word.size())
      return fail("'{0}' is not one word of letters, digits and apostrophes",
                  word);
    pattern += (&word == &words.front() ? "" : "|") + word;
  }
  pattern += R"()(?![\p{L}\p{N}\p{M}'’]))";
  Expected<Regex> wanted = Regex::compile(pattern);
  if (!wanted)
    return wanted.takeError();
  return std::make_unique<WordScore>(std::move(*any), std::move(*wanted));
}

Expected<std::unique_ptr<TextScore>> TextScore::regex(StringRef pattern) {
  Expected<Regex> regex = Regex::compile(pattern);
  if (!regex)
    return regex.takeError();
  return std::make_unique<RegexScore>(std::move(*regex));
}

} // namespace weir
