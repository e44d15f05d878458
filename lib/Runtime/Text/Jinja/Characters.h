//===- Characters.h - Python's view of characters ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_CHARACTERS_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_CHARACTERS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::jinja {

// Texts are well-formed UTF-8; positions are bytes where nothing else is said.

size_t countCharacters(llvm::StringRef text);
/// The byte where character `index` begins; the text's size if it has fewer.
size_t byteOfCharacter(llvm::StringRef text, size_t index);
std::u32string decode(llvm::StringRef text);
std::string encode(const std::u32string &text);

// What str.isspace and its like say of one character.
bool isSpace(char32_t c);
bool isLetter(char32_t c);
bool isDecimal(char32_t c);
bool isDigit(char32_t c);
bool isNumeric(char32_t c);
bool isPrintable(char32_t c);
bool isUpper(char32_t c);
bool isLower(char32_t c);
bool isTitle(char32_t c);
bool isCased(char32_t c);
bool isIdentifierStart(char32_t c);
bool isIdentifierPart(char32_t c);
inline bool isAlphanumeric(char32_t c) { return isLetter(c) || isNumeric(c); }
inline bool isWordCharacter(char32_t c) { return c == '_' || isAlphanumeric(c); }
bool isIdentifier(llvm::StringRef text);

// Whole texts, which may get longer.
std::string toUpper(llvm::StringRef text);
std::string toLower(llvm::StringRef text);
std::string toCasefold(llvm::StringRef text);
std::string toTitle(llvm::StringRef text);
std::string toCapitalized(llvm::StringRef text);
std::string toSwappedCase(llvm::StringRef text);

enum Sides { Left = 1, Right = 2, Both = 3 };
/// Without what `strips` accepts, on one side or both.
llvm::StringRef strip(llvm::StringRef text, Sides sides,
                      llvm::function_ref<bool(char32_t)> strips = isSpace);

/// Where `needle` begins, or npos. In linear time, which StringRef's own search
/// isn't: a template chooses both.
size_t findText(llvm::StringRef text, llvm::StringRef needle);
/// Where `needle` begins, from left to right or, with `fromRight`, from the end;
/// at most `limit` places that don't overlap.
std::vector<size_t> findAll(llvm::StringRef text, llvm::StringRef needle,
                            bool fromRight, uint64_t limit);

/// As str.splitlines; with `keepEnds` each line has its end.
std::vector<llvm::StringRef> splitLines(llvm::StringRef text,
                                        bool keepEnds = false);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_CHARACTERS_H
