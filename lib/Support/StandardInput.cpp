//===- StandardInput.cpp - All that is piped in, up to a limit ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/StandardInput.h"

#include <cerrno>
#include <unistd.h>

using namespace llvm;

namespace weir {

Expected<std::string> readStandardInput(size_t limit) {
  std::string text;
  while (true) {
    constexpr size_t piece = size_t(1) << 20;
    size_t before = text.size();
    text.resize(before + piece);
    ssize_t got = ::read(STDIN_FILENO, text.data() + before, piece);
    int code = errno;
    text.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got < 0 && code == EINTR)
      continue;
    if (got < 0)
      return createStringError(std::error_code(code, std::generic_category()),
                               "cannot read standard input");
    if (got == 0)
      return text;
    if (text.size() > limit)
      return createStringError(std::errc::file_too_large,
                               "standard input has more than the %zu bytes "
                               "that are accepted here",
                               limit);
  }
}

} // namespace weir
