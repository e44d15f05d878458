//===- Utf8.cpp - Code points of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Utf8.h"

using namespace llvm;

namespace weir {

Character firstCharacter(StringRef text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t lead = byte(0);
  if (lead < 0x80)
    return {lead, 1, true};
  unsigned length = lead >= 0xC2 && lead <= 0xDF   ? 2
                    : (lead & 0xF0) == 0xE0        ? 3
                    : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                   : 0;
  if (length == 0)
    return {0, 1, false};
  // The second byte's range excludes overlong forms, surrogates and what lies
  // beyond U+10FFFF (Unicode 15, table 3-7).
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  uint32_t codePoint = lead & (0x7F >> length);
  for (unsigned i = 1; i < length; ++i) {
    if (i == text.size())
      return {0, 0, false};
    if (byte(i) < low || byte(i) > high)
      return {0, i, false};
    low = 0x80;
    high = 0xBF;
    codePoint = codePoint << 6 | (byte(i) & 0x3F);
  }
  return {codePoint, length, true};
}

bool isUtf8(StringRef text) {
  while (!text.empty()) {
    Character character = firstCharacter(text);
    if (!character.valid)
      return false;
    text = text.drop_front(character.length);
  }
  return true;
}

void appendUtf8(std::string &out, uint32_t codePoint) {
  auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80 | (codePoint >> shift & 0x3F));
  };
  if (codePoint < 0x80) {
    out += static_cast<char>(codePoint);
  } else if (codePoint < 0x800) {
    out += static_cast<char>(0xC0 | codePoint >> 6);
    tail(0);
  } else if (codePoint < 0x10000) {
    out += static_cast<char>(0xE0 | codePoint >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | codePoint >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string takeText(std::string &pending, bool all) {
  std::string out;
  StringRef rest = pending;
  while (!rest.empty()) {
    Character character = firstCharacter(rest);
    if (character.valid) {
      out += rest.take_front(character.length);
    } else if (character.length == 0) {
      if (!all)
        break;
      character.length = rest.size();
      appendUtf8(out, 0xFFFD);
    } else {
      appendUtf8(out, 0xFFFD);
    }
    rest = rest.drop_front(character.length);
  }
  pending.erase(0, pending.size() - rest.size());
  return out;
}

} // namespace weir
