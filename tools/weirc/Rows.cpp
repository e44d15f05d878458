//===- Rows.cpp - weirc rows: decoder rows in a file ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "weir/Driver/RowsJob.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct RowsOptions : SpecOptions {
  RowsJob job;
};
} // namespace

static int runRows(const RowsOptions &options) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  FailureOr<llvm::json::Object> done = options.job.run(session.compiler());
  if (failed(done))
    return session.finish(false);
  if (!options.json) {
    showProgress("");
    for (const llvm::json::Value &row : *done->getArray("rows"))
      llvm::outs() << *row.getAsObject()->getString("tensor") << "  ["
                   << *row.getAsObject()->getInteger("features") << ", "
                   << *row.getAsObject()->getInteger("width") << "]\n";
  }
  return session.finish(true, std::move(*done));
}

Command weir::addRows(CLI::App &app) {
  auto options = std::make_shared<RowsOptions>();
  CLI::App *rows = app.add_subcommand(
      "rows", "Write decoder rows of a spec's dictionaries into a file");
  addSpecOptions(rows, *options, true);
  rows->add_option("--site", options->job.sites,
                   "a dictionary, such as 12/res, or sae:12/res where there are "
                   "several; repeatable")
      ->allow_extra_args(false)
      ->required();
  rows->add_option("-o,--output", options->job.output,
                   "the .safetensors to write, with a tensor "
                   "DICTIONARY/LAYER/SITE [F, d] float32 for each")
      ->required();
  return {rows, [options] { return runRows(*options); }};
}
