//===- Values.cpp - Reading values of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Values.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Error.h"

#include <cmath>
#include <limits>

using namespace weir::spec;
using llvm::ArrayRef;
using llvm::StringRef;
using llvm::Twine;

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

void ValueReader::mismatch(const YamlNode &node, const Twine &what,
                           StringRef wanted) {
  if (node.isInvalid())
    return;
  std::string found = node.describe().str();
  if (node.isScalar() && !node.text.empty())
    found += " " + inQuotes(node.text);
  reporter.error(node.range, what + " must be " + wanted + ", found " + found);
}

static bool isNotFinite(StringRef text) {
  std::string lower = text.lower();
  StringRef rest = lower;
  if (!rest.consume_front("-"))
    rest.consume_front("+");
  rest.consume_front(".");
  return rest == "inf" || rest == "nan" || rest == "infinity";
}

/// "010" is eight to some readers of YAML and ten to others.
static bool hasLeadingZero(StringRef text) {
  text.consume_front("-") || text.consume_front("+");
  return text.size() > 1 && text[0] == '0' && llvm::isDigit(text[1]);
}

std::optional<Number> ValueReader::number(const YamlNode &node,
                                          const Twine &what) {
  StringRef text = node.text;
  if (!node.isScalar() || !looksLikeNumber(text)) {
    if (node.isPlain() && isNotFinite(text))
      reporter.error(node.range,
                     what + " must be finite, found " + inQuotes(text));
    else
      mismatch(node, what, "a number");
    return std::nullopt;
  }
  if (node.quoted) {
    reporter.error(node.range, what + " must be a number, found text; remove "
                                      "the quotes");
    return std::nullopt;
  }
  if (hasLeadingZero(text)) {
    reporter.error(node.range, what + " begins with a zero, which some readers "
                                      "of YAML take for octal; remove it");
    return std::nullopt;
  }
  constexpr size_t longest = 64;
  if (text.size() > longest) {
    reporter.error(node.range, what + " has too many digits: at most " +
                                   Twine(longest) + " characters");
    return std::nullopt;
  }
  llvm::APFloat parsed(llvm::APFloat::IEEEdouble());
  text.consume_front("+");
  auto status =
      parsed.convertFromString(text, llvm::APFloat::rmNearestTiesToEven);
  if (!status) {
    llvm::consumeError(status.takeError());
    mismatch(node, what, "a number");
    return std::nullopt;
  }
  double value = parsed.convertToDouble();
  if (!(std::fabs(value) <= std::numeric_limits<float>::max())) {
    reporter.error(node.range,
                   what + " is too large for a 32-bit float: at most 3.4e38");
    return std::nullopt;
  }
  bool isZero = StringRef(text).find_first_of("123456789") == StringRef::npos ||
                StringRef(text).find_first_of("123456789") >
                    StringRef(text).find_first_of("eE");
  if (!isZero && static_cast<float>(value) == 0.0f) {
    reporter.error(node.range,
                   what + " is too small for a 32-bit float: it would be 0");
    return std::nullopt;
  }
  return Number{value, node.range};
}

std::optional<Integer> ValueReader::integer(const YamlNode &node,
                                            const Twine &what, int64_t least,
                                            int64_t most) {
  StringRef text = node.text;
  StringRef magnitude = text;
  bool negative = magnitude.consume_front("-");
  if (!node.isPlain() || magnitude.empty() ||
      !llvm::all_of(magnitude, llvm::isDigit)) {
    if (node.isScalar() && node.quoted && llvm::all_of(text, llvm::isDigit))
      reporter.error(node.range, what + " must be a whole number, found text; "
                                        "remove the quotes");
    else if (node.isPlain() && looksLikeNumber(text))
      reporter.error(node.range,
                     what + " must be a whole number, found " + inQuotes(text));
    else
      mismatch(node, what, "a whole number");
    return std::nullopt;
  }
  if (hasLeadingZero(magnitude)) {
    reporter.error(node.range, what + " begins with a zero, which some readers "
                                      "of YAML take for octal; remove it");
    return std::nullopt;
  }
  int64_t value;
  if (text.getAsInteger(10, value)) // overflow
    value = negative ? std::numeric_limits<int64_t>::min()
                     : std::numeric_limits<int64_t>::max();
  if (value < least || value > most) {
    reporter.error(node.range, what + " must be " + Twine(least) + " to " +
                                   Twine(most) + ", found " + inQuotes(text));
    return std::nullopt;
  }
  return Integer{value, node.range};
}

std::optional<bool> ValueReader::boolean(const YamlNode &node,
                                         const Twine &what) {
  if (node.isPlain() && node.text == "true")
    return true;
  if (node.isPlain() && node.text == "false")
    return false;
  mismatch(node, what, "true or false");
  return std::nullopt;
}

std::optional<Name> ValueReader::text(const YamlNode &node, const Twine &what) {
  if (node.isMap() && node.entries.size() == 1 &&
      node.entries.front().value.kind == YamlNode::Kind::Null &&
      llvm::is_contained({"site", "layer"}, node.entries.front().key.value)) {
    reporter.error(node.range,
                   what + " must be text, found a mapping; " +
                       bracesNeedQuotes("{" + node.entries.front().key.value + "}"));
    return std::nullopt;
  }
  if (!node.isScalar()) {
    mismatch(node, what, "text");
    return std::nullopt;
  }
  if (node.text.empty()) {
    reporter.error(node.range, what + " is empty");
    return std::nullopt;
  }
  if (node.text.find('\n') != std::string::npos) {
    reporter.error(node.range, what + " must be on one line");
    return std::nullopt;
  }
  return Name{node.text, node.range};
}

bool ValueReader::isName(const Name &name) {
  StringRef text = name.value;
  constexpr size_t longest = 64;
  if (!text.empty() && text.size() <= longest &&
      (llvm::isAlpha(text[0]) || text[0] == '_') &&
      llvm::all_of(text, [](char c) {
        return llvm::isAlnum(c) || c == '_' || c == '-';
      }))
    return true;
  reporter.error(name.range,
                 inQuotes(text) +
                     " is no name: a name is up to 64 letters, "
                     "digits, '_' and '-', and begins with a letter "
                     "or '_'");
  return false;
}

std::optional<Name> ValueReader::reference(const YamlNode &node,
                                           const Twine &what) {
  if (!node.isScalar() || node.text.empty()) {
    mismatch(node, what, "a name");
    return std::nullopt;
  }
  return Name{node.text, node.range};
}

std::optional<Marked<size_t>> ValueReader::word(const YamlNode &node,
                                                const Twine &what,
                                                ArrayRef<StringRef> words) {
  if (!node.isScalar()) {
    mismatch(node, what, "a word");
    return std::nullopt;
  }
  auto found = llvm::find(words, node.text);
  if (found != words.end())
    return Marked<size_t>{static_cast<size_t>(found - words.begin()),
                          node.range};
  reporter.error(node.range, "unknown " + what + " " + inQuotes(node.text) +
                                 suggest(node.text, words));
  return std::nullopt;
}

std::string weir::spec::inBrackets(StringRef text) {
  constexpr size_t longest = 60;
  if (text.empty() || text.size() > longest || text.contains('\n'))
    return "";
  return ("; write [" + text + "]").str();
}

std::vector<Marked<size_t>> ValueReader::wordList(const YamlNode &node,
                                                  const Twine &what,
                                                  ArrayRef<StringRef> words) {
  std::vector<Marked<size_t>> result;
  if (!node.isSequence() || node.items.empty()) {
    if (node.isSequence())
      reporter.error(node.range, "this list is empty: it must name at least "
                                 "one " +
                                     what);
    else if (node.isScalar())
      reporter.error(node.range, "expected a list, found " + node.describe() +
                                     inBrackets(node.text));
    else if (!node.isInvalid())
      reporter.error(node.range, "expected a list, found " + node.describe());
    return result;
  }
  for (const YamlNode &item : node.items) {
    auto index = word(item, what, words);
    if (!index)
      continue;
    auto same = llvm::find_if(result, [&](const Marked<size_t> &other) {
      return other.value == index->value;
    });
    if (same != result.end())
      reporter.error(item.range, inQuotes(item.text) + " is listed twice")
          .note(same->range, "the first one");
    else
      result.push_back(*index);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Layers, sites and features
//===----------------------------------------------------------------------===//

std::optional<int64_t> ValueReader::digits(StringRef text, SourceRange range,
                                           const Twine &what, int64_t most) {
  bool negative = text.starts_with("-");
  StringRef magnitude = negative ? text.drop_front() : text;
  if (text.empty()) {
    reporter.error(range, what + " is missing");
    return std::nullopt;
  }
  if (magnitude.empty() || !llvm::all_of(magnitude, llvm::isDigit)) {
    reporter.error(range,
                   what + " must be a whole number, found " + inQuotes(text));
    return std::nullopt;
  }
  if (negative) {
    reporter.error(range, what + " must be 0 or more, found " + inQuotes(text));
    return std::nullopt;
  }
  if (hasLeadingZero(magnitude)) {
    reporter.error(range, what + " must not begin with a zero, found " +
                              inQuotes(text));
    return std::nullopt;
  }
  int64_t value;
  if (magnitude.getAsInteger(10, value) || value > most) {
    reporter.error(range, what + " must be at most " + Twine(most) +
                              ", found " + inQuotes(text));
    return std::nullopt;
  }
  return value;
}

/// Where a piece of a scalar's text is, as far as text and file agree.
static SourceRange part(const YamlNode &node, StringRef piece) {
  size_t length = node.range.end - node.range.begin;
  size_t quotes = node.quoted ? 1 : 0;
  if (length != node.text.size() + 2 * quotes)
    return node.range;
  return node.range.sub(quotes + (piece.data() - node.text.data()),
                        piece.size());
}

std::optional<LayerRange> ValueReader::layers(const YamlNode &node,
                                              const Twine &what) {
  if (!node.isScalar()) {
    mismatch(node, what, "a layer or a range such as 9..16");
    return std::nullopt;
  }
  StringRef text = node.text;
  auto [firstText, lastText] = text.split("..");
  bool isRange = text.contains("..");
  if (!isRange)
    lastText = firstText;
  StringRef firstDigits = firstText, lastDigits = lastText;
  firstDigits.consume_front("-");
  lastDigits.consume_front("-");
  if (firstDigits.empty() || lastDigits.empty() ||
      !llvm::all_of(firstDigits, llvm::isDigit) ||
      !llvm::all_of(lastDigits, llvm::isDigit)) {
    reporter.error(node.range, what +
                                   " must be a layer or a range such as "
                                   "9..16, found " +
                                   inQuotes(text));
    return std::nullopt;
  }
  auto first = digits(firstText, part(node, firstText), "a layer", maxLayer);
  if (!first)
    return std::nullopt;
  auto last = isRange
                  ? digits(lastText, part(node, lastText), "a layer", maxLayer)
                  : first;
  if (!last)
    return std::nullopt;
  if (*first > *last) {
    reporter.error(node.range, "the range " + inQuotes(text) +
                                   " runs backwards; did you mean '" +
                                   Twine(*last) + ".." + Twine(*first) + "'?");
    return std::nullopt;
  }
  return LayerRange{*first, *last, node.range};
}

namespace {
/// "dictionary:layer/site/index" cut into pieces.
struct Pieces {
  StringRef dictionary;
  bool hasDictionary = false;
  llvm::SmallVector<StringRef, 4> parts;
};
} // namespace

static Pieces cut(StringRef text) {
  Pieces pieces;
  size_t colon = text.find(':');
  if (colon != StringRef::npos) {
    pieces.hasDictionary = true;
    pieces.dictionary = text.take_front(colon);
    text = text.drop_front(colon + 1);
  }
  text.split(pieces.parts, '/', /*MaxSplit=*/4);
  return pieces;
}

/// "res/10/811" instead of "10/res/811".
static bool isSwapped(ArrayRef<StringRef> parts) {
  return parts.size() >= 2 && llvm::is_contained(siteNames(), parts[0]) &&
         !parts[1].empty() && llvm::all_of(parts[1], llvm::isDigit);
}

static std::string straighten(ArrayRef<StringRef> parts) {
  std::string text = (parts[1] + "/" + parts[0]).str();
  for (StringRef rest : parts.drop_front(2))
    text += ("/" + rest).str();
  return "; the layer comes first: " + inQuotes(text);
}

std::optional<SiteRef> ValueReader::site(const YamlNode &node) {
  if (!node.isScalar()) {
    mismatch(node, "a site", "text such as 12/res");
    return std::nullopt;
  }
  Pieces pieces = cut(node.text);
  if (pieces.parts.size() != 2 || isSwapped(pieces.parts)) {
    std::string hint = isSwapped(pieces.parts) ? straighten(pieces.parts) : "";
    reporter.error(node.range, inQuotes(node.text) +
                                   " is no site: a site is layer/site, such "
                                   "as 12/res" +
                                   hint);
    return std::nullopt;
  }
  SiteRef site;
  site.range = node.range;
  if (pieces.hasDictionary)
    site.dictionary = {pieces.dictionary.str(), part(node, pieces.dictionary)};
  SourceRange layerRange = part(node, pieces.parts[0]);
  SourceRange kindRange = part(node, pieces.parts[1]);
  auto layer = digits(pieces.parts[0], layerRange, "a layer", maxLayer);
  auto kind = llvm::find(siteNames(), pieces.parts[1]);
  if (kind == siteNames().end())
    reporter.error(kindRange, "unknown site " + inQuotes(pieces.parts[1]) +
                                  suggest(pieces.parts[1], siteNames()));
  if (!layer || kind == siteNames().end())
    return std::nullopt;
  site.layer = {*layer, layerRange};
  site.site = {static_cast<SiteKind>(kind - siteNames().begin()), kindRange};
  return site;
}

std::optional<FeatureRef> ValueReader::feature(const YamlNode &node) {
  if (!node.isScalar()) {
    mismatch(node, "a feature", "text such as 10/res/811");
    return std::nullopt;
  }
  Pieces pieces = cut(node.text);
  ArrayRef<StringRef> parts = pieces.parts;
  if (parts.size() != 3 || isSwapped(parts)) {
    std::string hint;
    if (isSwapped(parts))
      hint = straighten(parts);
    else if (parts.size() == 2)
      hint = "; the index is missing";
    reporter.error(node.range, inQuotes(node.text) +
                                   " is no feature: a feature is "
                                   "layer/site/index, such as 10/res/811" +
                                   hint);
    return std::nullopt;
  }
  FeatureRef feature;
  feature.range = node.range;
  SourceRange layerRange = part(node, parts[0]);
  SourceRange kindRange = part(node, parts[1]);
  SourceRange indexRange = part(node, parts[2]);
  if (pieces.hasDictionary)
    feature.site.dictionary = {pieces.dictionary.str(),
                               part(node, pieces.dictionary)};
  feature.site.range = node.range;
  auto layer = digits(parts[0], layerRange, "a layer", maxLayer);
  auto kind = llvm::find(siteNames(), parts[1]);
  if (kind == siteNames().end())
    reporter.error(kindRange, "unknown site " + inQuotes(parts[1]) +
                                  suggest(parts[1], siteNames()));
  auto index = digits(parts[2], indexRange, "a feature's index", maxIndex);
  if (!layer || kind == siteNames().end() || !index)
    return std::nullopt;
  feature.site.layer = {*layer, layerRange};
  feature.site.site = {static_cast<SiteKind>(kind - siteNames().begin()),
                       kindRange};
  feature.index = {*index, indexRange};
  return feature;
}

//===----------------------------------------------------------------------===//
// Mappings
//===----------------------------------------------------------------------===//

MapReader::MapReader(Reporter &reporter, const YamlNode &node, Keys keys)
    : reporter(reporter), keys(keys) {
  if (!node.isMap()) {
    if (!node.isInvalid())
      reporter.error(node.range, keys.what + " must be a mapping, found " +
                                     node.describe());
    return;
  }
  map = &node;
  for (const YamlEntry &entry : node.entries) {
    if (reporter.isFull())
      break;
    if (isOnInYAML11(entry.key.value))
      reporter.error(entry.key.range,
                     "unknown key 'true' in " + keys.what +
                         ": to YAML 1.1, and so to PyYAML, 'on' is true; write "
                         "\"on\" in quotes");
    else if (!llvm::is_contained(keys.keys, entry.key.value))
      reporter.error(entry.key.range,
                     "unknown key " + inQuotes(entry.key.value) + " in " +
                         keys.what + suggest(entry.key.value, keys.keys));
  }
}

bool MapReader::isOnInYAML11(StringRef key) const {
  return key == "true" && llvm::is_contained(keys.keys, "on");
}

const YamlEntry *MapReader::entry(StringRef key) const {
  for (const YamlEntry &entry : map->entries)
    if (entry.key.value == key)
      return &entry;
  return nullptr;
}

const YamlNode *MapReader::get(StringRef key) const {
  const YamlEntry *found = entry(key);
  return found ? &found->value : nullptr;
}

bool MapReader::isMisspelt(StringRef key) const {
  return llvm::any_of(map->entries, [&](const YamlEntry &entry) {
    if (isOnInYAML11(entry.key.value))
      return key == "on";
    return !llvm::is_contained(keys.keys, entry.key.value) &&
           nearest(entry.key.value, keys.keys) == key;
  });
}

const YamlNode *MapReader::require(StringRef key, SourceRange where) const {
  if (const YamlNode *node = get(key))
    return node;
  if (!isMisspelt(key))
    reporter.error(where, keys.what + " must have the key '" + key + "'");
  return nullptr;
}
