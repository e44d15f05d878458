//===- Check.cpp - weirc check: read a spec and report errors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

using namespace weir;

static int runCheck(const SpecOptions &options) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  bool hasModel = !options.compiler.model.empty();
  Compiler &compiler = session.compiler();
  // Without a model, files of dictionaries may be elsewhere.
  bool isFine = succeeded(compiler.load(hasModel)) &&
                succeeded(hasModel ? compiler.steer()
                                   : compiler.checkLabels(/*quiet=*/true));
  return session.finish(isFine);
}

Command weir::addCheck(CLI::App &app) {
  auto options = std::make_shared<SpecOptions>();
  CLI::App *check = app.add_subcommand("check", "Read a spec and report errors");
  addSpecOptions(check, *options, /*needsModel=*/false);
  check->add_option("--cache", options->compiler.cache,
                    "folder of computed matches, with --model");
  return {check, [options] { return runCheck(*options); }};
}
