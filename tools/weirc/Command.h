//===- Command.h - The commands of weirc ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A command is declared here and defined in a file of its own: its options, and
// the few lines between these and the job of the library that does it.
//

#ifndef WEIR_TOOLS_WEIRC_COMMAND_H
#define WEIR_TOOLS_WEIRC_COMMAND_H

#include <CLI/CLI.hpp>

#include <functional>

namespace weir {

struct Command {
  /// The subcommand, which has been given if it is parsed.
  CLI::App *app;
  /// Does it; the exit code of the tool.
  std::function<int()> run;
};

Command addBuild(CLI::App &app, const char *argv0);
Command addCache(CLI::App &app);
Command addChat(CLI::App &app);
Command addCheck(CLI::App &app);
Command addDirection(CLI::App &app, const char *argv0);
Command addEvaluate(CLI::App &app, const char *argv0);
Command addExplain(CLI::App &app);
Command addFeatures(CLI::App &app, const char *argv0);
Command addFold(CLI::App &app, const char *argv0);
Command addGraph(CLI::App &app, const char *argv0);
Command addMatch(CLI::App &app);
Command addRows(CLI::App &app);
Command addSchema(CLI::App &app);
Command addSweep(CLI::App &app, const char *argv0);
Command addValidate(CLI::App &app);
Command addVet(CLI::App &app);

} // namespace weir

#endif // WEIR_TOOLS_WEIRC_COMMAND_H
