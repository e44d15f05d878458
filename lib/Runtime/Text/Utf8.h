//===- Utf8.h - Code points of a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_UTF8_H
#define WEIR_LIB_RUNTIME_TEXT_UTF8_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace weir {

/// One decoded character. `length` is 0 if the bytes begin a character but end
/// before it does; a malformed character has `valid` false and the length of
/// its longest well-formed beginning (the Unicode standard's maximal subpart).
struct Character {
  uint32_t codePoint = 0;
  unsigned length = 0;
  bool valid = false;
};

/// The first character of a text that is not empty.
Character firstCharacter(llvm::StringRef text);

bool isUtf8(llvm::StringRef text);
void appendUtf8(std::string &out, uint32_t codePoint);

/// Moves the complete characters of `pending` to the result and leaves an
/// incomplete one at its end; malformed bytes become U+FFFD. With `all`, the
/// incomplete one becomes U+FFFD too.
std::string takeText(std::string &pending, bool all);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_UTF8_H
