//===- Splitter.cpp - Pieces of a text before merging ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Splitter.h"

#include "../Support.h"
#include "Components.h"
#include "Utf8.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

using namespace llvm;

namespace weir {
namespace {

struct Range {
  size_t begin, end;
  bool isMatch;
};

/// What a Split looks for: finds all matches, from left to right.
class Pattern {
public:
  virtual ~Pattern() = default;
  /// All of the text as an alternation of matches and gaps, without empty ones.
  virtual Expected<std::vector<Range>> find(StringRef text) const = 0;

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

class LiteralPattern final : public Pattern {
public:
  explicit LiteralPattern(std::string text) : needle(std::move(text)) {}

  Expected<std::vector<Range>> find(StringRef text) const override {
    std::vector<Range> out;
    for (size_t at = text.find(needle); at != StringRef::npos;
         at = text.find(needle, at + needle.size()))
      add(out, at, at + needle.size());
    finish(out, text.size());
    return out;
  }

private:
  std::string needle;
};

/// A compiled regular expression of PCRE2, with Unicode's character classes.
class Regex {
public:
  static Expected<Regex> compile(StringRef pattern) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    Regex out;
    out.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                                 pattern.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                                 &code, &offset, nullptr));
    if (!out.code)
      return fail("pattern '{0}': {1} at byte {2}", pattern, describe(code),
                  offset);
    // Without JIT support the interpreter matches the same, more slowly.
    pcre2_jit_compile(out.code.get(), PCRE2_JIT_COMPLETE);
    out.data.reset(
        pcre2_match_data_create_from_pattern(out.code.get(), nullptr));
    return out;
  }

  /// The first match at or after `from`, or nothing.
  Expected<std::optional<std::pair<size_t, size_t>>> match(StringRef text,
                                                           size_t from) const {
    int result = pcre2_match(code.get(),
                             reinterpret_cast<PCRE2_SPTR>(text.data()),
                             text.size(), from, PCRE2_NO_UTF_CHECK, data.get(),
                             nullptr);
    if (result == PCRE2_ERROR_NOMATCH)
      return std::nullopt;
    if (result < 0)
      return fail("splitting the text: {0}", describe(result));
    const PCRE2_SIZE *where = pcre2_get_ovector_pointer(data.get());
    return std::make_pair(size_t{where[0]}, size_t{where[1]});
  }

private:
  static std::string describe(int code) {
    PCRE2_UCHAR buffer[256] = {};
    pcre2_get_error_message(code, buffer, sizeof buffer);
    return reinterpret_cast<const char *>(buffer);
  }

  struct Free {
    void operator()(pcre2_code *code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data *data) const {
      pcre2_match_data_free(data);
    }
  };
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_data, Free> data;
};

class RegexPattern final : public Pattern {
public:
  RegexPattern(Regex regex, Regex doubtful, bool namesSymbols)
      : regex(std::move(regex)), doubtful(std::move(doubtful)),
        namesSymbols(namesSymbols) {}

  static Expected<std::unique_ptr<Pattern>> compile(StringRef pattern) {
    Expected<Regex> regex = Regex::compile(pattern);
    if (!regex)
      return regex.takeError();
    // What PCRE2 does not know yet, and the one character that its \s matches
    // although it has not been White_Space since Unicode 6.3.
    Expected<Regex> doubtful = Regex::compile("[\\p{Cn}\\x{180E}]");
    if (!doubtful)
      return doubtful.takeError();
    bool namesSymbols = pattern.contains_insensitive("\\p{S") ||
                        pattern.contains_insensitive("\\p{^S");
    return std::make_unique<RegexPattern>(std::move(*regex),
                                          std::move(*doubtful), namesSymbols);
  }

  Expected<std::vector<Range>> find(StringRef text) const override {
    if (Error error = checkClasses(text))
      return std::move(error);
    std::vector<Range> out;
    for (size_t from = 0; from <= text.size();) {
      auto found = regex.match(text, from);
      if (!found)
        return found.takeError();
      if (!*found)
        break;
      auto [begin, end] = **found;
      add(out, begin, end);
      from = end;
      if (begin == end) { // an empty match: one character on
        if (from == text.size())
          break;
        from += firstCharacter(text.drop_front(from)).length;
      }
    }
    finish(out, text.size());
    return out;
  }

private:
  /// A pattern asks whether a character is a letter, a number, a space. For one
  /// that PCRE2's Unicode version does not know, the answer could differ from
  /// what the tokenizer was trained with, and so would the ids. New emoji are no
  /// problem: their code points have been reserved as symbols.
  Error checkClasses(StringRef text) const {
    for (size_t from = 0; from < text.size();) {
      auto found = doubtful.match(text, from);
      if (!found)
        return found.takeError();
      if (!*found)
        break;
      from = (*found)->second;
      UChar32 codePoint =
          firstCharacter(text.drop_front((*found)->first)).codePoint;
      if (namesSymbols ||
          !u_hasBinaryProperty(codePoint, UCHAR_EXTENDED_PICTOGRAPHIC))
        return fail("the class of the character U+{0} is not known to this "
                    "build's PCRE2",
                    utohexstr(codePoint));
    }
    return Error::success();
  }

  Regex regex, doubtful;
  bool namesSymbols;
};

/// {"String": s} or {"Regex": r}.
Expected<std::unique_ptr<Pattern>> parsePattern(const json::Object &object) {
  const json::Object *pattern = object.getObject("pattern");
  if (pattern && pattern->size() == 1) {
    if (std::optional<StringRef> text = pattern->getString("String")) {
      if (text->empty())
        return fail("an empty pattern");
      return std::make_unique<LiteralPattern>(text->str());
    }
    if (std::optional<StringRef> text = pattern->getString("Regex"))
      return RegexPattern::compile(*text);
  }
  return fail("a pattern must be a \"String\" or a \"Regex\"");
}

class NfcNormalizer final : public Normalizer {
public:
  Expected<std::string> apply(StringRef text) const override {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2 *nfc = icu::Normalizer2::getNFCInstance(status);
    std::string out;
    icu::StringByteSink<std::string> sink(&out, text.size());
    if (U_SUCCESS(status))
      nfc->normalizeUTF8(0, icu::StringPiece(text.data(), text.size()), sink,
                         nullptr, status);
    if (U_FAILURE(status))
      return fail("normalizing the text: {0}", u_errorName(status));
    return out;
  }
};

class ReplaceNormalizer final : public Normalizer {
public:
  ReplaceNormalizer(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern(std::move(pattern)), content(std::move(content)) {}

  Expected<std::string> apply(StringRef text) const override {
    Expected<std::vector<Range>> ranges = pattern->find(text);
    if (!ranges)
      return ranges.takeError();
    std::string out;
    for (const Range &range : *ranges)
      out += range.isMatch ? StringRef(content)
                           : text.slice(range.begin, range.end);
    return out;
  }

private:
  std::unique_ptr<Pattern> pattern;
  std::string content;
};

class PrependNormalizer final : public Normalizer {
public:
  explicit PrependNormalizer(std::string prefix) : prefix(std::move(prefix)) {}
  Expected<std::string> apply(StringRef text) const override {
    return text.empty() ? std::string() : prefix + text.str();
  }

private:
  std::string prefix;
};

enum class Behavior {
  Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous,
};

/// What `tokenizers` calls SplitDelimiterBehavior.
void cut(StringRef text, ArrayRef<Range> ranges, Behavior behavior,
         std::vector<std::string> &pieces) {
  SmallVector<Range, 16> merged;
  bool previous = false;
  switch (behavior) {
  case Behavior::Removed:
    for (const Range &range : ranges)
      if (!range.isMatch)
        merged.push_back(range);
    break;
  case Behavior::Isolated:
    merged.assign(ranges.begin(), ranges.end());
    break;
  case Behavior::Contiguous:
    for (const Range &range : ranges) {
      if (!merged.empty() && merged.back().isMatch == range.isMatch)
        merged.back().end = range.end;
      else
        merged.push_back(range);
    }
    break;
  case Behavior::MergedWithPrevious:
    for (const Range &range : ranges) {
      if (range.isMatch && !previous && !merged.empty())
        merged.back().end = range.end;
      else
        merged.push_back(range);
      previous = range.isMatch;
    }
    break;
  case Behavior::MergedWithNext:
    for (const Range &range : reverse(ranges)) {
      if (range.isMatch && !previous && !merged.empty())
        merged.back().begin = range.begin;
      else
        merged.push_back(range);
      previous = range.isMatch;
    }
    std::reverse(merged.begin(), merged.end());
    break;
  }
  for (const Range &range : merged)
    pieces.push_back(text.slice(range.begin, range.end).str());
}

class SplitStep final : public Splitter {
public:
  SplitStep(std::unique_ptr<Pattern> pattern, Behavior behavior, bool invert)
      : pattern(std::move(pattern)), behavior(behavior), invert(invert) {}

  Error apply(StringRef text, std::vector<std::string> &pieces) const override {
    Expected<std::vector<Range>> ranges = pattern->find(text);
    if (!ranges)
      return ranges.takeError();
    if (invert)
      for (Range &range : *ranges)
        range.isMatch = !range.isMatch;
    cut(text, *ranges, behavior, pieces);
    return Error::success();
  }

private:
  std::unique_ptr<Pattern> pattern;
  Behavior behavior;
  bool invert;
};

class DigitsStep final : public Splitter {
public:
  explicit DigitsStep(bool individual) : individual(individual) {}

  Error apply(StringRef text, std::vector<std::string> &pieces) const override {
    std::vector<Range> ranges;
    for (size_t at = 0; at < text.size();) {
      Character character = firstCharacter(text.drop_front(at));
      size_t end = at + character.length;
      UChar32 codePoint = static_cast<UChar32>(character.codePoint);
      if (u_charType(codePoint) == U_UNASSIGNED &&
          !u_hasBinaryProperty(codePoint, UCHAR_EXTENDED_PICTOGRAPHIC))
        return fail("the class of the character U+{0} is not known to this "
                    "build's ICU",
                    utohexstr(character.codePoint));
      bool isDigit = U_GET_GC_MASK(codePoint) & U_GC_N_MASK;
      if (!isDigit && !ranges.empty() && !ranges.back().isMatch)
        ranges.back().end = end;
      else
        ranges.push_back({at, end, isDigit});
      at = end;
    }
    cut(text, ranges, individual ? Behavior::Isolated : Behavior::Contiguous,
        pieces);
    return Error::success();
  }

private:
  bool individual;
};

/// GPT-2's pattern, then bytes. The library maps each byte to a printable
/// character first; here the vocabulary is mapped back instead.
class ByteLevelStep final : public Splitter {
public:
  ByteLevelStep(bool addPrefixSpace, std::unique_ptr<Pattern> pattern)
      : addPrefixSpace(addPrefixSpace), pattern(std::move(pattern)) {}

  Error apply(StringRef text, std::vector<std::string> &pieces) const override {
    std::string prefixed;
    if (addPrefixSpace && !text.starts_with(" ")) {
      prefixed = " " + text.str();
      text = prefixed;
    }
    if (!pattern) {
      pieces.push_back(text.str());
      return Error::success();
    }
    Expected<std::vector<Range>> ranges = pattern->find(text);
    if (!ranges)
      return ranges.takeError();
    cut(text, *ranges, Behavior::Isolated, pieces);
    return Error::success();
  }

private:
  bool addPrefixSpace;
  std::unique_ptr<Pattern> pattern;
};

constexpr StringLiteral gpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
    "|\\s+(?!\\S)|\\s+";

Expected<std::unique_ptr<Splitter>> parseSplit(const json::Object &object) {
  Expected<std::unique_ptr<Pattern>> pattern = parsePattern(object);
  if (!pattern)
    return pattern.takeError();
  StringRef name = object.getString("behavior").value_or("");
  auto behavior = StringSwitch<std::optional<Behavior>>(name)
                      .Case("Removed", Behavior::Removed)
                      .Case("Isolated", Behavior::Isolated)
                      .Case("MergedWithPrevious", Behavior::MergedWithPrevious)
                      .Case("MergedWithNext", Behavior::MergedWithNext)
                      .Case("Contiguous", Behavior::Contiguous)
                      .Default(std::nullopt);
  if (!behavior)
    return fail("unknown behaviour '{0}' of Split", name);
  return std::make_unique<SplitStep>(std::move(*pattern), *behavior,
                                     object.getBoolean("invert").value_or(false));
}

} // namespace

bool isWhitespace(uint32_t codePoint) {
  return u_isUWhiteSpace(static_cast<UChar32>(codePoint));
}

Expected<std::vector<std::unique_ptr<Normalizer>>>
parseNormalizer(const json::Value *value) {
  std::vector<std::unique_ptr<Normalizer>> out;
  Error error = forEachComponent(
      value, "normalizer", "normalizers",
      [&](StringRef type, const json::Object &object) -> Error {
        if (type == "NFC") {
          if (Error wrong = allowOnly(object, {}))
            return wrong;
          out.push_back(std::make_unique<NfcNormalizer>());
          return Error::success();
        }
        if (type == "Replace") {
          if (Error wrong = allowOnly(object, {"pattern", "content"}))
            return wrong;
          Expected<std::unique_ptr<Pattern>> pattern = parsePattern(object);
          if (!pattern)
            return pattern.takeError();
          std::optional<StringRef> content = object.getString("content");
          if (!content)
            return fail("\"content\" is missing");
          out.push_back(std::make_unique<ReplaceNormalizer>(
              std::move(*pattern), content->str()));
          return Error::success();
        }
        if (type == "Prepend") {
          if (Error wrong = allowOnly(object, {"prepend"}))
            return wrong;
          std::optional<StringRef> prefix = object.getString("prepend");
          if (!prefix)
            return fail("\"prepend\" is missing");
          out.push_back(std::make_unique<PrependNormalizer>(prefix->str()));
          return Error::success();
        }
        return fail("this type is not known");
      });
  if (error)
    return std::move(error);
  return out;
}

Expected<std::vector<std::unique_ptr<Splitter>>>
parsePreTokenizer(const json::Value *value, bool &byteLevel) {
  std::vector<std::unique_ptr<Splitter>> out;
  byteLevel = false;
  Error error = forEachComponent(
      value, "pre_tokenizer", "pretokenizers",
      [&](StringRef type, const json::Object &object) -> Error {
        if (byteLevel)
          return fail("a step after ByteLevel is not known");
        if (type == "ByteLevel") {
          if (Error wrong = allowOnly(
                  object, {"add_prefix_space", "trim_offsets", "use_regex"}))
            return wrong;
          std::unique_ptr<Pattern> pattern;
          if (object.getBoolean("use_regex").value_or(true)) {
            auto compiled = RegexPattern::compile(gpt2Pattern);
            if (!compiled)
              return compiled.takeError();
            pattern = std::move(*compiled);
          }
          byteLevel = true;
          out.push_back(std::make_unique<ByteLevelStep>(
              object.getBoolean("add_prefix_space").value_or(true),
              std::move(pattern)));
          return Error::success();
        }
        if (type == "Digits") {
          if (Error wrong = allowOnly(object, {"individual_digits"}))
            return wrong;
          out.push_back(std::make_unique<DigitsStep>(
              object.getBoolean("individual_digits").value_or(false)));
          return Error::success();
        }
        if (type == "Split") {
          if (Error wrong = allowOnly(object, {"pattern", "behavior", "invert"}))
            return wrong;
          Expected<std::unique_ptr<Splitter>> step = parseSplit(object);
          if (!step)
            return step.takeError();
          out.push_back(std::move(*step));
          return Error::success();
        }
        return fail("this type is not known");
      });
  if (error)
    return std::move(error);
  return out;
}

} // namespace weir
