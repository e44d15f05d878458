//===- Json.cpp - Checks on untrusted JSON ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <optional>
#include <vector>

using namespace llvm;

namespace weir {

Error checkJSONDepth(StringRef text, unsigned limit) {
  unsigned depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
      continue;
    }
    switch (c) {
    case '"':
      inString = true;
      break;
    case '[':
    case '{':
      if (++depth > limit)
        return createStringError(std::errc::invalid_argument,
                                 "JSON is nested deeper than %u levels", limit);
      break;
    case ']':
    case '}':
      if (depth > 0)
        --depth;
      break;
    default:
      break;
    }
  }
  return Error::success();
}

uint64_t estimateJSONMemory(StringRef text) {
  // What an object keeps for a key and its value, and the least number of those
  // it makes room for (llvm::DenseMap's).
  constexpr uint64_t entrySize = sizeof(json::Object::value_type);
  constexpr uint64_t leastEntries = 64;
  // A block of memory has 16 bytes of its own.
  constexpr uint64_t block = 16;
  // A key is a string of its own, and stands in a set while keys are compared.
  constexpr uint64_t keySize = 2 * (sizeof(std::string) + 2 * block);
  struct Open {
    bool isObject;
    uint64_t count = 0;
  };
  SmallVector<Open, 64> open;
  uint64_t total = 0;
  auto close = [&](const Open &value) {
    if (value.count == 0)
      return;
    if (!value.isObject) {
      // While a list grows there are its old half and its new whole.
      total += block + NextPowerOf2(value.count - 1) * sizeof(json::Value) * 3 / 2;
      return;
    }
    uint64_t room = NextPowerOf2(value.count * 4 / 3);
    total += block + value.count * keySize +
             (room <= leastEntries ? leastEntries * entrySize
                                   : room * entrySize * 3 / 2);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (isSpace(c))
      continue;
    if (c == ']' || c == '}') {
      if (!open.empty())
        close(open.pop_back_val());
      continue;
    }
    if (c == ',') {
      if (!open.empty())
        ++open.back().count;
      continue;
    }
    // The first thing inside of brackets.
    if (!open.empty() && open.back().count == 0)
      open.back().count = 1;
    if (c == '[' || c == '{') {
      open.push_back({c == '{'});
    } else if (c == '"') {
      size_t begin = ++i;
      while (i < text.size() && text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
      // Short strings lie inside of their value.
      if (size_t length = std::min(i, text.size()) - begin; length > 15)
        total += block + length;
    }
  }
  for (const Open &value : open)
    close(value);
  return total;
}

/// Refuses what would take more memory than the limits say, or far more than
/// documents that mean something: these take up to 180 bytes a character.
static Error checkMemory(StringRef text, const JSONLimits &limits) {
  constexpr uint64_t small = uint64_t(64) << 20, most = 256;
  uint64_t needed = estimateJSONMemory(text);
  uint64_t allowed = std::min(limits.memory, small + most * text.size());
  if (needed <= allowed)
    return Error::success();
  auto mebibytes = [](uint64_t bytes) { return (bytes >> 20) + 1; };
  return createStringError(
      std::errc::file_too_large,
      "JSON of %zu bytes would take about %llu MiB of memory, more than the "
      "%llu that are accepted here",
      text.size(), static_cast<unsigned long long>(mebibytes(needed)),
      static_cast<unsigned long long>(allowed >> 20));
}

static std::vector<const json::Object::value_type *>
sortedEntries(const json::Object &object) {
  std::vector<const json::Object::value_type *> entries;
  for (const json::Object::value_type &entry : object)
    entries.push_back(&entry);
  llvm::sort(entries, [](const auto *a, const auto *b) {
    return StringRef(a->first) < StringRef(b->first);
  });
  return entries;
}

/// The text of a JSON string literal, escapes resolved.
static Expected<std::string> decodeString(StringRef literal) {
  if (!literal.contains('\\'))
    return literal.drop_front().drop_back().str();
  Expected<json::Value> value = json::parse(literal);
  if (!value)
    return value.takeError();
  if (std::optional<StringRef> text = value->getAsString())
    return text->str();
  return createStringError(std::errc::invalid_argument, "not a JSON string");
}

/// Refuses an object that names a key twice: parsers disagree on which of the
/// two counts. The text has to be valid JSON.
static Error checkUniqueKeys(StringRef text) {
  // One set for every object that is open; arrays have none.
  std::vector<std::optional<StringSet<>>> open;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
    case '{':
      open.emplace_back(std::in_place);
      break;
    case '[':
      open.emplace_back(std::nullopt);
      break;
    case '}':
    case ']':
      open.pop_back();
      break;
    case '"': {
      size_t start = i++;
      while (text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
      size_t next = text.find_first_not_of(" \t\r\n", i + 1);
      // Only keys are followed by a colon.
      if (next == StringRef::npos || text[next] != ':' || !open.back())
        break;
      Expected<std::string> key = decodeString(text.slice(start, i + 1));
      if (!key)
        return key.takeError();
      if (!open.back()->insert(*key).second)
        return createStringError(std::errc::invalid_argument,
                                 "JSON object has the key '%s' twice",
                                 key->c_str());
      break;
    }
    default:
      break;
    }
  }
  return Error::success();
}

/// The value of a "\\uXXXX" at the beginning of a text.
static std::optional<uint32_t> unicodeEscape(StringRef text) {
  uint32_t unit = 0;
  if (text.size() < 6 || !text.starts_with("\\u") ||
      !llvm::all_of(text.slice(2, 6), isHexDigit) ||
      text.slice(2, 6).getAsInteger(16, unit))
    return std::nullopt;
  return unit;
}

/// Writes escaped surrogate pairs as the UTF-8 they stand for. LLVM 22's parser
/// joins the halves with `|` instead of `+` and so gets every character above
/// U+1FFFF wrong. Nothing changes in a text without such pairs.
static std::string expandSurrogatePairs(StringRef text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t plain = text.find('\\');
    out += text.take_front(plain);
    text = text.substr(plain);
    std::optional<uint32_t> high = unicodeEscape(text);
    std::optional<uint32_t> low = unicodeEscape(text.drop_front(high ? 6 : 0));
    if (high && low && *high >= 0xD800 && *high < 0xDC00 && *low >= 0xDC00 &&
        *low < 0xE000) {
      uint32_t codePoint = 0x10000 + ((*high - 0xD800) << 10) + (*low - 0xDC00);
      for (unsigned shift : {18, 12, 6, 0})
        out +=
            static_cast<char>(shift == 18 ? 0xF0 | codePoint >> 18
                                          : 0x80 | (codePoint >> shift & 0x3F));
      text = text.drop_front(12);
    } else {
      out += text.take_front(2);
      text = text.drop_front(std::min<size_t>(2, text.size()));
    }
  }
  return out;
}

/// A literal such as 1e400 is read as infinity, for which JSON has no text.
static bool numbersAreFinite(const json::Value &value) {
  if (const json::Object *object = value.getAsObject())
    return llvm::all_of(*object, [](const json::Object::value_type &entry) {
      return numbersAreFinite(entry.second);
    });
  if (const json::Array *array = value.getAsArray())
    return llvm::all_of(*array, numbersAreFinite);
  std::optional<double> number = value.getAsNumber();
  return !number || std::isfinite(*number);
}

/// Whether the text has something like a number that a double may not hold: one
/// with an exponent, or of hundreds of digits. Where it has not, nobody needs to
/// walk through all that was read.
static bool hasLargeNumbers(StringRef text) {
  constexpr size_t digitsOfDouble = 308;
  size_t digits = 0;
  for (char c : text) {
    if (isDigit(c)) {
      if (++digits > digitsOfDouble)
        return true;
      continue;
    }
    if (digits && (c == 'e' || c == 'E'))
      return true;
    // 1.e5 is no JSON.
    digits = 0;
  }
  return false;
}

/// Says in words where a text that is no JSON goes wrong: "line 2, column 1:
/// what", with columns of bytes from 1. LLVM's parser says "[2:0, byte=2]:
/// what", which is where it stands: behind the character that it does not take,
/// before what it does not begin with, or at the end of the text.
static Error syntaxError(StringRef text) {
  // With a space behind the text the parser always stands behind the place,
  // also where it has nothing left to take.
  Expected<json::Value> value = json::parse((text + " ").str());
  if (value)
    return createStringError("not JSON");
  std::string message = toString(value.takeError());
  auto [place, what] = StringRef(message).split("]: ");
  size_t byte;
  if (place.rsplit("byte=").second.getAsInteger(10, byte))
    return createStringError(message);
  if (what != "Text after end of document" && what != "Invalid UTF-8 sequence" &&
      byte > 0)
    --byte;
  StringRef before = text.take_front(byte);
  size_t line = before.count('\n') + 1;
  size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return createStringError(
      formatv("line {0}, column {1}: {2}", line, column, what).str());
}

Expected<json::Value> parseJSON(StringRef text, JSONLimits limits) {
  std::string expanded;
  const StringRef written = text;
  if (text.contains("\\ud") || text.contains("\\uD")) {
    expanded = expandSurrogatePairs(text);
    text = expanded;
  }
  if (Error error = checkJSONDepth(text, limits.depth))
    return error;
  if (Error error = checkMemory(text, limits))
    return error;
  Expected<json::Value> value = json::parse(text);
  if (!value) {
    consumeError(value.takeError());
    return syntaxError(written);
  }
  if (Error error = checkUniqueKeys(text))
    return error;
  if (hasLargeNumbers(text) && !numbersAreFinite(*value))
    return createStringError("JSON has a number beyond the range of a double");
  return value;
}

static void print(json::OStream &out, const json::Value &value);

static void print(json::OStream &out, const json::Object &object) {
  out.objectBegin();
  // Sorted, so that equal documents are printed alike.
  for (const json::Object::value_type *entry : sortedEntries(object)) {
    out.attributeBegin(entry->first);
    print(out, entry->second);
    out.attributeEnd();
  }
  out.objectEnd();
}

static void print(json::OStream &out, const json::Value &value) {
  switch (value.kind()) {
  case json::Value::Object:
    return print(out, *value.getAsObject());
  case json::Value::Array:
    out.arrayBegin();
    for (const json::Value &element : *value.getAsArray())
      print(out, element);
    out.arrayEnd();
    return;
  case json::Value::Number:
    // LLVM prints -0, which reads as the integer 0.
    if (double number = *value.getAsNumber();
        number == 0 && std::signbit(number))
      return out.rawValue("-0.0");
    [[fallthrough]];
  default:
    out.value(value);
  }
}

std::string printJSON(const json::Object &object) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream out(stream);
  print(out, object);
  return text;
}

} // namespace weir
