//===- Shell.cpp - Words of commands that people copy ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/Shell.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

std::string weir::shellWord(StringRef text) {
  auto isPlain = [](char c) {
    return isAlnum(c) || StringRef("_-./+,:@%=").contains(c);
  };
  if (!text.empty() && all_of(text, isPlain))
    return text.str();
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}
