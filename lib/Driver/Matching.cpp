//===- Matching.cpp - The matches of a spec, whole or in parts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/Compiler.h"
#include "weir/Pipelines/Pipelines.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

using matching::FeatureRows;
using matching::Matcher;
using matching::MatchUnit;

static InFlightDiagnostic noMatches(MLIRContext &context, StringRef spec) {
  return emitError(FileLineColLoc::get(&context, spec, 1, 1))
         << "the spec has no section 'matches'";
}

bool Compiler::matchingNeedsModel() {
  llvm::DenseSet<StringAttr> matched;
  bool needed = false;
  for (auto matching : module().getOps<flow::MatchingOp>()) {
    matched.insert(matching.getCollectionAttr().getAttr());
    needed |= static_cast<bool>(matching.getTextAttr());
  }
  for (auto collection : module().getOps<flow::CollectionOp>())
    needed |= !collection.getPath() &&
              matched.contains(collection.getSymNameAttr());
  return needed;
}

LogicalResult Compiler::match(MatchReport &report) {
  if (module().getOps<flow::MatchingOp>().empty())
    return noMatches(context, options.spec);
  flow::DictionaryStore store(module(), base, archive);
  flow::MatchServices services = matchServices();
  bool failedAny = false;
  services.result = [&](flow::ComputedOpInterface op,
                        const Matcher::Outcome &outcome) {
    if (llvm::Error e = report.add(op, outcome, store)) {
      op->emitError(llvm::toString(std::move(e)));
      failedAny = true;
    }
  };
  MatchingPipelineOptions pipeline;
  pipeline.base = base;
  pipeline.model = archive ? options.model : "";
  pipeline.sites = siteMap();
  pipeline.cache = options.cache;
  pipeline.threads = options.threads;
  pipeline.unitRows = options.unitRows;
  PassManager passes(&context);
  buildMatchingPipeline(passes, pipeline, std::move(services));
  return failure(failed(passes.run(module())) || failedAny);
}

//===----------------------------------------------------------------------===//
// By activations
//===----------------------------------------------------------------------===//

namespace {
/// The matches that one pass over a text serves.
struct TextJob {
  std::string text;
  std::vector<size_t> ops; ///< positions among all that are asked for
  std::vector<ActivationSite> sites;
  std::vector<std::pair<size_t, size_t>> pairs; ///< one for each op

  size_t indexOf(const ActivationSite &site) {
    auto found = llvm::find(sites, site);
    if (found == sites.end())
      found = sites.insert(sites.end(), site);
    return found - sites.begin();
  }
};
} // namespace

static ActivationSite siteOf(flow::DictionaryOp dictionary) {
  return {dictionary.getCollection().str(), dictionary.getSite().getKind(),
          dictionary.getSite().getLayer()};
}

static std::vector<TextJob> jobsOf(ModuleOp module,
                                   ArrayRef<flow::PairOpInterface> pairs) {
  std::vector<TextJob> jobs;
  for (auto [i, pair] : llvm::enumerate(pairs)) {
    flow::PairOpInterface op = pair;
    std::string text = op.getTextRef().str();
    auto job = llvm::find_if(jobs, [&](auto &j) { return j.text == text; });
    if (job == jobs.end())
      job = jobs.insert(jobs.end(), TextJob{text, {}, {}, {}});
    job->ops.push_back(i);
    auto indexOf = [&](FlatSymbolRefAttr ref) {
      return job->indexOf(
          siteOf(module.lookupSymbol<flow::DictionaryOp>(ref.getAttr())));
    };
    size_t source = indexOf(op.getSourceRef());
    size_t target = indexOf(op.getTargetRef());
    job->pairs.push_back({source, target});
  }
  return jobs;
}

static llvm::Expected<matching::Match>
matchOf(const matching::Coactivations &statistics, size_t pair, int64_t k) {
  auto found = statistics.matches(pair, k);
  if (!found)
    return found.takeError();
  matching::Match match;
  match.rows = found->pearson.rows;
  match.columns = statistics.features(statistics.pairs()[pair].second);
  match.k = found->pearson.k;
  match.indices = std::move(found->pearson.indices);
  match.values = std::move(found->pearson.values);
  match.survivors = found->pearson.survivors;
  match.firing = std::move(found->together.givenFirst);
  return match;
}

/// Runs a text through the model, or finds what an earlier run has counted.
llvm::Expected<CollectedActivations>
Compiler::collectActivations(const ResultCache &cache, StringRef text,
                             std::vector<ActivationSite> sites,
                             std::vector<std::pair<size_t, size_t>> pairs) {
  ActivationMatchingOptions collect;
  collect.spec = module();
  collect.base = base;
  collect.model = options.model;
  collect.operators = options.operators;
  collect.sites = std::move(sites);
  collect.pairs = std::move(pairs);
  collect.text = pathBelow(base, text);
  collect.checkpoints = cache.activationFolder();
  collect.stage = options.progress;
  collect.progress = [&](const ActivationProgress &now) {
    std::string line;
    llvm::raw_string_ostream(line)
        << "reading " << text << ", " << now.tokens << " of "
        << now.totalTokens << " tokens, "
        << llvm::format("%.0f", now.tokensPerSecond) << " a second";
    progress(line);
  };
  return collectCoactivations(collect);
}

llvm::Expected<std::vector<std::vector<float>>>
Compiler::meanActivations(ArrayRef<flow::DictionaryOp> dictionaries,
                          StringRef text) {
  if (!archive)
    return llvm::createStringError(
        "folds mean activations, which needs a model");
  auto cache = ResultCache::open(options.cache);
  if (!cache)
    return cache.takeError();
  std::vector<ActivationSite> sites;
  for (flow::DictionaryOp dictionary : dictionaries)
    sites.push_back(siteOf(dictionary));
  auto collected = collectActivations(*cache, text, std::move(sites), {});
  if (!collected)
    return collected.takeError();
  std::vector<std::vector<float>> means;
  for (size_t i = 0; i < dictionaries.size(); ++i)
    means.push_back(collected->statistics.meansWhereFired(i));
  return means;
}

llvm::Expected<std::vector<Matcher::Outcome>>
Compiler::matchByActivations(ArrayRef<flow::PairOpInterface> pairs) {
  if (!archive)
    return llvm::createStringError("compares activations, which needs a model");
  auto cache = ResultCache::open(options.cache);
  if (!cache)
    return cache.takeError();
  Matcher matcher(*cache, {});
  std::vector<std::optional<Matcher::Outcome>> outcomes(pairs.size());
  for (const TextJob &job : jobsOf(module(), pairs)) {
    auto collected = collectActivations(*cache, job.text, job.sites, job.pairs);
    if (!collected)
      return collected.takeError();
    for (auto [place, op] : llvm::enumerate(job.ops)) {
      flow::PairOpInterface pair = pairs[op];
      int64_t k = *pair.getNumBest();
      std::string name = "weir activations 1\n" + collected->key + "\n" +
                         std::to_string(job.pairs[place].first) + " " +
                         std::to_string(job.pairs[place].second) + " " +
                         std::to_string(k);
      std::string about = pair.getSourceRef().getValue().str() + " -> " +
                          pair.getTargetRef().getValue().str() +
                          " top_k k=" + std::to_string(k) +
                          " similarity=pearson text=" + job.text;
      auto outcome = matcher.cached(sha256(StringRef(name)), about, [&] {
        return matchOf(collected->statistics, place, k);
      });
      if (!outcome)
        return outcome.takeError();
      outcomes[op] = std::move(*outcome);
    }
  }
  std::vector<Matcher::Outcome> result;
  for (auto &outcome : outcomes)
    result.push_back(std::move(*outcome));
  return result;
}

//===----------------------------------------------------------------------===//
// In parts
//===----------------------------------------------------------------------===//

LogicalResult Compiler::expandMatchings() {
  if (module().getOps<flow::MatchingOp>().empty())
    return noMatches(context, options.spec);
  PassManager passes(&context);
  fx::FXFindSitesOptions sites;
  sites.sites = siteMap();
  passes.nest<fx::ProgramOp>().addPass(fx::createFXFindSites(sites));
  flow::FlowExpandMatchingsPassOptions expand;
  expand.base = base;
  expand.model = archive ? options.model : "";
  expand.all = true;
  passes.addPass(flow::createFlowExpandMatchingsPass(expand));
  return passes.run(module());
}

/// "flow/sae.res.12/sae.res.11/": what the names of a match's parts begin with.
static std::string prefixOf(flow::PairOpInterface op) {
  return (op.getMatchingRef().getValue().split('.').first + "/" +
          op.getSourceRef().getValue() + "/" + op.getTargetRef().getValue() +
          "/")
      .str();
}

static std::string partName(flow::PairOpInterface op, const MatchUnit &unit) {
  return prefixOf(op) + std::to_string(unit.first) + ".." +
         std::to_string(unit.last - 1);
}

namespace {
/// What a part is computed from.
struct Sides {
  matching::MatchOptions options;
  FeatureRows source, target;
};
} // namespace

static llvm::Expected<Sides> readSides(flow::PairOpInterface op,
                                       flow::DictionaryStore &store) {
  auto options = flow::matchOptionsOf(op);
  if (!options)
    return options.takeError();
  auto rows = [&](FlatSymbolRefAttr ref) -> llvm::Expected<FeatureRows> {
    auto dictionary = store.open(ref.getValue());
    if (!dictionary)
      return dictionary.takeError();
    return FeatureRows::read(ref.getValue(), **dictionary, *options);
  };
  auto source = rows(op.getSourceRef());
  if (!source)
    return source.takeError();
  auto target = rows(op.getTargetRef());
  if (!target)
    return target.takeError();
  return Sides{*options, std::move(*source), std::move(*target)};
}

static llvm::Expected<Matcher> makeMatcher(const CompilerOptions &options) {
  auto cache = ResultCache::open(options.cache);
  if (!cache)
    return cache.takeError();
  Matcher::Settings settings;
  settings.engine.threads = options.threads;
  settings.unitRows = options.unitRows;
  return Matcher(std::move(*cache), std::move(settings));
}

FailureOr<std::vector<MatchPart>> Compiler::matchParts() {
  if (failed(expandMatchings()))
    return failure();
  auto matcher = makeMatcher(options);
  if (!matcher)
    return error() << llvm::toString(matcher.takeError());
  flow::DictionaryStore store(module(), base, archive);
  std::vector<MatchPart> parts;
  for (auto op : module().getOps<flow::PairOpInterface>()) {
    // One pass over a text serves all of these: they are no parts.
    if (flow::needsActivations(op))
      continue;
    progress("looking for " + prefixOf(op));
    auto sides = readSides(op, store);
    if (!sides)
      return op->emitError() << llvm::toString(sides.takeError());
    bool isWhole = matcher->isDone(
        Matcher::keyOf(sides->source, sides->target, sides->options));
    for (const MatchUnit &unit :
         matcher->unitsOf(sides->source, sides->target, sides->options))
      parts.push_back({partName(op, unit), unit.key,
                       isWhole || matcher->isDone(unit.key)});
  }
  return parts;
}

LogicalResult Compiler::matchPart(StringRef name) {
  if (failed(expandMatchings()))
    return failure();
  auto matcher = makeMatcher(options);
  if (!matcher)
    return error() << llvm::toString(matcher.takeError());
  flow::DictionaryStore store(module(), base, archive);
  for (auto op : module().getOps<flow::PairOpInterface>()) {
    if (!name.starts_with(prefixOf(op)) ||
        flow::needsActivations(op))
      continue;
    auto sides = readSides(op, store);
    if (!sides)
      return op->emitError() << llvm::toString(sides.takeError());
    for (const MatchUnit &unit :
         matcher->unitsOf(sides->source, sides->target, sides->options)) {
      if (partName(op, unit) != name)
        continue;
      if (llvm::Error e = matcher->computeUnit(sides->source, sides->target,
                                               sides->options, unit))
        return op->emitError() << llvm::toString(std::move(e));
      return success();
    }
  }
  return error() << "the spec has no part '" << name
                 << "' of a match: 'weirc match --parts' lists them";
}
