//===- Match.cpp - weirc match: match features across layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"

#include "../Numbers.h"

#include "weir/Cache/ResultCache.h"
#include "weir/Driver/MatchChains.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct MatchOptions : SpecOptions {
  std::vector<std::string> exports;
  bool listParts = false;
  std::string part;
  std::vector<std::string> followed;
};
} // namespace

static int listParts(const MatchOptions &options, SpecSession &session) {
  Compiler &compiler = session.compiler();
  FailureOr<std::vector<MatchPart>> parts = compiler.matchParts();
  if (failed(parts))
    return session.finish(false);
  // Who computes them elsewhere has to use the same folder.
  auto cache = ResultCache::open(options.compiler.cache);
  if (!cache) {
    emitError(UnknownLoc::get(compiler.module().getContext()))
        << llvm::toString(cache.takeError());
    return session.finish(false);
  }
  llvm::json::Array rows;
  for (const MatchPart &part : *parts)
    if (options.json)
      rows.push_back(llvm::json::Object{
          {"name", part.name}, {"key", part.key}, {"done", part.isDone}});
    else
      llvm::outs() << part.name << (part.isDone ? "  done" : "") << "\n";
  return session.finish(true,
                llvm::json::Object{{"cache", cache->folder().str()},
                                   {"parts", std::move(rows)}});
}

static int runMatch(const MatchOptions &options) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  Compiler &compiler = session.compiler();
  for (const std::string &path : options.exports)
    if (llvm::Error e = MatchReport::checkExport(path)) {
      llvm::errs() << "weirc: " << llvm::toString(std::move(e)) << "\n";
      return 1;
    }
  std::vector<FollowedFeature> followed;
  for (const std::string &text : options.followed) {
    auto feature = FollowedFeature::parse(text);
    if (!feature) {
      llvm::errs() << "weirc: --follow: " << llvm::toString(feature.takeError())
                   << "\n";
      return 1;
    }
    followed.push_back(std::move(*feature));
  }
  // Dictionaries of files can be matched without their model.
  if (failed(compiler.load(/*withModel=*/false)))
    return session.finish(false);
  if ((compiler.matchingNeedsModel() || compiler.labelsNeedModel()) &&
      failed(compiler.loadModel()))
    return session.finish(false);
  if (options.listParts)
    return listParts(options, session);
  if (!options.part.empty())
    return session.finish(succeeded(compiler.matchPart(options.part)));

  MatchReport report;
  if (failed(compiler.match(report)))
    return session.finish(false);
  for (const std::string &path : options.exports)
    if (llvm::Error e = report.write(path)) {
      emitError(UnknownLoc::get(compiler.module().getContext()))
          << llvm::toString(std::move(e));
      return session.finish(false);
    }
  std::vector<MatchChain> chains;
  for (const FollowedFeature &feature : followed) {
    auto found = followFeature(feature, report, compiler.module());
    if (!found) {
      emitError(UnknownLoc::get(compiler.module().getContext()))
          << "--follow: " << llvm::toString(found.takeError());
      return session.finish(false);
    }
    llvm::append_range(chains, *found);
  }
  if (options.json) {
    llvm::json::Object result = report.toJSON();
    if (!followed.empty())
      result["chains"] = toJSON(chains);
    return session.finish(true, std::move(result));
  }
  showProgress("");
  if (followed.empty())
    report.print(llvm::outs());
  else
    printChains(chains, llvm::outs());
  return session.finish(true);
}

Command weir::addMatch(CLI::App &app) {
  auto options = std::make_shared<MatchOptions>();
  CLI::App *match = app.add_subcommand(
      "match", "Match features across layers, and show how similar they are");
  addSpecOptions(match, *options, /*needsModel=*/true);
  // One file each time, so that it does not take the spec for another.
  match
      ->add_option("--export", options->exports,
                   "write the matches into a file too: .safetensors or .csv")
      ->allow_extra_args(false);
  match->add_option("--part-rows", options->compiler.unitRows,
                    "features that are matched and kept together")
      ->transform(numberIn<int64_t>(1, mostItems))
      ->capture_default_str();
  match
      ->add_option("--follow", options->followed,
                   "print the features before and behind this one, such as "
                   "12/res/411, each the most similar to the one next to it; "
                   "repeatable")
      ->allow_extra_args(false);
  auto *parts = match->add_flag(
      "--parts", options->listParts,
      "list the parts that can be computed by themselves, anywhere");
  match->add_option("--part", options->part, "compute one part into the cache")
      ->excludes(parts);
  addMatchingOptions(match, *options);
  return {match, [options] { return runMatch(*options); }};
}
