//===- Attribution.cpp - Features that an attribution graph pins ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// circuit-tracer 0.5 writes a graph as JSON (frontend/graph_models.py): `nodes`
// with a node_id, a layer and a feature_type each, and qParams.pinnedIds, the
// nodes that somebody pinned on its page. A feature's node is called
// LAYER_FEATURE_POSITION, and so are others: of a logit, of an error. What a
// node is of the feature_type says.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "weir/Support/Json.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

namespace {

/// A feature of a graph.
struct Pinned {
  int64_t layer, index;
};

/// What circuit-tracer calls nodes of features, per-layer ones too.
constexpr StringRef featureType = "cross layer transcoder";

} // namespace

/// The layer and index in the name of a feature's node.
static std::optional<Pinned> parseNode(StringRef id) {
  auto [layer, rest] = id.split('_');
  auto [index, position] = rest.split('_');
  Pinned pinned;
  int64_t at;
  if (layer.getAsInteger(10, pinned.layer) ||
      index.getAsInteger(10, pinned.index) || position.getAsInteger(10, at) ||
      pinned.layer < 0 || pinned.layer > maxLayer || pinned.index < 0 ||
      pinned.index > maxIndex)
    return std::nullopt;
  return pinned;
}

/// Features in the order in which they were pinned, each once; `others` counts
/// pinned nodes that are none.
static llvm::Expected<std::vector<Pinned>> readPinned(StringRef text,
                                                      size_t &others) {
  llvm::Expected<llvm::json::Value> document = weir::parseJSON(text);
  if (!document)
    return document.takeError();
  auto wrong = [](const Twine &what) {
    return llvm::createStringError(
        what + ": this is no attribution graph of circuit-tracer");
  };
  const llvm::json::Object *graph = document->getAsObject();
  const llvm::json::Object *settings =
      graph ? graph->getObject("qParams") : nullptr;
  const llvm::json::Array *ids =
      settings ? settings->getArray("pinnedIds") : nullptr;
  const llvm::json::Array *nodes = graph ? graph->getArray("nodes") : nullptr;
  if (!ids || !nodes)
    return wrong("it has no list 'nodes', or no list 'pinnedIds' below "
                 "'qParams'");
  llvm::StringMap<StringRef> types;
  for (const llvm::json::Value &value : *nodes) {
    const llvm::json::Object *node = value.getAsObject();
    std::optional<StringRef> id = node ? node->getString("node_id")
                                       : std::nullopt;
    std::optional<StringRef> type = node ? node->getString("feature_type")
                                         : std::nullopt;
    if (!id || !type)
      return wrong("a node lacks its 'node_id' or its 'feature_type'");
    types[*id] = *type;
  }
  std::vector<Pinned> result;
  llvm::DenseSet<std::pair<int64_t, int64_t>> seen;
  for (const llvm::json::Value &value : *ids) {
    std::optional<StringRef> id = value.getAsString();
    if (!id)
      return wrong("an entry of 'pinnedIds' is no text");
    auto type = types.find(*id);
    if (type == types.end())
      return llvm::createStringError("it pins '" + *id +
                                     "', which is not among its nodes");
    if (type->second != featureType) {
      ++others;
      continue;
    }
    std::optional<Pinned> pinned = parseNode(*id);
    if (!pinned)
      return wrong("the node '" + *id + "' is not called "
                                        "LAYER_FEATURE_POSITION");
    // The same feature at two tokens.
    if (seen.insert({pinned->layer, pinned->index}).second)
      result.push_back(*pinned);
  }
  return result;
}

void SpecParser::attribution(const YamlNode &node, const YamlNode &pathNode,
                             const YamlNode *dictionaryNode, Selection &into) {
  auto file = values.text(pathNode, "'attribution'");
  std::optional<Name> dictionary;
  if (dictionaryNode)
    dictionary = values.reference(*dictionaryNode, "'dictionary'");
  if (!file || (dictionaryNode && !dictionary))
    return;
  size_t before = reporter.numErrors();
  path(*file);
  if (reporter.numErrors() != before)
    return;

  const DictionarySet *set = nullptr;
  std::vector<StringRef> names;
  for (const DictionarySet &each : spec.dictionaries) {
    names.push_back(each.name.value);
    if (dictionary ? each.name.value == dictionary->value
                   : spec.dictionaries.size() == 1)
      set = &each;
  }
  if (!set) {
    if (dictionary)
      reporter.error(dictionary->range,
                     "unknown dictionary " + inQuotes(dictionary->value) +
                         suggest(dictionary->value, names));
    else
      reporter.error(node.range,
                     "there are " + Twine(spec.dictionaries.size()) +
                         " dictionaries: say with 'dictionary' whose features "
                         "the graph has");
    return;
  }
  if (!options.readFile) {
    reporter.error(file->range, "files that a spec names are not read here");
    return;
  }
  llvm::Expected<std::string> text = options.readFile(file->value);
  if (!text) {
    reporter.error(file->range, llvm::toString(text.takeError()));
    return;
  }
  size_t others = 0;
  llvm::Expected<std::vector<Pinned>> pinned = readPinned(*text, others);
  if (!pinned) {
    reporter.error(file->range, inQuotes(file->value) + ": " +
                                    llvm::toString(pinned.takeError()));
    return;
  }
  if (pinned->empty()) {
    reporter.error(file->range, inQuotes(file->value) +
                                    " pins no feature: pin some on the page of "
                                    "circuit-tracer, and save the graph");
    return;
  }
  if (others > 0)
    reporter.warning(file->range,
                     inQuotes(file->value) + " pins " + Twine(others) +
                         (others == 1 ? " node that is no feature"
                                      : " nodes that are no features") +
                         " (tokens, logits or errors), left out here");
  // What writes at one kind of site says which; transcoders write at `mlp`.
  SiteKind kind =
      set->sites.size() == 1 ? set->sites.front().value : SiteKind::Mlp;
  for (const Pinned &each : *pinned) {
    Selector selector;
    selector.range = node.range;
    FeatureRef &feature = selector.feature;
    feature.range = node.range;
    feature.index.value = each.index;
    feature.index.range = node.range;
    feature.site.range = node.range;
    feature.site.dictionary = Name{set->name.value, node.range};
    feature.site.layer.value = each.layer;
    feature.site.layer.range = node.range;
    feature.site.site = {kind, node.range};
    into.selectors.push_back(std::move(selector));
  }
}
