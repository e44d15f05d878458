//===- Sections.cpp - Sections of a spec, except policies ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "llvm/Support/Path.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

Spec weir::spec::parseSpec(const SourceFile &file, Reporter &reporter,
                           const SpecOptions &options) {
  std::optional<YamlNode> root = parseYaml(file, reporter);
  if (!root)
    return {};
  return SpecParser(reporter, options).parse(*root);
}

void SpecParser::entries(const MapReader &map, StringRef key, StringRef what,
                         ReadEntry read) {
  const YamlNode *node = map.get(key);
  if (!node)
    return;
  if (!node->isMap()) {
    if (!node->isInvalid())
      reporter.error(node->range, "'" + key +
                                      "' must be a mapping of " + what +
                                      ", found " + node->describe());
    return;
  }
  size_t count = 0;
  for (const YamlEntry &entry : node->entries) {
    if (reporter.isFull())
      return;
    if (++count > maxEntries) {
      reporter.error(entry.key.range, "'" + key + "' has more than " +
                                          Twine(maxEntries) + " entries");
      return;
    }
    read(entry);
  }
}

void SpecParser::section(const MapReader &map, StringRef key, ReadEntry read) {
  entries(map, key, "names", [&](const YamlEntry &entry) {
    values.isName(entry.key);
    read(entry);
  });
}

Spec SpecParser::parse(const YamlNode &root) {
  if (root.kind == YamlNode::Kind::Null) {
    reporter.error({0, 0}, "the spec is empty; it begins with 'weir: 1'");
    return {};
  }
  MapReader map(reporter, root, specKeys());
  if (!map)
    return {};
  version(map, root);
  if (map.require("model", {root.range.begin, root.range.begin}))
    model(*map.entry("model"));
  section(map, "dictionaries", [&](auto &entry) { dictionary(entry); });
  section(map, "matches", [&](auto &entry) { match(entry); });
  section(map, "graphs", [&](auto &entry) { graph(entry); });
  labels(map);
  section(map, "features", [&](auto &entry) {
    spec.features.push_back(
        {entry.key, selection(entry.value, inQuotes(entry.key.value),
                              Place::FeatureList)});
  });
  section(map, "knobs", [&](auto &entry) { knob(entry); });
  map.require("policies", {root.range.begin, root.range.begin});
  section(map, "policies", [&](auto &entry) { policy(entry); });
  section(map, "plans", [&](auto &entry) { plan(entry); });

  if (!spec.matches.empty())
    spec.matchesKey = map.entry("matches")->key.range;
  if (const YamlEntry *plans = map.entry("plans")) {
    spec.hasPlans = true;
    if (plans->value.isMap() && plans->value.entries.empty())
      reporter.error(plans->key.range,
                     "'plans' names no plan; without the key there is one, "
                     "'default', of all policies");
  } else {
    Plan plan;
    plan.name = {"default", {root.range.begin, root.range.begin}};
    for (const Policy &policy : spec.policies)
      plan.policies.push_back(policy.name);
    spec.plans.push_back(std::move(plan));
  }
  return std::move(spec);
}

void SpecParser::version(const MapReader &map, const YamlNode &root) {
  const YamlNode *node =
      map.require("weir", {root.range.begin, root.range.begin});
  if (!node)
    return;
  if (node->isPlain() && node->text == "1")
    return;
  if (!node->isInvalid())
    reporter.error(node->range,
                   "this compiler reads version 1 of the spec language, "
                   "written 'weir: 1'; found " +
                       (node->isPlain()    ? inQuotes(node->text)
                        : node->isScalar() ? "the text " + inQuotes(node->text)
                                           : node->describe().str()));
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

void SpecParser::path(const Name &path) {
  if (!options.confinePaths)
    return;
  bool leaves = llvm::sys::path::is_absolute(path.value);
  for (auto it = llvm::sys::path::begin(path.value),
            end = llvm::sys::path::end(path.value);
       it != end; ++it)
    leaves |= *it == "..";
  if (leaves)
    reporter.error(path.range, "the path " + inQuotes(path.value) +
                                   " leaves the spec's folder");
}

void SpecParser::pathTemplate(const Name &path,
                              llvm::ArrayRef<StringRef> known) {
  StringRef rest = path.value;
  while (true) {
    size_t open = rest.find_first_of("{}");
    if (open == StringRef::npos)
      return;
    size_t close = rest.find_first_of("{}", open + 1);
    if (rest[open] == '}' || close == StringRef::npos || rest[close] == '{') {
      reporter.error(path.range,
                     "unbalanced braces in " + inQuotes(path.value));
      return;
    }
    StringRef word = rest.slice(open + 1, close);
    if (!llvm::is_contained(known, word))
      reporter.error(path.range, "unknown placeholder " +
                                     inQuotes(("{" + word + "}").str()) +
                                     suggest(word, known));
    rest = rest.drop_front(close + 1);
  }
}

//===----------------------------------------------------------------------===//
// Sections
//===----------------------------------------------------------------------===//

void SpecParser::model(const YamlEntry &entry) {
  spec.model.range = entry.key.range;
  MapReader map(reporter, entry.value, modelKeys());
  if (!map)
    return;
  if (const YamlNode *node = map.get("program"))
    if (auto program = values.text(*node, "'program'")) {
      path(*program);
      spec.model.program = *program;
    }
  const YamlNode *sites = map.get("sites");
  if (!sites || sites->isInvalid())
    return;
  if (sites->isScalar() && sites->text == "auto")
    return;
  if (!sites->isMap()) {
    reporter.error(sites->range,
                   "'sites' of a model must be 'auto' or a "
                   "mapping of sites to module paths, found " +
                       (sites->isScalar() ? inQuotes(sites->text)
                                          : sites->describe().str()));
    return;
  }
  if (sites->entries.empty())
    reporter.error(sites->range, "'sites' of a model names no site");
  for (const YamlEntry &site : sites->entries) {
    auto kind = llvm::find(siteNames(), site.key.value);
    if (kind == siteNames().end()) {
      reporter.error(site.key.range, "unknown site " +
                                         inQuotes(site.key.value) +
                                         suggest(site.key.value, siteNames()));
      continue;
    }
    auto module = values.text(site.value, "a module path");
    if (!module)
      continue;
    pathTemplate(*module, {"layer"});
    if (!StringRef(module->value).contains("{layer}"))
      reporter.error(module->range, "a module path must contain {layer}");
    spec.model.sites.push_back(
        {{static_cast<SiteKind>(kind - siteNames().begin()), site.key.range},
         *module});
  }
}

void SpecParser::dictionary(const YamlEntry &entry) {
  DictionarySet &set = spec.dictionaries.emplace_back();
  set.name = entry.key;
  MapReader map(reporter, entry.value, dictionaryKeys());
  if (!map)
    return;
  if (const YamlNode *node = map.require("format", entry.key.range))
    set.format = values.choice<Format>(*node, "format", formatNames());
  if (const YamlNode *node = map.get("path"))
    set.path = values.text(*node, "'path'");
  if (const YamlNode *node = map.require("sites", entry.key.range))
    set.sites = values.choices<SiteKind>(*node, "site", siteNames());
  if (const YamlNode *node = map.require("layers", entry.key.range))
    set.layers = values.layers(*node, "'layers'");
  if (const YamlNode *node = map.get("hook"))
    set.hook = values.choice<HookCheck>(*node, "value of 'hook'", hookNames());
  if (const YamlNode *node = map.get("reads"))
    set.reads = values.choice<ReadPlace>(*node, "place to read", readNames());
  if (!set.format)
    return;

  Format format = set.format->value;
  if (isMadeFromModel(format)) {
    for (StringRef key : {"path", "hook", "reads"})
      if (const YamlEntry *given = map.entry(key))
        reporter.error(given->key.range,
                       "'" + key + "' does not belong to '" + nameOf(format) +
                           "': it is made from the model's weights");
    for (const Marked<SiteKind> &site : set.sites) {
      bool fits = format == Format::Neurons ? site.value == SiteKind::Mlp
                                            : site.value != SiteKind::Head;
      if (!fits)
        reporter.error(
            site.range,
            "'" + nameOf(format) + "' has no features at '" +
                nameOf(site.value) + "'" +
                (format == Format::Neurons ? "; neurons write at 'mlp'" : ""));
    }
    return;
  }
  if (!map.get("path")) {
    reporter.error(entry.key.range, "a dictionary of format '" +
                                        nameOf(format) +
                                        "' must have the key 'path'");
    return;
  }
  if (!set.path)
    return;
  path(*set.path);
  pathTemplate(*set.path, {"site", "layer"});
  StringRef text = set.path->value;
  if (set.layers && set.layers->first != set.layers->last &&
      !text.contains("{layer}") && !holdsSeveralLayers(format))
    reporter
        .error(set.path->range,
               "the path must contain {layer}: the dictionary covers the "
               "layers " +
                   Twine(set.layers->first) + " to " + Twine(set.layers->last))
        .note(set.layers->range, "given here");
  if (set.sites.size() > 1 && !text.contains("{site}"))
    reporter
        .error(set.path->range,
               "the path must contain {site}: the dictionary covers " +
                   Twine(set.sites.size()) + " sites")
        .note(set.sites[1].range, "the second one is given here");
}

void SpecParser::match(const YamlEntry &entry) {
  Match &match = spec.matches.emplace_back();
  match.name = entry.key;
  MapReader map(reporter, entry.value, matchKeys());
  if (!map)
    return;
  match.isRead = true;
  if (const YamlNode *node = map.get("dictionary"))
    match.dictionary = values.reference(*node, "'dictionary'");
  if (const YamlNode *node = map.get("sites"))
    match.sites = values.choices<SiteKind>(*node, "site", siteNames());
  if (const YamlNode *node = map.get("layers"))
    match.layers = values.layers(*node, "'layers'");
  std::optional<Marked<MatchMethod>> method;
  if (const YamlNode *node = map.require("method", entry.key.range))
    method = values.choice<MatchMethod>(*node, "method", methodNames());
  if (const YamlNode *node = map.get("k"))
    if (auto k = values.integer(*node, "'k'", 1, maxMatches))
      match.k = k->value;
  if (const YamlNode *node = map.get("similarity"))
    match.similarity =
        values.choice<Similarity>(*node, "similarity", similarityNames());
  if (const YamlNode *node = map.get("text"))
    if ((match.text = values.text(*node, "'text'")))
      path(*match.text);
  if (const YamlNode *node = map.get("fold"))
    match.fold = values.choice<Folding>(*node, "way to fold", foldingNames());
  if (const YamlNode *node = map.get("weights"))
    match.weights = values.choices<WeightPart>(*node, "weight", weightNames());
  if (!method)
    return;
  match.method = *method;

  if (method->value == MatchMethod::Permutation)
    if (const YamlEntry *k = map.entry("k"))
      reporter.error(k->key.range,
                     "'k' does not belong to the method 'permutation'");
  matchByActivations(match, map);
}

/// What goes along with comparing activations on a text, and what does not.
void SpecParser::matchByActivations(const Match &match, const MapReader &map) {
  bool isPearson =
      match.similarity && match.similarity->value == Similarity::Pearson;
  bool foldsMeans =
      match.fold && match.fold->value == Folding::MeanActivation;
  // Of a word that was not understood nothing follows.
  if ((map.get("similarity") && !match.similarity) ||
      (map.get("fold") && !match.fold))
    return;
  if (isPearson) {
    if (match.method.value == MatchMethod::Permutation) {
      reporter.error(match.similarity->range,
                     "'pearson' belongs to the method 'top_k'");
      return;
    }
    for (StringRef key : {"fold", "weights"})
      if (const YamlEntry *given = map.entry(key))
        reporter.error(given->key.range,
                       "'" + key + "' does not belong to the similarity "
                                   "'pearson', which compares activations");
  }
  const YamlEntry *text = map.entry("text");
  if ((isPearson || foldsMeans) && !text)
    reporter.error(isPearson ? match.similarity->range : match.fold->range,
                   isPearson ? "'pearson' compares activations on text: the "
                               "match must have the key 'text'"
                             : "mean activations are those on a text: the "
                               "match must have the key 'text'");
  if (!isPearson && !foldsMeans && text)
    reporter.error(text->key.range, "'text' belongs to the similarity "
                                    "'pearson' and to the fold "
                                    "'mean_activation'");
}

void SpecParser::knob(const YamlEntry &entry) {
  Knob &knob = spec.knobs.emplace_back();
  knob.name = entry.key;
  knob.defaultValue.range = entry.key.range;
  MapReader map(reporter, entry.value, knobKeys());
  if (!map)
    return;
  std::optional<Number> value;
  if (const YamlNode *node = map.require("default", entry.key.range))
    if ((value = values.number(*node, "'default'")))
      knob.defaultValue = *value;
  const YamlNode *range = map.get("range");
  if (!range || range->isInvalid())
    return;
  if (!range->isSequence() || range->items.size() != 2) {
    reporter.error(range->range,
                   "'range' must be a list of two numbers such as [0, 8]");
    return;
  }
  auto least = values.number(range->items[0], "the least value of a range");
  auto most = values.number(range->items[1], "the greatest value of a range");
  if (!least || !most)
    return;
  if (least->value > most->value) {
    reporter.error(range->range, "the range runs backwards; did you mean [" +
                                     range->items[1].text + ", " +
                                     range->items[0].text + "]?");
    return;
  }
  knob.bounds = {*least, *most};
  if (value && (value->value < least->value || value->value > most->value))
    reporter
        .error(value->range, "the default is outside of the range [" +
                                 range->items[0].text + ", " +
                                 range->items[1].text + "]")
        .note(range->range, "the range");
}

/// What weir-run and Python call no plan (Manifest's `unsteered`).
static constexpr StringRef unsteered = "none";

void SpecParser::plan(const YamlEntry &entry) {
  Plan &plan = spec.plans.emplace_back();
  plan.name = entry.key;
  if (entry.key.value == unsteered)
    reporter.error(entry.key.range, "a plan cannot be called 'none': that is "
                                    "what a row without steering has");
  if (!entry.value.isSequence()) {
    if (entry.value.isInvalid())
      return;
    std::string hint = entry.value.isScalar() ? inBrackets(entry.value.text)
                       : entry.value.kind == YamlNode::Kind::Null
                           ? "; write [] for a plan that does nothing"
                           : "";
    reporter.error(entry.value.range,
                   "a plan must be a list of policies, found " +
                       entry.value.describe() + hint);
    return;
  }
  for (const YamlNode &item : entry.value.items)
    if (auto name = values.reference(item, "a policy of a plan"))
      plan.policies.push_back(*name);
}
