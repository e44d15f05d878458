//===- Graph.cpp - weirc graph: how features flow across layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct GraphOptions : SpecOptions {
  std::string name, output;
};
} // namespace

static int runGraph(const GraphOptions &options) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  if (!options.output.empty())
    if (llvm::Error e = GraphReport::checkOutput(options.output)) {
      llvm::errs() << "weirc: " << llvm::toString(std::move(e)) << "\n";
      return 1;
    }
  Compiler &compiler = session.compiler();
  // Dictionaries of files are followed without their model.
  if (failed(compiler.load(/*withModel=*/false)))
    return session.finish(false);
  if (compiler.graphsNeedModel() && failed(compiler.loadModel()))
    return session.finish(false);
  GraphReport report;
  if (failed(compiler.graphs(report)))
    return session.finish(false);
  auto fail = [&](llvm::Error error) {
    emitError(UnknownLoc::get(compiler.module().getContext()))
        << llvm::toString(std::move(error));
    return session.finish(false);
  };
  if (!options.name.empty())
    if (llvm::Error e = report.keepOnly(options.name))
      return fail(std::move(e));
  if (!options.output.empty())
    if (llvm::Error e = report.write(options.output))
      return fail(std::move(e));
  if (options.json)
    return session.finish(true, report.toJSON());
  showProgress("");
  if (options.output.empty())
    report.print(llvm::outs());
  return session.finish(true);
}

Command weir::addGraph(CLI::App &app) {
  auto options = std::make_shared<GraphOptions>();
  CLI::App *graph = app.add_subcommand(
      "graph", "Show the graphs of a spec: how features flow across layers");
  addSpecOptions(graph, *options, /*needsModel=*/true);
  graph->add_option("name", options->name,
                    "the graph, instead of all that the spec has");
  graph->add_option("-o,--output", options->output,
                    "write the graphs into a file: .json, .dot or .graphml");
  addMatchingOptions(graph, *options);
  return {graph, [options] { return runGraph(*options); }};
}
