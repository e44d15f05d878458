//===- Lexer.h - A template's tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_LEXER_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_LEXER_H

#include "Value.h"

#include <string>
#include <vector>

namespace weir::jinja {

enum class Token {
  End,
  Data, ///< text between tags, blanks already trimmed
  VariableBegin,
  VariableEnd,
  BlockBegin,
  BlockEnd,
  Name,
  String,
  Integer,
  Float,
  Operator,
};

struct LexedToken {
  Token type;
  std::string text; ///< the name, the operator, the string's value
  int line;
  Value number = {}; ///< of an integer or a float
};

/// As Jinja2's lexer with trim_blocks and lstrip_blocks. Throws Error.
std::vector<LexedToken> lex(llvm::StringRef source);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_LEXER_H
