//===- GraphLinks.cpp - What a walk follows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphLinks.h"

#include "weir/Dialect/Flow/Transforms/Matches.h"
#include "weir/Matching/RandomDirections.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Support/Files.h"
#include "weir/Support/Locations.h"
#include "weir/Support/Shell.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

using matching::GraphLink;
using matching::MatchView;

LinkReader::Side LinkReader::sideOf(FlatSymbolRefAttr name) {
  auto dictionary = module.lookupSymbol<DictionaryOp>(name);
  SiteAttr site = dictionary.getSite();
  return {dictionary,
          {site.getLayer(), static_cast<int32_t>(site.getKind())}};
}

llvm::Expected<MatchView> LinkReader::matchOf(StringRef key) {
  if (auto known = matches.find(key); known != matches.end())
    return known->second;
  auto cache = resources.cache();
  if (!cache)
    return cache.takeError();
  auto entry = cache->find(key);
  if (!entry)
    return entry.takeError();
  if (!*entry)
    return llvm::createStringError("the result " + ResultAttr::prefix + key +
                                   " is not in the cache '" + cache->folder() +
                                   "'");
  auto view = MatchView::of(std::move(**entry));
  if (!view)
    return view.takeError();
  return matches[key] = std::move(*view);
}

llvm::Expected<double> LinkReader::nullQuantile(PairOpInterface pair,
                                                DictionaryOp earlier,
                                                double quantile, Location loc) {
  if (pair.getFoldKind() == Fold::MeanActivation)
    return llvm::createStringError(
        "what random directions reach is not known of a match that folds mean "
        "activations; use another fold");
  auto options = matchOptionsOf(pair);
  if (!options)
    return options.takeError();
  std::vector<double> &cosines =
      randomCosines[(earlier.getSymName() + " " + options->str()).str()];
  if (cosines.empty()) {
    auto dictionary = store.open(earlier.getSymName());
    if (!dictionary)
      return dictionary.takeError();
    auto rows = matching::FeatureRows::read(earlier.getSymName(), **dictionary,
                                            *options);
    if (!rows)
      return rows.takeError();
    auto cache = resources.cache();
    if (!cache)
      return cache.takeError();
    matching::Options engine;
    engine.threads = resources.options().threads;
    auto found = matching::bestOfRandomDirections(
        *rows, *cache, engine,
        [&](StringRef text) { emitWarning(loc) << text; });
    if (!found)
      return found.takeError();
    cosines = std::move(*found);
  }
  return matching::quantileOf(cosines, quantile);
}

llvm::Expected<std::string> LinkReader::contentOf(DictionaryOp dictionary) {
  std::string &hash = contents[dictionary.getSymName()];
  if (hash.empty()) {
    auto opened = store.open(dictionary.getSymName());
    if (!opened)
      return opened.takeError();
    auto found = (*opened)->contentHash();
    if (!found)
      return found.takeError();
    hash = *found;
  }
  return hash;
}

llvm::Expected<const EffectScores *> LinkReader::effectsOf(DictionaryOp earlier,
                                                           DictionaryOp later,
                                                           StringRef text,
                                                           Location loc) {
  if (model.empty()) {
    auto archive = resources.model();
    if (!archive)
      return archive.takeError();
    if (!*archive)
      return llvm::createStringError("effects are those of a model, and there is "
                                     "none: give `model: {program: …}`");
    model = weightsHash(**archive);
  }
  std::string &textHash = texts[text];
  if (textHash.empty()) {
    auto hash = sha256OfFile(resources.pathOf(text));
    if (!hash)
      return hash.takeError();
    textHash = *hash;
  }
  EffectKey key;
  for (auto [side, dictionary] : {std::pair(&key.target, later),
                                  std::pair(&key.predecessor, earlier)}) {
    auto content = contentOf(dictionary);
    if (!content)
      return content.takeError();
    *side = {flow::DictionaryOp(dictionary).getSite().str(), *content};
  }
  key.model = model;
  key.text = textHash;
  auto [known, isNew] = effects.try_emplace(key.str());
  if (isNew) {
    auto cache = resources.cache();
    if (!cache)
      return cache.takeError();
    auto scores = EffectScores::load(
        *cache, key, [&](StringRef what) { emitWarning(loc) << what; });
    if (!scores)
      return scores.takeError();
    known->second = std::move(*scores);
  }
  return &known->second;
}

static std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

/// What a graph says of edges from a kind of site, or null.
static KeepAttr keepOf(WalkOpInterface walk, fx::SiteKind kind) {
  auto graph = dyn_cast<GraphOp>(walk.getOperation());
  if (graph && graph.getKeep())
    for (auto keep : graph.getKeep()->getAsRange<KeepAttr>())
      if (keep.getKind() == kind)
        return keep;
  return {};
}

/// The file that an operation stands in, or nothing.
static StringRef fileOf(Location location) {
  StringRef file;
  location->walk([&](Location each) {
    auto place = dyn_cast<FileLineColLoc>(each);
    if (!place)
      return WalkResult::advance();
    file = place.getFilename();
    return WalkResult::interrupt();
  });
  return file;
}

std::string LinkReader::measuringCommand(WalkOpInterface walk, StringRef name) {
  StringRef spec = fileOf(walk->getLoc());
  std::string command =
      "weirc validate " + (spec.empty() ? "SPEC" : shellWord(spec)) +
      " --text " + shellWord(resources.pathOf(walk.getTextRef()));
  if (!name.empty())
    command += " --graph " + shellWord(name);
  command += " --method edges";
  const ResourceOptions &options = resources.options();
  if (!options.model.empty())
    command += " --model " + shellWord(options.model);
  if (!options.cache.empty())
    command += " --cache " + shellWord(options.cache);
  return command;
}

FailureOr<GraphLinks> LinkReader::read(WalkOpInterface walk) {
  auto matching = module.lookupSymbol<MatchingOp>(walk.getMatchingRef());
  bool leadsBackward = matching.getMethod().leadsBackward();
  struct Named {
    std::string name; ///< its places, and what it depends on
    GraphLink link;
  };
  std::vector<Named> all;
  for (Value map : walk.getMapValues()) {
    auto pair = map.getDefiningOp<PairOpInterface>();
    if (!pair)
      return walk->emitOpError("follows a map that is no match of two "
                               "dictionaries");
    ResultAttr result =
        cast<ComputedOpInterface>(pair.getOperation()).getComputed();
    if (!result)
      return walk->emitError()
             << "the match of " << pair.getSourceRef() << " and "
             << pair.getTargetRef() << " was not computed: run flow-match before";
    Side source = sideOf(pair.getSourceRef());
    Side target = sideOf(pair.getTargetRef());
    auto view = matchOf(result.getKey());
    if (!view)
      return walk->emitError() << llvm::toString(view.takeError());
    Named &named = all.emplace_back();
    GraphLink &link = named.link;
    link.source = source.place;
    link.target = target.place;
    link.match = *view;
    link.leadsBackward = leadsBackward;
    DictionaryOp earlier = leadsBackward ? target.dictionary : source.dictionary;
    DictionaryOp later = leadsBackward ? source.dictionary : target.dictionary;

    KeepAttr keep = keepOf(walk, earlier.getSite().getKind());
    Location where = locationOf(walk, "keep");
    if (keep && keep.getSimilarity())
      link.least = keep.getSimilarity().getValueAsDouble();
    if (keep && keep.getNull()) {
      auto least = nullQuantile(pair, earlier, keep.getNull().getValueAsDouble(),
                                where);
      if (!least)
        return emitError(where) << llvm::toString(least.takeError());
      link.least = std::max(link.least, *least);
    }
    if (keep && keep.getEffect() && !candidates)
      link.leastEffect = keep.getEffect().getValueAsDouble();
    if (StringAttr text = walk.getTextRef()) {
      Location at = locationOf(walk, "text");
      auto scores = effectsOf(earlier, later, text, at);
      if (!scores)
        return emitError(at) << llvm::toString(scores.takeError());
      link.effects = *scores;
    }
    named.name = source.dictionary.getSite().str() + " " +
                 target.dictionary.getSite().str() + " " +
                 result.getKey().str() + " " + exact(link.least) + " " +
                 (link.leastEffect ? exact(*link.leastEffect) : "none") + " " +
                 (link.effects ? link.effects->hash() : "none");
  }
  // The order of the maps says nothing.
  llvm::sort(all, [](const Named &a, const Named &b) { return a.name < b.name; });
  GraphLinks result;
  result.key = leadsBackward ? "backward" : "forward";
  for (Named &named : all) {
    result.key += "\n" + named.name;
    result.links.push_back(std::move(named.link));
  }
  return result;
}
