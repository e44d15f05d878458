//===- Matching.cpp - The matches of a spec, whole or in parts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteNorms.h"

#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/Compiler.h"
#include "weir/Pipelines/Pipelines.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Words.h"

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
  flow::DictionaryStore store(module(), *resources);
  flow::MatchObserver observer = matchObserver();
  bool failedAny = false;
  observer.result = [&](flow::ComputedOpInterface op,
                        const Matcher::Outcome &outcome) {
    if (llvm::Error e = report.add(op, outcome, store)) {
      op->emitError(llvm::toString(std::move(e)));
      failedAny = true;
    }
  };
  PassManager passes(&context);
  buildMatchingPipeline(passes, siteMap(), resources, std::move(observer));
  return failure(failed(passes.run(module())) || failedAny);
}

LogicalResult Compiler::matchPairs(
    llvm::function_ref<void(flow::PairOpInterface, const Matcher::Outcome &)>
        result) {
  flow::MatchObserver observer = matchObserver();
  observer.result = [&](flow::ComputedOpInterface op,
                        const Matcher::Outcome &outcome) {
    if (auto pair = dyn_cast<flow::PairOpInterface>(op.getOperation()))
      result(pair, outcome);
  };
  PassManager passes(&context);
  populateFindSites(passes, siteMap());
  populateMatch(passes, Matchings::All, resources, std::move(observer));
  return passes.run(module());
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

namespace {
/// Runs texts through the model with collectCoactivations.
class RecordedActivations : public ActivationSource {
public:
  RecordedActivations(Resources &resources, OperatorPolicy operators,
                      std::function<void(StringRef)> progress)
      : resources(resources), operators(std::move(operators)),
        progress(std::move(progress)) {}

  llvm::Expected<std::vector<Matcher::Outcome>>
  match(ArrayRef<flow::PairOpInterface> pairs, ModuleOp module) override;
  llvm::Expected<std::vector<std::vector<float>>>
  means(ArrayRef<flow::DictionaryOp> dictionaries, StringRef text,
        ModuleOp module) override;
  llvm::Expected<std::vector<double>>
  medianNorms(ArrayRef<flow::SiteAttr> sites, StringRef text,
              ModuleOp module) override {
    return measureSiteNorms({module, resources.shared_from_this(), operators,
                             text.str(), progress},
                            sites);
  }

private:
  /// Runs a text through the model, or finds what an earlier run has counted.
  llvm::Expected<CollectedActivations>
  collect(StringRef text, std::vector<ActivationSite> sites,
          std::vector<std::pair<size_t, size_t>> pairs, ModuleOp module);

  Resources &resources; ///< which this belongs to
  OperatorPolicy operators;
  std::function<void(StringRef)> progress;
};
} // namespace

llvm::Expected<CollectedActivations>
RecordedActivations::collect(StringRef text, std::vector<ActivationSite> sites,
                             std::vector<std::pair<size_t, size_t>> pairs,
                             ModuleOp module) {
  auto cache = resources.cache();
  if (!cache)
    return cache.takeError();
  ActivationMatchingOptions options;
  options.spec = module;
  options.resources = resources.shared_from_this();
  options.operators = operators;
  options.sites = std::move(sites);
  options.pairs = std::move(pairs);
  options.text = resources.pathOf(text);
  options.checkpoints = cache->activationFolder();
  options.stage = progress;
  options.progress = [&](const ActivationProgress &now) {
    if (!progress)
      return;
    std::string line;
    llvm::raw_string_ostream(line)
        << "reading " << text << ", " << now.tokens << " of "
        << now.totalTokens << " tokens, "
        << llvm::format("%.0f", now.tokensPerSecond) << " a second";
    progress(line);
  };
  return collectCoactivations(options);
}

llvm::Expected<std::vector<std::vector<float>>>
RecordedActivations::means(ArrayRef<flow::DictionaryOp> dictionaries,
                           StringRef text, ModuleOp module) {
  if (resources.options().model.empty())
    return llvm::createStringError(
        "folds mean activations, which needs a model");
  std::vector<ActivationSite> sites;
  for (flow::DictionaryOp dictionary : dictionaries)
    sites.push_back(siteOf(dictionary));
  auto collected = collect(text, std::move(sites), {}, module);
  if (!collected)
    return collected.takeError();
  std::vector<std::vector<float>> means;
  for (size_t i = 0; i < dictionaries.size(); ++i)
    means.push_back(collected->statistics.meansWhereFired(i));
  return means;
}

llvm::Expected<std::vector<Matcher::Outcome>>
RecordedActivations::match(ArrayRef<flow::PairOpInterface> pairs,
                           ModuleOp module) {
  if (resources.options().model.empty())
    return llvm::createStringError("compares activations, which needs a model");
  auto matcher = resources.matcher();
  if (!matcher)
    return matcher.takeError();
  std::vector<std::optional<Matcher::Outcome>> outcomes(pairs.size());
  for (const TextJob &job : jobsOf(module, pairs)) {
    auto collected = collect(job.text, job.sites, job.pairs, module);
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
      auto outcome = matcher->cached(sha256(StringRef(name)), about, [&] {
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

std::unique_ptr<ActivationSource>
weir::makeActivationSource(Resources &resources, OperatorPolicy operators,
                           std::function<void(StringRef)> progress) {
  return std::make_unique<RecordedActivations>(resources, std::move(operators),
                                               std::move(progress));
}

//===----------------------------------------------------------------------===//
// In parts
//===----------------------------------------------------------------------===//

LogicalResult Compiler::expandMatchings() {
  if (module().getOps<flow::MatchingOp>().empty())
    return noMatches(context, options.spec);
  PassManager passes(&context);
  populateFindSites(passes, siteMap());
  populateExpandMatchings(passes, Matchings::All, resources);
  return passes.run(module());
}

/// "flow/sae.res.12/sae.res.11/": what the names of a match's parts begin with.
static std::string prefixOf(flow::PairOpInterface op) {
  return (specName(op.getMatchingRef().getValue()) + "/" +
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

FailureOr<std::vector<MatchPart>> Compiler::matchParts() {
  if (failed(expandMatchings()))
    return failure();
  auto matcher = resources->matcher();
  if (!matcher)
    return error() << llvm::toString(matcher.takeError());
  flow::DictionaryStore store(module(), *resources);
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
  auto matcher = resources->matcher();
  if (!matcher)
    return error() << llvm::toString(matcher.takeError());
  flow::DictionaryStore store(module(), *resources);
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
