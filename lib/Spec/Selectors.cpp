//===- Selectors.cpp - Ways to name features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "llvm/ADT/StringMap.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

Selection SpecParser::selection(const YamlNode &node, const Twine &what,
                                Place place) {
  Selection result;
  result.range = node.range;
  switch (node.kind) {
  case YamlNode::Kind::Invalid:
    break;
  case YamlNode::Kind::Null:
    reporter.error(node.range, what + " must name features, found nothing");
    break;
  default:
    selectors(node, place, result);
  }
  return result;
}

void SpecParser::selectors(const YamlNode &node, Place place, Selection &into) {
  if (!node.isSequence()) {
    selector(node, place, into);
    return;
  }
  if (node.items.empty())
    reporter.error(node.range, "this list is empty: it must name at least one "
                               "feature");
  for (const YamlNode &item : node.items) {
    if (item.isSequence())
      reporter.error(item.range, "a list of features cannot hold lists");
    else
      selector(item, place, into);
  }
}

/// Whether a key says which nodes of a graph are meant.
static bool isOfGraphPart(StringRef key) {
  return key != "graph" && llvm::is_contained(graphPartKeys().keys, key);
}

void SpecParser::selector(const YamlNode &node, Place place, Selection &into) {
  if (node.isInvalid())
    return;
  Selector selector;
  selector.range = node.range;
  if (!node.isMap()) {
    if (auto feature = values.feature(node)) {
      selector.feature = *feature;
      into.selectors.push_back(std::move(selector));
    }
    return;
  }

  MapReader map(reporter, node, selectorKeys());
  // The keys that say what kind of selector this is come before `count`.
  const YamlEntry *head = nullptr;
  for (const YamlEntry &entry : node.entries) {
    StringRef key = entry.key.value;
    if (key == "count" || key == "match" || key == "dictionary" ||
        isOfGraphPart(key) || !llvm::is_contained(selectorKeys().keys, key))
      continue;
    if (head) {
      reporter
          .error(entry.key.range, "a selector has one of the keys "
                                  "'features', 'antagonists', 'site', "
                                  "'graph', 'predecessors', 'successors' "
                                  "and 'attribution'; write a list to name "
                                  "features in several ways")
          .note(head->key.range, "the first one");
      return;
    }
    head = &entry;
  }
  if (!head) {
    if (node.entries.empty() || map.get("count") || map.get("match") ||
        map.get("dictionary") ||
        llvm::any_of(node.entries, [](const YamlEntry &entry) {
          return isOfGraphPart(entry.key.value);
        }))
      reporter.error(node.range,
                     "a selector must have one of the keys 'features', "
                     "'antagonists', 'site', 'graph', 'predecessors', "
                     "'successors' and 'attribution'");
    return;
  }

  StringRef key = head->key.value;
  bool isLink = key == "predecessors" || key == "successors";
  if (const YamlEntry *count = map.entry("count")) {
    if (key != "antagonists" && !isLink)
      reporter.error(count->key.range,
                     "'count' does not belong to '" + key + "'");
    else if (auto number = values.integer(count->value, "'count'", 1, maxCount))
      selector.count = number->value;
  }
  if (const YamlEntry *match = map.entry("match")) {
    if (!isLink)
      reporter.error(match->key.range,
                     "'match' does not belong to '" + key + "'");
    else
      selector.match = values.reference(match->value, "'match'");
  } else if (isLink) {
    reporter.error(head->key.range,
                   "'" + key + "' must come with the key 'match'");
  }

  const YamlEntry *dictionary = map.entry("dictionary");
  if (dictionary && key != "attribution") {
    reporter.error(dictionary->key.range,
                   "'dictionary' does not belong to '" + key + "'");
    return;
  }

  if (key != "graph")
    for (const YamlEntry &entry : node.entries)
      if (isOfGraphPart(entry.key.value)) {
        reporter.error(entry.key.range, "'" + entry.key.value +
                                            "' does not belong to '" + key +
                                            "'; it is a key of 'graph'");
        return;
      }

  const YamlNode &value = head->value;
  if (key == "attribution") {
    attribution(node, value, dictionary ? &dictionary->value : nullptr, into);
    return;
  }
  if (key == "features") {
    if (place == Place::FeatureList) {
      reporter.error(head->key.range, "a list under 'features' cannot refer to "
                                      "another one");
      return;
    }
    if (value.isSequence()) {
      selectors(value, Place::FeatureList, into);
      return;
    }
    auto name = values.reference(value, "'features'");
    if (!name)
      return;
    selector.kind = Selector::Kind::Named;
    selector.name = *name;
  } else if (key == "graph") {
    auto name = values.reference(value, "'graph'");
    if (!name)
      return;
    selector.kind = Selector::Kind::Graph;
    selector.name = *name;
    selector.part = graphPart(map);
  } else if (key == "antagonists" && value.isMap()) {
    MapReader of(reporter, value, graphPartKeys());
    const YamlNode *graph = of.require("graph", value.range);
    auto name = graph ? values.reference(*graph, "'graph'") : std::nullopt;
    selector.part = graphPart(of);
    if (!name)
      return;
    selector.kind = Selector::Kind::Opposed;
    selector.name = *name;
  } else if (key == "site") {
    auto site = values.site(value);
    if (!site)
      return;
    selector.kind = Selector::Kind::WholeSite;
    selector.site = *site;
  } else {
    auto feature = values.feature(value);
    if (!feature)
      return;
    selector.kind = key == "antagonists"    ? Selector::Kind::Antagonists
                    : key == "predecessors" ? Selector::Kind::Predecessors
                                            : Selector::Kind::Successors;
    selector.feature = *feature;
  }
  into.selectors.push_back(std::move(selector));
}
