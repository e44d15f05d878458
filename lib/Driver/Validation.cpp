//===- Validation.cpp - Are matched features causes of each other? ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Validation.h"

#include "ValidationCases.h"
#include "ValidationLog.h"

#include "weir/Cache/EffectScores.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <set>
#include <unistd.h>

using namespace mlir;
using namespace weir;

static constexpr std::array<StringLiteral, numValidationMethods> methodNames = {
    "top1", "random_of_5", "permutation", "top5", "exhaustive", "joint"};

StringRef weir::nameOf(ValidationMethod method) {
  return methodNames[static_cast<size_t>(method)];
}

std::optional<ValidationMethod> weir::parseValidationMethod(StringRef name) {
  for (auto [number, each] : llvm::enumerate(methodNames))
    if (each == name)
      return static_cast<ValidationMethod>(number);
  return std::nullopt;
}

namespace {

class Validation {
public:
  Validation(Compiler &compiler, const ValidationOptions &options)
      : spec(compiler), options(options),
        context(*compiler.module().getContext()) {}

  FailureOr<ValidationResult> run();

private:
  LogicalResult chooseMatches();
  LogicalResult chooseMethods();
  LogicalResult match();
  LogicalResult chooseTargets();
  LogicalResult prepareModel();
  LogicalResult planSlices(ArrayRef<size_t> order);
  LogicalResult readText();
  llvm::Expected<std::string> jobKey();
  llvm::Error openProgram();
  llvm::Error stream(ValidationLog &log);
  void collectEdges();
  llvm::Error recordEffects();
  std::string effectSettings() const;
  size_t siteOf(flow::SiteAttr site) const;

  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }
  LogicalResult report(llvm::Error problem) {
    return error() << llvm::toString(std::move(problem));
  }
  void progress(const Twine &text) const {
    if (options.progress)
      options.progress(text.str());
  }
  bool wants(ValidationMethod method) const {
    return llvm::is_contained(result.methods, method);
  }

  Compiler &spec;
  const ValidationOptions &options;
  MLIRContext &context;
  flow::MatchingOp topK, permutation;
  std::optional<Compiler> matcher, recorder;
  TorchRuntime *runtime = nullptr;
  std::unique_ptr<RecordedCases> cases;
  ValidationPlan plan;
  ValidationResult result;
  std::string model, text; ///< hashes
  std::map<size_t, std::string> contents; ///< of dictionaries, by site
  std::vector<std::string> matchKeys;
};

} // namespace

//===----------------------------------------------------------------------===//
// What the spec says
//===----------------------------------------------------------------------===//

static bool isTopK(flow::MatchingOp matching) {
  return isa<flow::TopKAttr>(matching.getMethod());
}

LogicalResult Validation::chooseMatches() {
  ModuleOp module = spec.module();
  SmallVector<flow::MatchingOp> given;
  for (const std::string &name : options.matches) {
    auto all = module.getOps<flow::MatchingOp>();
    auto found = llvm::find_if(all, [&](flow::MatchingOp matching) {
      return specName(matching.getSymName()) == name;
    });
    if (found == all.end())
      return error() << "--match: the spec has no match '" << name << "'";
    given.push_back(*found);
  }
  for (auto matching : module.getOps<flow::MatchingOp>()) {
    if (!options.matches.empty() && !llvm::is_contained(given, matching))
      continue;
    flow::MatchingOp &place = isTopK(matching) ? topK : permutation;
    if (place)
      return matching.emitError()
             << "'" << specName(place.getSymName()) << "' and '"
             << specName(matching.getSymName()) << "' are both matches by "
             << (isTopK(matching) ? "top_k" : "permutation")
             << "; say which one is meant with --match";
    place = matching;
  }
  if (!topK && !permutation)
    return error() << "the spec has no match to validate; give it a section "
                      "'matches'";
  if (topK && permutation && topK.getCollection() != permutation.getCollection())
    return permutation.emitError()
           << "the matches are of different dictionaries; choose some with "
              "--match";
  return success();
}

LogicalResult Validation::chooseMethods() {
  result.methods = options.methods;
  if (result.methods.empty()) {
    if (topK)
      result.methods = {ValidationMethod::Top1, ValidationMethod::RandomOf5,
                        ValidationMethod::Top5, ValidationMethod::Joint};
    if (permutation)
      result.methods.push_back(ValidationMethod::Permutation);
  }
  llvm::sort(result.methods);
  result.methods.erase(llvm::unique(result.methods), result.methods.end());
  for (ValidationMethod method : result.methods)
    if (!(method == ValidationMethod::Permutation ? permutation : topK))
      return error() << "the method '" << nameOf(method) << "' needs a match by "
                     << (method == ValidationMethod::Permutation ? "permutation"
                                                                 : "top_k")
                     << ", and there is none";
  if (!wants(ValidationMethod::Permutation))
    permutation = {};
  // The groups are those of the most similar features, whatever the method.
  plan.removed = wants(ValidationMethod::Top5) ? 5 : 1;
  return success();
}

/// Where sites of a layer stand in most models. What a model has is asked later.
static int usualPlace(fx::SiteKind kind) {
  switch (kind) {
  case fx::SiteKind::Emb:
    return -1;
  case fx::SiteKind::Head:
    return 0;
  case fx::SiteKind::Att:
    return 1;
  case fx::SiteKind::Mid:
    return 2;
  case fx::SiteKind::MlpIn:
    return 3;
  case fx::SiteKind::Neuron:
    return 4;
  case fx::SiteKind::Mlp:
    return 5;
  case fx::SiteKind::Res:
    return 6;
  }
  llvm_unreachable("unknown site");
}

size_t Validation::siteOf(flow::SiteAttr site) const {
  auto found = llvm::find_if(plan.sites, [&](const ActivationSite &each) {
    return each.kind == site.getKind() && each.layer == site.getLayer();
  });
  return found - plan.sites.begin();
}

/// Computes the matches, with as many of the best as the methods need.
LogicalResult Validation::match() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(spec.module().getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (Operation &op : spec.module().getOps()) {
    auto matching = dyn_cast<flow::MatchingOp>(op);
    if (!isa<flow::CollectionOp, steer::ModelOp>(op) &&
        (!matching || (matching != topK && matching != permutation)))
      continue;
    Operation *copy = builder.clone(op);
    if (!matching || !isTopK(matching))
      continue;
    auto method = cast<flow::TopKAttr>(matching.getMethod());
    bool needsFive = wants(ValidationMethod::Top5) ||
                     wants(ValidationMethod::RandomOf5);
    cast<flow::MatchingOp>(copy).setMethodAttr(flow::TopKAttr::get(
        &context, std::max<int64_t>(method.getK(), needsFive ? 5 : 1),
        method.getSimilarity()));
  }
  matcher.emplace(context, spec.settings(), spec.opened());
  if (failed(matcher->load(std::move(module), /*withModel=*/false)))
    return failure();
  if (matcher->matchingNeedsModel() && failed(matcher->loadModel()))
    return failure();
  struct Found {
    flow::SiteAttr source, target;
    bool isTopK;
    matching::Match match;
  };
  std::vector<Found> found;
  auto keep = [&](flow::PairOpInterface pair,
                  const matching::Matcher::Outcome &outcome) {
    auto siteOf = [&](FlatSymbolRefAttr name) {
      return matcher->module()
          .lookupSymbol<flow::DictionaryOp>(name.getAttr())
          .getSite();
    };
    found.push_back({siteOf(pair.getSourceRef()), siteOf(pair.getTargetRef()),
                     pair.getNumBest().has_value(), outcome.match});
    matchKeys.push_back(outcome.key);
  };
  if (failed(matcher->matchPairs(keep)))
    return failure();

  std::string collection = (topK ? topK : permutation).getCollection().str();
  for (const Found &each : found)
    for (flow::SiteAttr site : {each.source, each.target}) {
      ActivationSite place{collection, site.getKind(), site.getLayer()};
      if (!llvm::is_contained(plan.sites, place))
        plan.sites.push_back(place);
    }
  llvm::sort(plan.sites, [](const ActivationSite &a, const ActivationSite &b) {
    return std::pair(a.layer, usualPlace(a.kind)) <
           std::pair(b.layer, usualPlace(b.kind));
  });
  for (Found &each : found) {
    ValidationLink link;
    matching::Match &match = each.match;
    if (each.isTopK) {
      link.target = siteOf(each.source);
      link.predecessor = siteOf(each.target);
      link.k = match.k;
      link.indices = std::move(match.indices);
      link.values = std::move(match.values);
    } else {
      // From each feature to one behind it: the other way round.
      link.isPermutation = true;
      link.target = siteOf(each.target);
      link.predecessor = siteOf(each.source);
      link.indices.assign(match.columns, -1);
      link.values.assign(match.columns, 0);
      for (int64_t i = 0; i < match.rows; ++i)
        if (int64_t j = match.indices[i]; j >= 0) {
          link.indices[j] = i;
          link.values[j] = match.values[i];
        }
    }
    plan.links.push_back(std::move(link));
  }
  return success();
}

/// Features of each site that has predecessors, `sample` of them at most.
LogicalResult Validation::chooseTargets() {
  if (!options.sample)
    return error() << "which features are to be validated? Give --sample N for N "
                      "features of each layer";
  std::map<size_t, int64_t> sizes; // by site
  for (const ValidationLink &link : plan.links)
    sizes[link.target] =
        static_cast<int64_t>(link.indices.size()) / link.k;
  for (auto [site, size] : sizes) {
    // The first of a shuffled list, however many are asked for.
    std::vector<int32_t> all(size);
    std::iota(all.begin(), all.end(), 0);
    const ActivationSite &place = plan.sites[site];
    uint64_t state = options.seed + 0x632be59bd9b4e019 *
                                        (uint64_t(place.layer) * 16 +
                                         uint64_t(place.kind) + 1);
    auto next = [&] {
      state += 0x9e3779b97f4a7c15;
      uint64_t mixed = state;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      return mixed ^ (mixed >> 31);
    };
    int64_t count = std::min<int64_t>(*options.sample, size);
    for (int64_t i = 0; i < count; ++i) {
      std::swap(all[i], all[i + static_cast<int64_t>(next() % uint64_t(size - i))]);
      plan.targets.push_back({static_cast<uint32_t>(site), all[i]});
    }
  }
  return success();
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
  plan.sites = std::move(sorted);

  std::map<size_t, std::set<size_t>> modules; // by target
  std::set<std::pair<size_t, size_t>> pairs;
  for (const ValidationLink &link : plan.links) {
    pairs.insert({link.target, link.predecessor});
    if (!link.isPermutation)
      modules[link.target].insert(link.predecessor);
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
  recorder.emplace(context, spec.settings(), matcher->opened());
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
  SmallString<128> folder;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("weir-validate", folder))
    return llvm::createStringError(code, "cannot make a temporary folder: " +
                                             code.message());
  ScratchFolder scratch(folder);
  std::string path = (folder + "/program.pt2").str();
  llvm::scope_exit remove([&] {
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
  });
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
  std::string siteMap;
  for (auto op : recorder->module().getOps<steer::ModelOp>())
    if (op.getSites())
      llvm::raw_string_ostream(siteMap) << *op.getSites();
  return sha256(StringRef(printJSON(llvm::json::Object{
      {"what", "weir validation 1"},
      {"torch", runtime->torchVersion()},
      {"model", model},
      {"graph", *graph},
      {"sitePaths", siteMap},
      {"sites", std::move(sites)},
      {"targets", std::move(targets)},
      {"methods", std::move(methods)},
      {"matches", std::move(matches)},
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
    for (const auto &[occurrence, change] : found)
      entry.effect += change;
    entry.cases = static_cast<int64_t>(found.size());
    entry.effect /= static_cast<double>(found.size());
    result.edges.push_back(entry);
  }
}

/// What effects depend on beyond their key; empty for what is done by default.
std::string Validation::effectSettings() const {
  std::string settings;
  llvm::raw_string_ostream os(settings);
  ValidationOptions usual;
  if (options.occurrences != usual.occurrences)
    os << " occurrences=" << options.occurrences;
  if (options.seed != usual.seed)
    os << " seed=" << options.seed;
  if (options.windows.context)
    os << " context=" << *options.windows.context;
  if (options.windows.beginWithBos)
    os << " bos";
  if (options.windows.skipFirst != usual.windows.skipFirst)
    os << " skip_first=" << options.windows.skipFirst;
  if (options.windows.maxTokens)
    os << " max_tokens=" << *options.windows.maxTokens;
  return StringRef(settings).ltrim().str();
}

llvm::Error Validation::recordEffects() {
  auto cache = recorder->opened()->cache();
  if (!cache)
    return cache.takeError();
  std::map<std::pair<size_t, size_t>, std::vector<EffectScore>> scores;
  for (const ValidationEdge &edge : result.edges) {
    const ValidationFeature &target = result.targets[edge.target];
    scores[{target.site, edge.predecessor.site}].push_back(
        {target.index, edge.predecessor.index, edge.effect, edge.cases});
  }
  for (const auto &[sites, found] : scores) {
    auto side = [&](size_t site) {
      return EffectKey::Side{
          fx::siteName(plan.sites[site].kind, plan.sites[site].layer),
          contents.at(site)};
    };
    EffectKey key{side(sites.first), side(sites.second), model, text,
                  effectSettings()};
    if (llvm::Error problem = weir::recordEffects(
            *cache, key, found,
            key.predecessor.place + " -> " + key.target.place +
                " effects text=" + options.text))
      return problem;
  }
  return llvm::Error::success();
}

FailureOr<ValidationResult> Validation::run() {
  if (failed(chooseMatches()) || failed(chooseMethods()) || failed(match()) ||
      failed(chooseTargets()) || failed(prepareModel()) || failed(readText()))
    return failure();
  result.sites = plan.sites;
  result.targets = plan.targets;
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
  if (result.occurrences.empty())
    return error() << "'" << options.text << "': none of the " << plan.targets.size()
                   << " targets fires at a token that counts; take a longer text "
                      "or more features (--sample)";
  collectEdges();
  if (llvm::Error problem = recordEffects())
    return told(std::move(problem));
  return std::move(result);
}

FailureOr<ValidationResult> weir::validate(Compiler &compiler,
                                           const ValidationOptions &options) {
  return Validation(compiler, options).run();
}
