//===- StopStrings.h - Texts that end a generated one ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_STOPSTRINGS_H
#define WEIR_RUNTIME_STOPSTRINGS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace weir {

class StopStrings {
public:
  StopStrings() = default;
  /// Errors: an empty text, which is found everywhere.
  static llvm::Expected<StopStrings> make(std::vector<std::string> texts);

  bool empty() const { return texts.empty(); }
  /// Where in a text the one begins that is complete first, of several the longest;
  /// npos if there is none.
  size_t find(llvm::StringRef text) const;
  /// The text up to there.
  llvm::StringRef before(llvm::StringRef text) const {
    return text.take_front(find(text));
  }
  /// How many bytes at the end of a text may be the beginning of one of them,
  /// and are not shown before more is known.
  size_t undecided(llvm::StringRef text) const;

private:
  std::vector<std::string> texts;
};

} // namespace weir

#endif // WEIR_RUNTIME_STOPSTRINGS_H
