//===- PreTokenizers.cpp - Normalizers and pre-tokenizers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PreTokenizers.h"

#include "../Support.h"
#include "Components.h"
#include "Patterns.h"
#include "Utf8.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <unicode.h> // the Unicode tables of pytorch-tokenizers

#include <stdexcept>

using namespace llvm;

namespace weir {
namespace {

/// Normal form C by ICU. The library's own has no table of canonical combining
/// classes beyond a few marks: it drops accents ("Ō" becomes "O").
class NfcNormalizer final : public tokenizers::Normalizer {
public:
  std::string normalize(const std::string &text) const override {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2 *nfc = icu::Normalizer2::getNFCInstance(status);
    std::string out;
    icu::StringByteSink<std::string> sink(&out, text.size());
    if (U_SUCCESS(status))
      nfc->normalizeUTF8(0, icu::StringPiece(text.data(), text.size()), sink,
                         nullptr, status);
    if (U_FAILURE(status))
      throw std::runtime_error(u_errorName(status));
    return out;
  }
};

/// The library has no Prepend.
class PrependNormalizer final : public tokenizers::Normalizer {
public:
  explicit PrependNormalizer(std::string prefix) : prefix(std::move(prefix)) {}

  std::string normalize(const std::string &text) const override {
    return text.empty() ? text : prefix + text;
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

/// Split with any behaviour. The library keeps only the matches of a regular
/// expression, and tries RE2 first, whose \s is ASCII's.
class SplitStep final : public tokenizers::PreTokenizer {
public:
  SplitStep(std::unique_ptr<Pattern> pattern, Behavior behavior, bool invert)
      : pattern(std::move(pattern)), behavior(behavior), invert(invert) {}

  std::vector<std::string>
  pre_tokenize(const std::string &text) const override {
    std::vector<std::string> pieces;
    std::vector<Range> ranges = pattern->find(text);
    if (invert)
      for (Range &range : ranges)
        range.isMatch = !range.isMatch;
    cut(text, ranges, behavior, pieces);
    return pieces;
  }

private:
  std::unique_ptr<Pattern> pattern;
  Behavior behavior;
  bool invert;
};

/// ByteLevel without its pattern ("use_regex": false): bytes become GPT-2's
/// printable stand-ins. The library would split by GPT-2's pattern all the same.
class BytesStep final : public tokenizers::PreTokenizer {
public:
  explicit BytesStep(bool addPrefixSpace) : addPrefixSpace(addPrefixSpace) {}

  std::vector<std::string>
  pre_tokenize(const std::string &text) const override {
    std::string out;
    if (addPrefixSpace && !StringRef(text).starts_with(" "))
      out = unicode_byte_to_utf8(' ');
    for (char byte : text)
      out += unicode_byte_to_utf8(static_cast<uint8_t>(byte));
    return {std::move(out)};
  }

private:
  bool addPrefixSpace;
};

/// Goes before the steps that ask whether a character is a letter, a number, a
/// space. For one that PCRE2's Unicode version does not know, the answer could
/// differ from what the tokenizer was trained with, and so would the ids. New
/// emoji are no problem: their code points have been reserved as symbols.
class KnownClasses final : public tokenizers::PreTokenizer {
public:
  KnownClasses(Regex doubtful, bool namesSymbols)
      : doubtful(std::move(doubtful)), namesSymbols(namesSymbols) {}

  static Expected<tokenizers::PreTokenizer::Ptr> make(bool namesSymbols) {
    // What PCRE2 does not know yet, and the one character that its \s matches
    // although it has not been White_Space since Unicode 6.3.
    Expected<Regex> doubtful = Regex::compile("[\\p{Cn}\\x{180E}]");
    if (!doubtful)
      return doubtful.takeError();
    return std::make_shared<KnownClasses>(std::move(*doubtful), namesSymbols);
  }

  std::vector<std::string>
  pre_tokenize(const std::string &piece) const override {
    StringRef text = piece;
    for (size_t from = 0; from < text.size();) {
      auto found = doubtful.match(text, from);
      if (!found)
        break;
      from = found->second;
      UChar32 codePoint = firstCharacter(text.drop_front(found->first)).codePoint;
      if (namesSymbols ||
          !u_hasBinaryProperty(codePoint, UCHAR_EXTENDED_PICTOGRAPHIC))
        throw std::runtime_error("the class of the character U+" +
                                 utohexstr(codePoint) +
                                 " is not known to this build's PCRE2");
    }
    return {piece};
  }

private:
  Regex doubtful;
  bool namesSymbols;
};

/// GPT-2's pattern in the words by which the library knows it: it has a splitter
/// written for this pattern, which also does the `|\s+` at its end. Any other
/// spelling, its own default included, goes to std::regex, which recurses once a
/// character and overflows the stack on a long word.
constexpr StringLiteral gpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
    "|\\s+(?!\\S)";

Expected<tokenizers::PreTokenizer::Ptr> parseSplit(const json::Object &object) {
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
  return std::make_shared<SplitStep>(std::move(*pattern), *behavior,
                                     object.getBoolean("invert").value_or(false));
}

/// What is put into texts is a mark for a space, not a text that would let them
/// grow without bounds.
constexpr size_t maxString = 64;

/// {"pattern": {"String": s}, "content": c} of Replace, as the library takes it.
Expected<std::pair<std::string, std::string>>
parseReplacement(const json::Object &object) {
  if (Error wrong = allowOnly(object, {"pattern", "content"}))
    return std::move(wrong);
  const json::Object *pattern = object.getObject("pattern");
  std::optional<StringRef> from =
      pattern ? pattern->getString("String") : std::nullopt;
  std::optional<StringRef> to = object.getString("content");
  if (!from || from->empty() || !to)
    return fail("only a string is replaced");
  if (from->size() > maxString || to->size() > maxString)
    return fail("a string of more than {0} bytes", maxString);
  return std::make_pair(from->str(), to->str());
}

Error readMetaspace(const json::Object &object, Splitting &out) {
  if (Error wrong = allowOnly(object, {"replacement", "prepend_scheme", "split"}))
    return wrong;
  StringRef replacement = object.getString("replacement").value_or("");
  StringRef scheme = object.getString("prepend_scheme").value_or("always");
  auto prepend = StringSwitch<std::optional<Splitting::Prepend>>(scheme)
                     .Case("always", Splitting::Prepend::Always)
                     .Case("first", Splitting::Prepend::First)
                     .Case("never", Splitting::Prepend::Never)
                     .Default(std::nullopt);
  if (!prepend)
    return fail("unknown prepend_scheme '{0}'", scheme);
  if (replacement.empty() ||
      firstCharacter(replacement).length != replacement.size())
    return fail("\"replacement\" must be one character");
  out.space = replacement.str();
  out.prepend = *prepend;
  if (object.getBoolean("split").value_or(true))
    out.steps = std::make_shared<SplitStep>(
        literalPattern(out.space), Behavior::MergedWithNext,
        /*invert=*/false);
  return Error::success();
}

/// Our ByteLevel decoder: the bytes behind GPT-2's stand-ins. A token with other
/// characters stands for itself, as in `tokenizers`; the library's writes
/// "[UNK_BYTE_…]" for these.
class ByteLevelDecoder final : public tokenizers::TokenDecoder {
public:
  std::string decode(const std::string &token) const override {
    std::string out;
    for (StringRef text = token; !text.empty();) {
      StringRef character = text.take_front(firstCharacter(text).length);
      text = text.drop_front(character.size());
      try {
        out += static_cast<char>(unicode_utf8_to_byte(character.str()));
      } catch (const std::out_of_range &) {
        return token;
      }
    }
    return out;
  }
};

/// "<0xNN>" and nothing else; the library's takes any number between them.
class ByteFallbackDecoder final : public tokenizers::TokenDecoder {
public:
  std::string decode(const std::string &token) const override {
    bool isByte = token.size() == 6 && isHexDigit(token[3]) && isHexDigit(token[4]);
    return isByte ? library.decode(token) : token;
  }

private:
  tokenizers::ByteFallbackTokenDecoder library;
};

} // namespace

bool isWhitespace(uint32_t codePoint) {
  return u_isUWhiteSpace(static_cast<UChar32>(codePoint));
}

Expected<tokenizers::Normalizer::Ptr>
parseNormalizer(const json::Value *value) {
  std::vector<tokenizers::Normalizer::Ptr> steps;
  Error error = forEachComponent(
      value, "normalizer", "normalizers",
      [&](StringRef type, const json::Object &object) -> Error {
        if (type == "NFC") {
          if (Error wrong = allowOnly(object, {}))
            return wrong;
          steps.push_back(std::make_shared<NfcNormalizer>());
          return Error::success();
        }
        if (type == "Replace") {
          auto replacement = parseReplacement(object);
          if (!replacement)
            return replacement.takeError();
          try {
            steps.push_back(
                tokenizers::NormalizerConfig("Replace")
                    .set_pattern(tokenizers::IRegex::escape(replacement->first))
                    .set_content(replacement->second)
                    .create());
          } catch (const std::exception &exception) {
            return fail("{0}", exception.what());
          }
          return Error::success();
        }
        if (type == "Prepend") {
          if (Error wrong = allowOnly(object, {"prepend"}))
            return wrong;
          std::optional<StringRef> prefix = object.getString("prepend");
          if (!prefix)
            return fail("\"prepend\" is missing");
          if (prefix->size() > maxString)
            return fail("a string of more than {0} bytes", maxString);
          steps.push_back(std::make_shared<PrependNormalizer>(prefix->str()));
          return Error::success();
        }
        return fail("this type is not known");
      });
  if (error)
    return std::move(error);
  if (steps.empty())
    return nullptr;
  return std::make_shared<tokenizers::SequenceNormalizer>(std::move(steps));
}

Expected<Splitting> parsePreTokenizer(const json::Value *value) {
  Splitting out;
  std::vector<tokenizers::PreTokenizer::Ptr> steps;
  bool asksClasses = false, namesSymbols = false, byteLevel = false;
  Error error = forEachComponent(
      value, "pre_tokenizer", "pretokenizers",
      [&](StringRef type, const json::Object &object) -> Error {
        if (byteLevel)
          return fail("a step after ByteLevel is not known");
        if (!out.space.empty())
          return fail("a step after Metaspace is not known");
        if (type == "ByteLevel") {
          if (Error wrong = allowOnly(
                  object, {"add_prefix_space", "trim_offsets", "use_regex"}))
            return wrong;
          byteLevel = true;
          bool prefix = object.getBoolean("add_prefix_space").value_or(true);
          if (object.getBoolean("use_regex").value_or(true)) {
            asksClasses = true;
            steps.push_back(
                std::make_shared<tokenizers::ByteLevelPreTokenizer>(
                    prefix, gpt2Pattern.str()));
          } else {
            steps.push_back(std::make_shared<BytesStep>(prefix));
          }
          return Error::success();
        }
        if (type == "Digits") {
          if (Error wrong = allowOnly(object, {"individual_digits"}))
            return wrong;
          asksClasses = true;
          steps.push_back(std::make_shared<tokenizers::DigitsPreTokenizer>(
              object.getBoolean("individual_digits").value_or(false)));
          return Error::success();
        }
        if (type == "Split") {
          if (Error wrong = allowOnly(object, {"pattern", "behavior", "invert"}))
            return wrong;
          Expected<tokenizers::PreTokenizer::Ptr> step = parseSplit(object);
          if (!step)
            return step.takeError();
          steps.push_back(std::move(*step));
          if (std::optional<StringRef> regex =
                  object.getObject("pattern")->getString("Regex")) {
            asksClasses = true;
            namesSymbols |= regex->contains_insensitive("\\p{S") ||
                            regex->contains_insensitive("\\p{^S");
          }
          return Error::success();
        }
        if (type == "Metaspace") {
          if (!steps.empty())
            return fail("a step before Metaspace is not known");
          return readMetaspace(object, out);
        }
        return fail("this type is not known");
      });
  if (error)
    return std::move(error);
  if (asksClasses) {
    Expected<tokenizers::PreTokenizer::Ptr> check =
        KnownClasses::make(namesSymbols);
    if (!check)
      return check.takeError();
    steps.insert(steps.begin(), std::move(*check));
  }
  if (!steps.empty())
    out.steps =
        std::make_shared<tokenizers::SequencePreTokenizer>(std::move(steps));
  return out;
}

Expected<Decoding> parseDecoder(const json::Value *value) {
  Decoding out;
  std::vector<tokenizers::TokenDecoder::Ptr> steps;
  Error error = forEachComponent(
      value, "decoder", "decoders",
      [&](StringRef type, const json::Object &object) -> Error {
        if (out.leadingSpaces)
          return fail("a step after Strip is not known");
        if (type == "ByteLevel") {
          steps.push_back(std::make_shared<ByteLevelDecoder>());
          return Error::success();
        }
        if (type == "ByteFallback") {
          steps.push_back(std::make_shared<ByteFallbackDecoder>());
          return Error::success();
        }
        if (type == "Fuse")
          return Error::success();
        if (type == "Replace") {
          auto replacement = parseReplacement(object);
          if (!replacement)
            return replacement.takeError();
          steps.push_back(std::make_shared<tokenizers::ReplaceTokenDecoder>(
              replacement->first, replacement->second));
          return Error::success();
        }
        if (type == "Strip") {
          int64_t start = object.getInteger("start").value_or(0);
          if (object.getString("content") != StringRef(" ") ||
              object.getInteger("stop").value_or(0) != 0 || start < 0 ||
              start > 16)
            return fail("only leading spaces are stripped");
          out.leadingSpaces = static_cast<unsigned>(start);
          return Error::success();
        }
        return fail("this type is not known");
      });
  if (error)
    return std::move(error);
  if (!steps.empty())
    out.steps =
        std::make_shared<tokenizers::SequenceTokenDecoder>(std::move(steps));
  return out;
}

} // namespace weir
