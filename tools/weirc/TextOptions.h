//===- TextOptions.h - Options of commands over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TOOLS_WEIRC_TEXTOPTIONS_H
#define WEIR_TOOLS_WEIRC_TEXTOPTIONS_H

#include "weir/Driver/ResultFiles.h"
#include "weir/Runtime/TokenWindows.h"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>

namespace weir {

/// --text, and how it is cut into windows: --context, --bos, --skip-first,
/// --max-tokens, --prompt-tokens.
CLI::Option *addTextOptions(CLI::App *command, std::string &text,
                            WindowOptions &windows,
                            std::optional<int64_t> &promptTokens);

/// --csv and --plot.
void addResultFiles(CLI::App *command, ResultFiles &files);

} // namespace weir

#endif // WEIR_TOOLS_WEIRC_TEXTOPTIONS_H
