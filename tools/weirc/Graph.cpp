//===- Graph.cpp - weirc graph: how features flow across layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "../Numbers.h"

#include "weir/Driver/PictureJob.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct GraphOptions : SpecOptions {
  std::string name, output;
  bool story = false;
  PictureJob picture;
};
} // namespace

static int runGraph(const GraphOptions &options, const char *argv0) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  // Python draws and tells, and asks what may be replaced.
  bool isPicture = options.story || PictureJob::draws(options.output);
  if (!options.output.empty() && !isPicture)
    if (llvm::Error e = GraphReport::checkOutput(options.output)) {
      llvm::errs() << "weirc: " << llvm::toString(std::move(e)) << "\n";
      return 1;
    }
  if (!isPicture &&
      !(options.picture.features.empty() && !options.picture.maxTokens)) {
    llvm::errs() << "weirc: --features and --max-tokens require --story or -o "
                    "with a name that ends in .html or .svg\n";
    return 1;
  }
  Compiler &compiler = session.compiler();
  // Dictionaries of files are followed without their model.
  if (failed(compiler.load(/*withModel=*/false)))
    return session.finish(false);
  if (!options.picture.text.empty() &&
      failed(compiler.showEffectsOn(options.picture.text)))
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
  if (!options.output.empty() && !isPicture)
    if (llvm::Error e = report.write(options.output))
      return fail(std::move(e));
  if (isPicture) {
    showProgress("");
    PictureJob job = options.picture;
    job.output = options.output;
    job.spec = options.compiler.spec;
    job.model = options.compiler.model;
    job.cache = options.compiler.cache;
    bool isLast = !options.json && !options.output.empty();
    if (failed(job.run(argv0, session.context(),
                       isLast ? std::move(report) : report)))
      return session.finish(false);
  }
  if (options.json)
    return session.finish(true, report.toJSON());
  showProgress("");
  if (options.output.empty() && !isPicture)
    report.print(llvm::outs());
  return session.finish(true);
}

Command weir::addGraph(CLI::App &app, const char *argv0) {
  auto options = std::make_shared<GraphOptions>();
  CLI::App *graph = app.add_subcommand(
      "graph", "Show the graphs of a spec: how features flow across layers");
  addSpecOptions(graph, *options, /*needsModel=*/true);
  graph->add_option("name", options->name,
                    "the graph, instead of all that the spec has");
  auto *output = graph->add_option(
      "-o,--output", options->output,
      "write the graphs into a file: .json, .dot, .graphml, or with Python "
      ".html, a page of all of them, or .svg, a picture of one");
  auto *story = graph->add_flag(
      "--story", options->story,
      "tell where each target comes from and goes to, instead of listing edges "
      "(needs Python)");
  story->excludes(output);
  story->excludes(graph->get_option("--json"));
  auto *features = graph->add_option(
      "--features", options->picture.features,
      "what weirc features --json has printed: contexts and tokens for pages "
      "and stories");
  auto *text = graph
                   ->add_option("--text", options->picture.text,
                                "show the effects that weirc validate measured on "
                                "this text, of graphs that name no text; for pages "
                                "and stories it also runs through the model, for "
                                "contexts and tokens")
                   ->excludes(features);
  graph
      ->add_option("--max-tokens", options->picture.maxTokens,
                   "stop after this many tokens of the text, 0 for all of it; 16384 "
                   "if not given")
      ->transform(numberIn<int64_t>(0, mostItems))
      ->needs(text);
  addMatchingOptions(graph, *options);
  return {graph, [=] { return runGraph(*options, argv0); }};
}
