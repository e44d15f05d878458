//===- Shell.h - Words of commands that people copy ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_SHELL_H
#define WEIR_SUPPORT_SHELL_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace weir {

/// A text as one word of a POSIX shell: as it is where the shell has no other meaning
/// for it, else in single quotes.
std::string shellWord(llvm::StringRef text);

} // namespace weir

#endif // WEIR_SUPPORT_SHELL_H
