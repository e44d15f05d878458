//===- Words.h - Names and numbers in messages ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_WORDS_H
#define WEIR_SUPPORT_WORDS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"

#include <cstdint>
#include <string>

namespace weir {

/// The name that a spec gives to what has this symbol in an imported module. Names
/// there have no dot; what follows one makes a symbol unique (`happy.policy`).
inline llvm::StringRef specName(llvm::StringRef symbol) {
  return symbol.split('.').first;
}

/// "1 edge", "2 edges".
inline std::string countOf(int64_t count, llvm::StringRef what) {
  return (llvm::Twine(count) + " " + what + (count == 1 ? "" : "s")).str();
}

/// "3/res/5 (what it is called)", or the name alone where it has no label.
inline std::string withLabel(llvm::StringRef name, llvm::StringRef label) {
  return label.empty() ? name.str() : (name + " (" + label + ")").str();
}

} // namespace weir

#endif // WEIR_SUPPORT_WORDS_H
