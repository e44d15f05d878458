//===- CheckGraphs.cpp - What can be told of graphs from a spec alone ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"

#include "weir/Spec/Keywords.h"
#include "weir/Spec/Spec.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

/// A product of similarities says something only where 1 is the largest.
static bool multiplies(const Match &match) {
  Similarity similarity = Lookup::similarityOf(match);
  return similarity == Similarity::Cosine || similarity == Similarity::Pearson;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

void Checker::checkGraph(const Graph &graph) {
  if (!graph.kind)
    return;
  const Match *match = nullptr;
  if (graph.match)
    match = refer(lookup.matches, *graph.match, "match", "matches");
  if (graph.kind == Graph::Kind::Walk)
    checkSelection(graph.from);
  for (const auto &end : {graph.first, graph.last})
    if (end)
      checkSite(end->site);

  llvm::StringMap<SourceRange> seen;
  for (const Name &name : graph.of) {
    if (!refer(lookup.graphs, name, "graph", "graphs"))
      continue;
    auto [first, isNew] = seen.try_emplace(name.value, name.range);
    if (!isNew)
      reporter
          .error(name.range, "the graph " + inQuotes(name.value) +
                                 " is named twice")
          .note(first->second, "the first time");
  }

  const DictionarySet *set = match ? lookup.dictionaryOf(*match) : nullptr;
  if (!match || !match->isRead || !set || !set->isComplete())
    return;
  if (graph.kind == Graph::Kind::Walk)
    checkWalk(graph, *match, *set);
  else
    checkPath(graph, *match, *set);
}

bool Checker::reaches(const Match &match, const DictionarySet &set,
                      const SiteRef &site, SourceRange where) {
  const LayerRange &layers = lookup.layersOf(match, set);
  bool hasSite = llvm::any_of(lookup.sitesOf(match, set), [&](auto &each) {
    return each.value == site.site.value;
  });
  if (hasSite && layers.contains(site.layer.value))
    return true;
  std::string what;
  if (!hasSite) {
    for (const auto &each : lookup.sitesOf(match, set))
      what += (what.empty() ? "" : ", ") + nameOf(each.value).str();
    what = "the sites " + what;
  } else {
    what = "layers " + std::to_string(layers.first) + " to " +
           std::to_string(layers.last);
  }
  reporter
      .error(where, "the match " + inQuotes(match.name.value) +
                        " does not reach " + Twine(site.layer.value) + "/" +
                        nameOf(site.site.value) + ": it compares " + what)
      .note(match.name.range, "the match");
  return false;
}

void Checker::checkWalk(const Graph &graph, const Match &match,
                        const DictionarySet &set) {
  const LayerRange &matched = lookup.layersOf(match, set);
  if (graph.layers && (!matched.contains(graph.layers->first) ||
                       !matched.contains(graph.layers->last)))
    reporter
        .error(graph.layers->range,
               "the match " + inQuotes(match.name.value) + " compares layers " +
                   Twine(matched.first) + " to " + Twine(matched.last) + " only")
        .note(match.name.range, "the match");
  for (const Lookup::Expanded &expanded : lookup.expand(graph.from)) {
    const Selector &selector = *expanded.selector;
    bool isFeature = selector.kind == Selector::Kind::Feature ||
                     selector.kind == Selector::Kind::Antagonists;
    if (!isFeature && selector.kind != Selector::Kind::WholeSite)
      continue;
    const SiteRef &site = isFeature ? selector.feature.site : selector.site;
    const DictionarySet *named = lookup.dictionaryOf(site);
    if (!named)
      continue;
    if (named != &set) {
      reporter
          .error(expanded.where, "the match '" + match.name.value +
                                     "' is about the dictionary '" +
                                     set.name.value + "', the feature is of '" +
                                     named->name.value + "'")
          .note(match.name.range, "the match");
      continue;
    }
    if (!reaches(match, set, site, expanded.where))
      continue;
    if (graph.layers && !graph.layers->contains(site.layer.value))
      reporter
          .error(graph.layers->range,
                 "the graph's layers do not contain the feature it starts from")
          .note(expanded.where, "the feature");
    if (reporter.isFull())
      return;
  }
  int64_t most = match.method.value == MatchMethod::TopK ? match.k : 1;
  if (graph.width && graph.width->value > most)
    reporter
        .error(graph.width->range, "'width' is at most the number of features "
                                   "that each one is matched with, which is " +
                                       Twine(most))
        .note(match.name.range, "the match");
  checkKeep(graph, match, set);
}

void Checker::checkKeep(const Graph &graph, const Match &match,
                        const DictionarySet &set) {
  Similarity similarity = Lookup::similarityOf(match);
  for (const Graph::Threshold &threshold : graph.keep) {
    if (threshold.site &&
        llvm::none_of(lookup.sitesOf(match, set), [&](auto &site) {
          return site.value == threshold.site->value;
        }))
      reporter
          .error(threshold.site->range, "the match " +
                                            inQuotes(match.name.value) +
                                            " has no site '" +
                                            nameOf(threshold.site->value) + "'")
          .note(match.name.range, "the match");
    if (threshold.similarity && multiplies(match) &&
        (threshold.similarity->value < -1 || threshold.similarity->value > 1))
      reporter.error(threshold.similarity->range,
                     "a similarity must be -1 to 1");
    if (threshold.null && similarity != Similarity::Cosine)
      reporter
          .error(threshold.null->range,
                 "what random directions reach is told in cosines, and the match " +
                     inQuotes(match.name.value) + " has no 'similarity: cosine'")
          .note(match.name.range, "the match");
    if (threshold.effect && !graph.text)
      reporter.error(threshold.effect->range,
                     "effects are measured on a text: the graph must have the "
                     "key 'text'");
  }
}

void Checker::checkPath(const Graph &graph, const Match &match,
                        const DictionarySet &set) {
  if (!multiplies(match))
    reporter
        .error(graph.match->range,
               "a path multiplies similarities, which says something of 'cosine' "
               "and 'pearson' only")
        .note(match.name.range, "the match");
  if (!graph.first || !graph.last)
    return;
  for (const auto *end : {&*graph.first, &*graph.last}) {
    const DictionarySet *named = lookup.dictionaryOf(end->site);
    if (!named)
      return;
    if (named != &set) {
      reporter
          .error(end->range, "the match '" + match.name.value +
                                 "' is about the dictionary '" + set.name.value +
                                 "', the feature is of '" + named->name.value +
                                 "'")
          .note(match.name.range, "the match");
      return;
    }
    if (!reaches(match, set, end->site, end->range))
      return;
  }
  auto when = [](const FeatureRef &feature) {
    return std::pair(feature.site.layer.value, feature.site.site.value);
  };
  if (when(*graph.first) == when(*graph.last))
    reporter.error(graph.pathRange, "no path joins two features of one site");
}

//===----------------------------------------------------------------------===//
// Graphs of graphs
//===----------------------------------------------------------------------===//

std::optional<int64_t> Checker::depthOf(const Graph &graph, const Graph &root,
                                        int64_t at) {
  if (auto known = depths.find(&graph); known != depths.end()) {
    // On the way to itself.
    if (known->second == 0) {
      reporter.error(graph.name.range, "the graph " +
                                           inQuotes(graph.name.value) +
                                           " is made of itself");
      return std::nullopt;
    }
    return known->second;
  }
  auto tooDeep = [&]() -> std::optional<int64_t> {
    reporter.error(root.name.range, "the graph " + inQuotes(root.name.value) +
                                        " is made of graphs of graphs, more "
                                        "than " +
                                        Twine(maxGraphDepth) + " deep");
    return std::nullopt;
  };
  if (at > maxGraphDepth)
    return tooDeep();
  depths[&graph] = 0;
  int64_t deepest = 0;
  auto inside = depthOf(graph.from, root, at);
  if (!inside)
    return std::nullopt;
  deepest = *inside;
  for (const Name &name : graph.of)
    if (const Graph *part = lookup.graphs.find(name.value)) {
      auto depth = depthOf(*part, root, at + 1);
      if (!depth)
        return std::nullopt;
      deepest = std::max(deepest, *depth);
    }
  if (deepest + 1 > maxGraphDepth)
    return tooDeep();
  return depths[&graph] = deepest + 1;
}

std::optional<int64_t> Checker::depthOf(const Selection &selection,
                                        const Graph &root, int64_t at) {
  int64_t deepest = 0;
  for (const Selector &selector : selection.selectors) {
    std::optional<int64_t> depth = 0;
    if (selector.kind == Selector::Kind::Graph ||
        selector.kind == Selector::Kind::Opposed) {
      if (const Graph *graph = lookup.graphs.find(selector.name.value))
        depth = depthOf(*graph, root, at + 1);
    } else if (selector.kind == Selector::Kind::Named) {
      // Lists name no lists.
      if (const FeatureList *list = lookup.features.find(selector.name.value))
        depth = depthOf(list->selection, root, at);
    }
    if (!depth)
      return std::nullopt;
    deepest = std::max(deepest, *depth);
  }
  return deepest;
}

//===----------------------------------------------------------------------===//
// Weights and labels
//===----------------------------------------------------------------------===//

/// Weights are those of graphs, which know what is multiplied.
void Checker::checkWeight(const Policy &policy) {
  if (!policy.strength || !policy.strength->weight ||
      policy.strength->weight->value == StrengthWeight::None)
    return;
  const Marked<StrengthWeight> &weight = *policy.strength->weight;
  std::vector<const Graph *> todo;
  for (const Lookup::Expanded &expanded : lookup.expand(policy.on))
    if (expanded.selector->kind == Selector::Kind::Graph)
      if (const Graph *graph = lookup.graphs.find(expanded.selector->name.value))
        todo.push_back(graph);
  if (todo.empty()) {
    reporter.error(weight.range, "a weight is that of a node of a graph, and 'on' "
                                 "names none");
    return;
  }
  llvm::DenseSet<const Graph *> seen;
  while (!todo.empty()) {
    const Graph *graph = todo.back();
    todo.pop_back();
    if (!seen.insert(graph).second)
      continue;
    for (const Name &name : graph->of)
      if (const Graph *part = lookup.graphs.find(name.value))
        todo.push_back(part);
    const Match *match =
        graph->match ? lookup.matches.find(graph->match->value) : nullptr;
    if (!match)
      continue;
    if (weight.value == StrengthWeight::Similarity && !multiplies(*match)) {
      reporter
          .error(weight.range,
                 "a product of similarities says something of 'cosine' and "
                 "'pearson' only, and the graph " +
                     inQuotes(graph->name.value) + " has others")
          .note(match->name.range, "its match");
      return;
    }
    if (weight.value == StrengthWeight::Effect && !graph->text) {
      reporter
          .error(weight.range, "effects are measured on a text: the graph " +
                                   inQuotes(graph->name.value) +
                                   " must have the key 'text'")
          .note(graph->name.range, "the graph");
      return;
    }
  }
}

void Checker::checkLabels() {
  llvm::DenseMap<uint64_t, const Label *> seen;
  for (const Label &label : spec.labels) {
    const DictionarySet *set = checkSite(label.feature.site);
    if (reporter.isFull())
      return;
    if (!set)
      continue;
    auto [first, isNew] = seen.try_emplace(
        siteKey(*set, label.feature.site) | uint64_t(label.feature.index.value),
        &label);
    if (!isNew)
      reporter
          .error(label.feature.range, "this feature has two names")
          .note(first->second->feature.range, "the first one");
  }
}
