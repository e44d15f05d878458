//===- Characters.cpp - Python's view of characters ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Characters.h"

#include "../Utf8.h"

#include "llvm/ADT/STLExtras.h"

#include <cstring>
#include <unicode/uchar.h>
#include <unicode/ustring.h>

using namespace llvm;

namespace weir::jinja {

size_t countCharacters(StringRef text) {
  return llvm::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

size_t byteOfCharacter(StringRef text, size_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if ((text[at] & 0xC0) != 0x80 && index-- == 0)
      return at;
  return at;
}

std::u32string decode(StringRef text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Character c = firstCharacter(text);
    out += static_cast<char32_t>(c.codePoint);
    text = text.drop_front(std::max(c.length, 1u));
  }
  return out;
}

std::string encode(const std::u32string &text) {
  std::string out;
  out.reserve(text.size());
  for (char32_t c : text)
    appendUtf8(out, c);
  return out;
}

bool isSpace(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 ||
         (c >= 0x80 && u_charType(c) == U_SPACE_SEPARATOR) || c == 0x2028 ||
         c == 0x2029;
}

bool isLetter(char32_t c) { return u_isalpha(c); }
bool isDecimal(char32_t c) {
  return u_charType(c) == U_DECIMAL_DIGIT_NUMBER;
}
bool isDigit(char32_t c) {
  int type = u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool isNumeric(char32_t c) {
  return u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}
bool isPrintable(char32_t c) {
  if (c == ' ')
    return true;
  switch (u_charType(c)) {
  case U_CONTROL_CHAR:
  case U_FORMAT_CHAR:
  case U_SURROGATE:
  case U_PRIVATE_USE_CHAR:
  case U_UNASSIGNED:
  case U_LINE_SEPARATOR:
  case U_PARAGRAPH_SEPARATOR:
  case U_SPACE_SEPARATOR:
    return false;
  default:
    return true;
  }
}
bool isUpper(char32_t c) { return u_isUUppercase(c); }
bool isLower(char32_t c) { return u_isULowercase(c); }
bool isTitle(char32_t c) { return u_charType(c) == U_TITLECASE_LETTER; }
bool isCased(char32_t c) { return isUpper(c) || isLower(c) || isTitle(c); }
bool isIdentifierStart(char32_t c) {
  return c == '_' || u_hasBinaryProperty(c, UCHAR_XID_START);
}
bool isIdentifierPart(char32_t c) {
  return u_hasBinaryProperty(c, UCHAR_XID_CONTINUE);
}

bool isIdentifier(StringRef text) {
  std::u32string word = decode(text);
  return !word.empty() && isIdentifierStart(word[0]) &&
         llvm::all_of(llvm::drop_begin(word), isIdentifierPart);
}

namespace {

char upperOf(char32_t c) { return c >= 'a' && c <= 'z' ? c - 32 : c; }
char lowerOf(char32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

/// One character's mapping, which may be of several.
template <typename Map> void mapOne(std::string &out, char32_t c, Map map) {
  UChar from[2], to[8];
  int32_t length = 0;
  UErrorCode code = U_ZERO_ERROR;
  U16_APPEND_UNSAFE(from, length, c);
  int32_t count = map(to, 8, from, length, code);
  if (U_FAILURE(code)) {
    appendUtf8(out, c);
    return;
  }
  for (int32_t i = 0; i < count;) {
    UChar32 mapped;
    U16_NEXT(to, i, count, mapped);
    appendUtf8(out, mapped);
  }
}

void addUpper(std::string &out, char32_t c) {
  if (c < 0x80) {
    out += upperOf(c);
    return;
  }
  mapOne(out, c, [](auto *to, int n, auto *from, int length, auto &code) {
    return u_strToUpper(to, n, from, length, "", &code);
  });
}

/// A title's first letter: as the Unicode tables have it, which is the upper
/// case but for a few letters that are two.
void addTitle(std::string &out, char32_t c) {
  if (c < 0x80) {
    out += upperOf(c);
    return;
  }
  // ICU's title casing of texts adjusts to letters; the simple mapping is right
  // wherever the full upper case is of one character.
  UChar32 simple = u_totitle(c);
  if (isTitle(c)) {
    appendUtf8(out, c);
    return;
  }
  std::string upper;
  addUpper(upper, c);
  if (simple != static_cast<UChar32>(c) || countCharacters(upper) == 1) {
    appendUtf8(out, simple);
    return;
  }
  // Ligatures and the like: the first of them stays upper, the others don't.
  // Greek's iota is written below then (Unicode's SpecialCasing.txt).
  bool seen = false;
  for (char32_t letter : decode(upper)) {
    appendUtf8(out, !seen              ? letter
                    : letter == 0x0399 ? 0x0345
                                       : u_tolower(letter));
    seen |= isUpper(letter);
  }
}

bool isIgnorable(char32_t c) {
  return u_hasBinaryProperty(c, UCHAR_CASE_IGNORABLE);
}

/// The sigma at the end of a word has a shape of its own.
bool isFinalSigma(const std::u32string &text, size_t at) {
  size_t before = at;
  while (before > 0 && isIgnorable(text[before - 1]))
    --before;
  if (before == 0 || !u_hasBinaryProperty(text[before - 1], UCHAR_CASED))
    return false;
  size_t after = at + 1;
  while (after < text.size() && isIgnorable(text[after]))
    ++after;
  return after == text.size() || !u_hasBinaryProperty(text[after], UCHAR_CASED);
}

void addLower(std::string &out, const std::u32string &text, size_t at) {
  char32_t c = text[at];
  if (c < 0x80) {
    out += lowerOf(c);
    return;
  }
  if (c == 0x3A3) {
    appendUtf8(out, isFinalSigma(text, at) ? 0x3C2 : 0x3C3);
    return;
  }
  mapOne(out, c, [](auto *to, int n, auto *from, int length, auto &code) {
    return u_strToLower(to, n, from, length, "", &code);
  });
}

} // namespace

std::string toUpper(StringRef text) {
  std::string out;
  for (char32_t c : decode(text))
    addUpper(out, c);
  return out;
}

std::string toLower(StringRef text) {
  std::u32string letters = decode(text);
  std::string out;
  for (size_t i = 0; i < letters.size(); ++i)
    addLower(out, letters, i);
  return out;
}

std::string toCasefold(StringRef text) {
  std::string out;
  for (char32_t c : decode(text))
    mapOne(out, c, [](auto *to, int n, auto *from, int length, auto &code) {
      return u_strFoldCase(to, n, from, length, U_FOLD_CASE_DEFAULT, &code);
    });
  return out;
}

std::string toTitle(StringRef text) {
  std::u32string letters = decode(text);
  std::string out;
  bool inWord = false;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (inWord)
      addLower(out, letters, i);
    else
      addTitle(out, letters[i]);
    inWord = u_hasBinaryProperty(letters[i], UCHAR_CASED);
  }
  return out;
}

std::string toCapitalized(StringRef text) {
  std::u32string letters = decode(text);
  std::string out;
  for (size_t i = 0; i < letters.size(); ++i)
    if (i == 0)
      addTitle(out, letters[0]);
    else
      addLower(out, letters, i);
  return out;
}

std::string toSwappedCase(StringRef text) {
  std::u32string letters = decode(text);
  std::string out;
  for (size_t i = 0; i < letters.size(); ++i)
    if (isUpper(letters[i]))
      addLower(out, letters, i);
    else if (isLower(letters[i]))
      addUpper(out, letters[i]);
    else
      appendUtf8(out, letters[i]);
  return out;
}

StringRef strip(StringRef text, Sides sides, function_ref<bool(char32_t)> strips) {
  while ((sides & Left) && !text.empty()) {
    Character c = firstCharacter(text);
    if (!strips(c.codePoint))
      break;
    text = text.drop_front(std::max(c.length, 1u));
  }
  while ((sides & Right) && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80)
      --begin;
    if (!strips(firstCharacter(text.drop_front(begin)).codePoint))
      break;
    text = text.take_front(begin);
  }
  return text;
}

size_t findText(StringRef text, StringRef needle) {
  if (needle.empty())
    return 0;
  const void *found =
      ::memmem(text.data(), text.size(), needle.data(), needle.size());
  return found ? static_cast<const char *>(found) - text.data()
               : StringRef::npos;
}

std::vector<size_t> findAll(StringRef text, StringRef needle, bool fromRight,
                            uint64_t limit) {
  std::string backwards, needleBackwards;
  StringRef rest = text;
  if (fromRight) {
    backwards.assign(text.rbegin(), text.rend());
    needleBackwards.assign(needle.rbegin(), needle.rend());
    rest = backwards;
    needle = needleBackwards;
  }
  std::vector<size_t> out;
  for (size_t base = 0; out.size() < limit;) {
    size_t at = findText(rest, needle);
    if (at == StringRef::npos)
      break;
    base += at;
    out.push_back(fromRight ? text.size() - base - needle.size() : base);
    base += needle.size();
    rest = rest.drop_front(at + needle.size());
  }
  return out;
}

std::vector<StringRef> splitLines(StringRef text, bool keepEnds) {
  std::vector<StringRef> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    Character c = firstCharacter(text.drop_front(at));
    size_t end = at + std::max(c.length, 1u);
    char32_t p = c.codePoint;
    if (p == '\r' && end < text.size() && text[end] == '\n')
      ++end;
    if ((p >= 10 && p <= 13) || (p >= 28 && p <= 30) || p == 0x85 ||
        p == 0x2028 || p == 0x2029) {
      out.push_back(text.slice(begin, keepEnds ? end : at));
      begin = end;
    }
    at = end;
  }
  if (begin < text.size())
    out.push_back(text.drop_front(begin));
  return out;
}

} // namespace weir::jinja
