//===- Graphs.cpp - Graphs of a spec, their parts, and labels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

void SpecParser::graph(const YamlEntry &entry) {
  Graph &graph = spec.graphs.emplace_back();
  graph.name = entry.key;
  MapReader map(reporter, entry.value, graphKeys());
  if (!map)
    return;
  static constexpr Graph::Kind kinds[] = {
      Graph::Kind::Walk, Graph::Kind::Union, Graph::Kind::Intersection,
      Graph::Kind::Difference, Graph::Kind::Path};
  const YamlEntry *head = nullptr;
  for (const YamlEntry &each : entry.value.entries) {
    auto kind = llvm::find_if(
        kinds, [&](Graph::Kind kind) { return nameOf(kind) == each.key.value; });
    if (kind == std::end(kinds))
      continue;
    if (head) {
      reporter
          .error(each.key.range, "a graph has one of the keys 'from', 'union', "
                                 "'intersection', 'difference' and 'path'")
          .note(head->key.range, "the first one");
      graph.kind.reset();
      return;
    }
    head = &each;
    graph.kind = *kind;
  }
  if (!head) {
    if (llvm::none_of(kinds, [&](Graph::Kind kind) {
          return map.isMisspelt(nameOf(kind));
        }))
      reporter.error(entry.key.range,
                     "a graph must have one of the keys 'from', 'union', "
                     "'intersection', 'difference' and 'path'");
    return;
  }

  bool isWalk = graph.kind == Graph::Kind::Walk;
  bool isPath = graph.kind == Graph::Kind::Path;
  for (const YamlEntry &each : entry.value.entries) {
    StringRef key = each.key.value;
    if (&each == head || !llvm::is_contained(graphKeys().keys, key) || isWalk ||
        (isPath && (key == "match" || key == "text")))
      continue;
    reporter.error(each.key.range, "'" + key + "' does not belong to a graph "
                                               "with '" +
                                       nameOf(*graph.kind) + "'");
  }
  if (isWalk || isPath) {
    if (const YamlNode *node = map.require("match", entry.key.range))
      graph.match = values.reference(*node, "'match'");
    if (const YamlNode *node = map.get("text"))
      if ((graph.text = values.text(*node, "'text'")))
        path(*graph.text);
  }
  if (isWalk) {
    walk(map, graph);
    return;
  }
  if (isPath) {
    graphPath(head->value, graph);
    return;
  }
  const YamlNode &list = head->value;
  if (!list.isSequence() || list.items.size() < 2) {
    if (!list.isInvalid())
      reporter.error(list.range,
                     "'" + head->key.value +
                         "' must be a list of two graphs or more" +
                         (list.isSequence()
                              ? std::string()
                              : (", found " + list.describe()).str()));
    return;
  }
  for (const YamlNode &item : list.items)
    if (auto name = values.reference(item, "a graph"))
      graph.of.push_back(*name);
}

void SpecParser::walk(const MapReader &map, Graph &graph) {
  graph.from = selection(*map.get("from"), "'from'", Place::Policy);
  if (const YamlNode *node = map.get("layers"))
    graph.layers = values.layers(*node, "'layers'");
  if (const YamlNode *node = map.get("direction"))
    if (auto direction =
            values.choice<Direction>(*node, "direction", directionNames()))
      graph.direction = direction->value;
  if (const YamlNode *node = map.get("width"))
    graph.width = values.integer(*node, "'width'", 1, maxMatches);
  if (const YamlEntry *entry = map.entry("keep"))
    keep(*entry, graph);
}

/// For all sites: a number, or a mapping of thresholds. For some: a mapping of sites
/// to these.
void SpecParser::keep(const YamlEntry &entry, Graph &graph) {
  const YamlNode &node = entry.value;
  graph.keepRange = node.range;
  if (!node.isMap()) {
    threshold(node, std::nullopt, graph);
    return;
  }
  MapReader map(reporter, node, keepKeys());
  if (node.entries.empty())
    reporter.error(node.range, "'keep' asks for nothing; leave it out to keep "
                               "every edge");
  bool forAll = false;
  for (const YamlEntry &each : node.entries) {
    auto kind = llvm::find(siteNames(), each.key.value);
    if (kind != siteNames().end())
      threshold(each.value,
                Marked<SiteKind>{
                    static_cast<SiteKind>(kind - siteNames().begin()),
                    each.key.range},
                graph);
    else
      forAll |= llvm::is_contained(thresholdKeys().keys, each.key.value);
  }
  if (forAll)
    threshold(node, std::nullopt, graph);
}

void SpecParser::threshold(const YamlNode &node,
                           const std::optional<Marked<SiteKind>> &site,
                           Graph &graph) {
  Graph::Threshold result;
  result.site = site;
  if (!node.isMap()) {
    result.similarity = values.number(node, "a similarity");
  } else {
    // The keys of a mapping for all sites have been looked at.
    std::optional<MapReader> map;
    if (site) {
      map.emplace(reporter, node, thresholdKeys());
      if (node.entries.empty())
        reporter.error(node.range, "a threshold has the keys 'similarity', "
                                   "'null' and 'effect', or some of them");
    }
    auto read = [&](StringRef key, std::optional<Number> &into) {
      for (const YamlEntry &entry : node.entries)
        if (entry.key.value == key)
          into = values.number(entry.value, "'" + key + "'");
    };
    read("similarity", result.similarity);
    read("null", result.null);
    read("effect", result.effect);
  }
  if (result.null && (result.null->value < 0 ||
                      result.null->value > maxNullQuantile)) {
    reporter.error(result.null->range,
                   "a quantile of what random directions reach must be 0 to "
                   "0.999");
    result.null.reset();
  }
  if (result.effect && result.effect->value > 1) {
    reporter.error(result.effect->range,
                   "an effect is at most 1, where the feature goes out");
    result.effect.reset();
  }
  if (result.similarity || result.null || result.effect)
    graph.keep.push_back(std::move(result));
}

void SpecParser::graphPath(const YamlNode &node, Graph &graph) {
  graph.pathRange = node.range;
  if (!node.isSequence() || node.items.size() != 2) {
    if (!node.isInvalid())
      reporter.error(node.range,
                     "'path' must be a list of two features, such as "
                     "[9/res/138, 14/res/522]");
    return;
  }
  graph.first = values.feature(node.items[0]);
  graph.last = values.feature(node.items[1]);
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

std::shared_ptr<const GraphPart> SpecParser::graphPart(const MapReader &map) {
  GraphPart part;
  bool any = false;
  if (const YamlNode *node = map.get("sites")) {
    part.sites = values.choices<SiteKind>(*node, "site", siteNames());
    any = true;
  }
  if (const YamlNode *node = map.get("layers")) {
    part.layers = values.layers(*node, "'layers'");
    any = true;
  }
  if (const YamlNode *node = map.get("steps")) {
    part.steps = values.integer(*node, "'steps'", 0, maxIndex);
    any = true;
  }
  const YamlEntry *first = nullptr;
  for (auto [key, ends] : {std::pair("roots", GraphPart::Ends::Roots),
                           std::pair("leaves", GraphPart::Ends::Leaves)}) {
    const YamlEntry *entry = map.entry(key);
    if (!entry)
      continue;
    auto wanted = values.boolean(entry->value, "'" + Twine(key) + "'");
    if (wanted && !*wanted)
      reporter.error(entry->value.range,
                     "'" + Twine(key) + ": false' would select every node, " +
                         key + " included; leave it out for all of them");
    if (!wanted.value_or(false))
      continue;
    if (first)
      reporter
          .error(entry->key.range, "'leaves' cannot stand beside 'roots'; write "
                                   "a list to select both")
          .note(first->key.range, "'roots' is given here");
    first = entry;
    part.ends = ends;
    any = true;
  }
  return any ? std::make_shared<const GraphPart>(std::move(part)) : nullptr;
}

std::optional<Condition> SpecParser::watch(const MapReader &map,
                                           const YamlNode &node) {
  Condition condition;
  condition.kind = Condition::Kind::Watch;
  condition.range = node.range;
  const YamlEntry *graph = map.entry("graph");
  auto name = values.reference(graph->value, "'graph'");
  condition.part = graphPart(map);
  if (const YamlNode *nodes = map.get("nodes"))
    if (auto word = values.word(*nodes, "value of 'nodes'", nodesNames()))
      condition.everyNode = nodesNames()[word->value] == "all";
  if (!name)
    return std::nullopt;
  condition.graph = *name;
  return condition;
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

void SpecParser::labels(const MapReader &map) {
  entries(map, "labels", "features to names", [&](const YamlEntry &entry) {
    YamlNode key;
    key.kind = YamlNode::Kind::Scalar;
    key.text = entry.key.value;
    key.range = entry.key.range;
    auto feature = values.feature(key);
    auto name = values.text(entry.value, "the name of a feature");
    if (feature && name)
      spec.labels.push_back({*feature, *name});
  });
}
