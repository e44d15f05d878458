//===- Validation.cpp - Are matched features causes of each other? ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ValidationJob.h"

#include "weir/Cache/EffectScores.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/JobFolder.h"
#include "weir/Support/Json.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <set>

using namespace mlir;
using namespace weir;

static constexpr std::array<StringLiteral, numValidationMethods> methodNames = {
    "top1", "random_of_5", "permutation", "top5", "exhaustive", "joint", "edges"};

StringRef weir::nameOf(ValidationMethod method) {
  return methodNames[static_cast<size_t>(method)];
}

std::optional<ValidationMethod> weir::parseValidationMethod(StringRef name) {
  for (auto [number, each] : llvm::enumerate(methodNames))
    if (each == name)
      return static_cast<ValidationMethod>(number);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

LogicalResult Validation::planSlices(ArrayRef<size_t> order) {
  // Sites in the program's order from here on.
  std::vector<size_t> rank(order.size());
  std::vector<ActivationSite> sorted;
  for (auto [place, site] : llvm::enumerate(order)) {
    rank[site] = place;
    sorted.push_back(plan.sites[site]);
  }
  for (ValidationLink &link : plan.links) {
    link.target = rank[link.target];
    link.predecessor = rank[link.predecessor];
    if (link.predecessor >= link.target)
      return error() << fx::siteName(sorted[link.predecessor].kind,
                                     sorted[link.predecessor].layer)
                     << " does not come before "
                     << fx::siteName(sorted[link.target].kind,
                                     sorted[link.target].layer)
                     << " in this model";
  }
  for (ValidationFeature &target : plan.targets)
    target.site = rank[target.site];
  llvm::sort(plan.targets);
  auto edges = std::exchange(plan.edges, {});
  for (auto &[target, known] : edges) {
    for (ValidationPredecessor &each : known) {
      each.feature.site = rank[each.feature.site];
      if (each.feature.site >= rank[target.site])
        return error() << fx::siteName(sorted[each.feature.site].kind,
                                       sorted[each.feature.site].layer)
                       << " does not come before "
                       << fx::siteName(sorted[rank[target.site]].kind,
                                       sorted[rank[target.site]].layer)
                       << " in this model";
    }
    plan.edges[{static_cast<uint32_t>(rank[target.site]), target.index}] =
        std::move(known);
  }
  plan.sites = std::move(sorted);

  std::map<size_t, std::set<size_t>> modules; // by target
  std::set<std::pair<size_t, size_t>> pairs;
  for (const ValidationLink &link : plan.links) {
    pairs.insert({link.target, link.predecessor});
    if (!link.isPermutation && !plan.followsGraphs)
      modules[link.target].insert(link.predecessor);
  }
  for (const auto &[target, known] : plan.edges)
    for (const ValidationPredecessor &each : known) {
      pairs.insert({target.site, each.feature.site});
      modules[target.site].insert(each.feature.site);
    }
  auto add = [&](WantedSlice wanted) {
    plan.slices.push_back(std::move(wanted));
    return plan.slices.size() - 1;
  };
  for (auto [target, predecessor] : pairs)
    plan.sliceOf[{target, {predecessor}}] =
        add({predecessor, target, {predecessor}, true, options.losses});
  if (wants(ValidationMethod::Joint))
    for (const auto &[target, members] : modules) {
      std::vector<size_t> list(members.begin(), members.end());
      // Who starts at the same site shares a slice that passes all later ones.
      std::map<size_t, size_t> startingAt;
      for (uint32_t subset = 1; subset < (1u << list.size()); ++subset) {
        std::vector<size_t> chosen;
        for (size_t i = 0; i < list.size(); ++i)
          if (subset >> i & 1)
            chosen.push_back(list[i]);
        if (chosen.size() < 2)
          continue;
        auto [place, isNew] = startingAt.try_emplace(chosen.front(), 0);
        if (isNew)
          place->second =
              add({chosen.front(), target,
                   std::vector<size_t>(llvm::find(list, chosen.front()),
                                       list.end()),
                   true, options.losses});
        plan.sliceOf[{target, chosen}] = place->second;
      }
    }
  if (!options.losses)
    return success();

  // From the end of a slice to the logits, over the targets' sites in between.
  std::vector<size_t> ends;
  for (auto [target, predecessor] : pairs)
    if (ends.empty() || ends.back() != target)
      ends.push_back(target);
  std::vector<size_t> tail = {
      add({ends.back(), std::nullopt, {}, false, false})};
  plan.tails[ends.back()] = tail;
  for (size_t i = ends.size() - 1; i-- > 0;) {
    // From one dictionary to another of the same place there is nothing to go.
    const ActivationSite &from = plan.sites[ends[i]], &to = plan.sites[ends[i + 1]];
    if (from.kind != to.kind || from.layer != to.layer)
      tail.insert(tail.begin(), add({ends[i], ends[i + 1], {}, false, true}));
    plan.tails[ends[i]] = tail;
  }
  for (size_t end : ends)
    if (plan.sites[end].kind != fx::SiteKind::Res)
      return error() << "--loss goes on from targets of the residual stream, and "
                     << fx::siteName(plan.sites[end].kind, plan.sites[end].layer)
                     << " is none; choose another match";
  return success();
}

LogicalResult Validation::prepareModel() {
  recorder.emplace(context, spec.settings(),
                   matcher   ? matcher->opened()
                   : grapher ? grapher->opened()
                             : spec.opened());
  auto module = makeRecordingSpec(spec.module(), plan.sites);
  if (!module)
    return report(module.takeError());
  if (failed(recorder->load(std::move(*module))) || failed(recorder->steer()))
    return failure();
  // Names of records go by the order in which the sites were found.
  auto order = orderOfSites(*recorder, plan.sites);
  if (failed(order))
    return failure();
  if (!llvm::is_sorted(*order)) {
    if (failed(planSlices(*order)))
      return failure();
    auto sorted = makeRecordingSpec(spec.module(), plan.sites);
    if (!sorted)
      return report(sorted.takeError());
    auto opened = recorder->opened();
    recorder.emplace(context, spec.settings(), opened);
    return failure(failed(recorder->load(std::move(*sorted))) ||
                   failed(recorder->steer()));
  }
  return planSlices(*order);
}

LogicalResult Validation::readText() {
  progress("reading the text");
  auto loaded = TorchRuntime::load();
  if (!loaded)
    return report(loaded.takeError());
  runtime = &*loaded;
  auto windows = runtime->readWindows(
      options.text, recorder->opened()->options().model,
      spec.settings().operators, options.windows);
  if (!windows)
    return report(windows.takeError());
  result.windows = std::move(*windows);
  return success();
}

/// Writes the program, maps it, and takes its name away, so that nothing stays
/// behind however this process ends.
llvm::Error Validation::openProgram() {
  CaseProgramOptions parts;
  parts.removed = plan.removed;
  parts.slots = result.windows.context();
  parts.losses = options.losses;
  auto program = makeCaseProgram(*recorder, plan.sites, plan.slices, parts);
  if (failed(program))
    return llvm::make_error<ReportedError>();
  auto folder = JobFolder::make("weir-validate");
  if (!folder)
    return folder.takeError();
  const std::string path = (*folder)->file("program.pt2");
  if (failed(recorder->writeParts(path)))
    return llvm::make_error<ReportedError>();
  progress("loading the program");
  auto opened =
      runtime->openCases(path, recorder->opened()->options().model,
                         spec.settings().operators, std::move(*program),
                         result.windows, spec.settings().threads);
  if (!opened)
    return opened.takeError();
  cases = std::move(*opened);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

/// A hash of everything that a number of the result depends on.
llvm::Expected<std::string> Validation::jobKey() {
  progress("hashing the model and the dictionaries");
  auto archive = recorder->opened()->model();
  if (!archive)
    return archive.takeError();
  auto graph = graphHash(**archive);
  if (!graph)
    return graph.takeError();
  model = weightsHash(**archive);
  auto hash = sha256OfFile(options.text);
  if (!hash)
    return hash.takeError();
  text = std::move(*hash);
  flow::DictionaryStore store(recorder->module(), *recorder->opened());
  llvm::json::Array sites, targets, methods, matches;
  for (auto [number, site] : llvm::enumerate(plan.sites)) {
    auto collection =
        recorder->module().lookupSymbol<flow::CollectionOp>(site.collection);
    auto dictionary = store.open(collection.dictionaryName(
        flow::SiteAttr::get(&context, site.kind, site.layer)));
    if (!dictionary)
      return dictionary.takeError();
    auto content = (*dictionary)->contentHash();
    if (!content)
      return content.takeError();
    contents[number] = *content;
    sites.push_back(fx::siteName(site.kind, site.layer) + " " + *content);
  }
  for (const ValidationFeature &target : plan.targets)
    targets.push_back(llvm::json::Array{int64_t(target.site), target.index});
  for (ValidationMethod method : result.methods)
    methods.push_back(nameOf(method));
  for (const std::string &key : matchKeys)
    matches.push_back(key);
  llvm::json::Array edges;
  for (const auto &[target, known] : plan.edges)
    for (const ValidationPredecessor &each : known)
      edges.push_back(llvm::json::Array{int64_t(target.site), target.index,
                                        int64_t(each.feature.site),
                                        each.feature.index, each.similarity});
  std::string siteMap;
  for (auto op : recorder->module().getOps<steer::ModelOp>())
    if (op.getSites())
      llvm::raw_string_ostream(siteMap) << *op.getSites();
  return sha256(StringRef(printJSON(llvm::json::Object{
      {"what", "weir validation 3"},
      {"torch", runtime->torchVersion()},
      {"model", model},
      {"graph", *graph},
      {"sitePaths", siteMap},
      {"sites", std::move(sites)},
      {"targets", std::move(targets)},
      {"methods", std::move(methods)},
      {"matches", std::move(matches)},
      {"graphs", plan.followsGraphs},
      {"edges", std::move(edges)},
      {"text", text},
      {"extension", llvm::sys::path::extension(options.text)},
      {"context", result.windows.context()},
      {"bos", options.windows.beginWithBos},
      {"skipFirst", options.windows.skipFirst},
      {"maxTokens", options.windows.maxTokens.value_or(-1)},
      {"seed", std::to_string(options.seed)},
      {"occurrences", options.occurrences},
      {"lossTokens", options.losses ? options.lossTokens : 0}})));
}

llvm::Error Validation::stream(ValidationLog &log) {
  if (llvm::Error problem = openProgram())
    return problem;
  CaseStudy study(plan, options, result);
  study.resume();
  const size_t total = result.windows.size();
  size_t next = log.nextWindow();
  const size_t together = recorder->model().maxBatch;
  while (!log.isFinished()) {
    progress("validating, window " + Twine(next) + " of " + Twine(total) + ", " +
             Twine(result.cases.size()) + " cases");
    size_t count = std::min(together, total - next);
    auto recorded = cases->record(next, count);
    if (!recorded)
      return recorded.takeError();
    if (llvm::Error problem = study.study(*cases, **recorded))
      return problem;
    next += count;
    if (llvm::Error problem =
            log.append(result, next, next == total || study.isFull()))
      return problem;
  }
  return llvm::Error::success();
}

/// The mean change for each pair of a target and a feature that was taken away
/// from it alone, at each token once, whatever methods did so.
void Validation::collectEdges() {
  std::map<std::pair<uint32_t, ValidationFeature>, std::map<uint32_t, double>>
      changes;
  // What a graph asks about is told even where the text has no case of it.
  for (auto [number, target] : llvm::enumerate(result.targets))
    if (auto known = plan.edges.find(target); known != plan.edges.end())
      for (const ValidationPredecessor &each : known->second)
        changes[{static_cast<uint32_t>(number), each.feature}];
  for (const ValidationCase &made : result.cases)
    if (made.predecessors.size() == 1)
      changes[{result.occurrences[made.occurrence].target,
               made.predecessors.front()}][made.occurrence] = made.change();
  for (const auto &[edge, found] : changes) {
    ValidationEdge entry;
    entry.target = edge.first;
    entry.predecessor = edge.second;
    entry.similarity = std::nan("");
    const ValidationFeature &target = result.targets[edge.first];
    for (const ValidationLink &link : plan.links)
      if (!link.isPermutation && link.target == target.site &&
          link.predecessor == edge.second.site)
        for (int64_t rank = 0; rank < link.k; ++rank)
          if (link.indices[target.index * link.k + rank] == edge.second.index)
            entry.similarity = link.values[target.index * link.k + rank];
    if (auto known = plan.edges.find(target); known != plan.edges.end())
      for (const ValidationPredecessor &each : known->second)
        if (each.feature == edge.second) {
          entry.similarity = each.similarity;
          entry.isInGraph = true;
        }
    for (const auto &[occurrence, change] : found)
      entry.effect += change;
    entry.cases = static_cast<int64_t>(found.size());
    entry.effect = found.empty() ? std::nan("")
                                 : entry.effect / static_cast<double>(found.size());
    result.edges.push_back(entry);
  }
}

/// The predecessors of a target by one link that a method takes away alone wherever
/// they are active: of one that was not, the text has no case. What is drawn by
/// chance, and what is taken away together, says nothing of that kind.
llvm::SmallVector<int64_t, 5>
Validation::predecessorsAskedFor(const ValidationLink &link,
                                 int64_t target) const {
  int64_t ranks = 0;
  if (link.isPermutation)
    ranks = wants(ValidationMethod::Permutation);
  else if (wants(ValidationMethod::Exhaustive))
    ranks = link.k;
  else if (wants(ValidationMethod::Top1))
    ranks = 1;
  llvm::SmallVector<int64_t, 5> asked;
  for (int64_t rank = 0; rank < ranks; ++rank)
    if (int64_t index = link.indices[target * link.k + rank]; index >= 0)
      asked.push_back(index);
  return asked;
}

llvm::Error Validation::recordEffects() {
  auto cache = recorder->opened()->cache();
  if (!cache)
    return cache.takeError();
  std::map<std::pair<size_t, size_t>, std::vector<EffectScore>> scores;
  for (const ValidationEdge &edge : result.edges) {
    // Of a graph's edge that no method took away alone nothing is known.
    if (edge.cases == 0 && !wants(ValidationMethod::Edges))
      continue;
    const ValidationFeature &target = result.targets[edge.target];
    scores[{target.site, edge.predecessor.site}].push_back(
        {target.index, edge.predecessor.index, edge.effect, edge.cases});
  }
  for (const ValidationLink &link : plan.links)
    scores.try_emplace({link.target, link.predecessor});
  auto side = [&](size_t site) {
    return EffectKey::Side{
        fx::siteName(plan.sites[site].kind, plan.sites[site].layer),
        contents.at(site)};
  };
  for (auto &[sites, found] : scores) {
    // What was looked for without a case; where there is a score, that stays.
    for (const ValidationLink &link : plan.links)
      for (const ValidationFeature &target : result.targets)
        if (std::pair(link.target, link.predecessor) == sites &&
            target.site == link.target)
          for (int64_t index : predecessorsAskedFor(link, target.index))
            found.push_back({target.index, index, std::nan(""), 0});
    if (found.empty())
      continue;
    EffectKey key{side(sites.first), side(sites.second), model, text};
    if (llvm::Error problem = weir::recordEffects(
            *cache, key, found,
            key.predecessor.place + " -> " + key.target.place +
                " effects text=" + options.text))
      return problem;
    found = {}; // a match with many candidates has millions
  }
  return llvm::Error::success();
}

FailureOr<ValidationResult> Validation::run() {
  // With graphs, building them looks at names.
  if ((!followsGraphs() && failed(spec.checkLabels())) ||
      failed(chooseMatches()) || failed(chooseMethods()) ||
      failed(readGraphs()) || failed(match()) ||
      failed(chooseTargets()) || failed(prepareModel()) || failed(readText()))
    return failure();
  result.sites = plan.sites;
  result.targets = plan.targets;
  for (auto [named, label] : flow::labelsOf(spec.module())) {
    auto feature = cast<flow::FeatureAttr>(named);
    size_t site = siteOf({feature.getCollection().getValue().str(),
                          feature.getKind(), feature.getLayer()});
    if (site < plan.sites.size())
      result.labels[{static_cast<uint32_t>(site),
                     static_cast<int32_t>(feature.getIndex())}] = label.str();
  }
  result.losses = options.losses;
  result.lossTokens = options.losses ? options.lossTokens : 0;
  auto told = [&](llvm::Error problem) -> LogicalResult {
    LogicalResult outcome = failure();
    llvm::handleAllErrors(
        std::move(problem), [](const ReportedError &) {},
        [&](const llvm::ErrorInfoBase &other) {
          outcome = error() << other.message();
        });
    return outcome;
  };
  auto key = jobKey();
  if (!key)
    return told(key.takeError());
  auto cache = recorder->opened()->cache();
  if (!cache)
    return told(cache.takeError());
  auto log = ValidationLog::open(cache->activationFolder(), *key, result);
  if (!log)
    return told(log.takeError());
  result.windowsResumed = (*log)->nextWindow();
  if (!(*log)->isFinished())
    if (llvm::Error problem = stream(**log))
      return told(std::move(problem));
  result.windowsRead = (*log)->nextWindow();
  progress("");
  collectEdges();
  if (llvm::Error problem = recordEffects())
    return told(std::move(problem));
  if (result.occurrences.empty())
    return error() << "'" << options.text << "': none of the " << plan.targets.size()
                   << " targets fires at a token that counts; take a longer text "
                      "or more features (--sample)";
  return std::move(result);
}

FailureOr<ValidationResult> weir::validate(Compiler &compiler,
                                           const ValidationOptions &options) {
  return Validation(compiler, options).run();
}
