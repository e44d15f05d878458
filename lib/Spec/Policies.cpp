//===- Policies.cpp - Policies of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <map>

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

void SpecParser::policy(const YamlEntry &entry) {
  Policy &policy = spec.policies.emplace_back();
  policy.name = entry.key;
  MapReader map(reporter, entry.value, policyKeys());
  if (!map)
    return;
  // A gate is that of another policy, which has the features; a value has none,
  // and neither have layers.
  const YamlNode *action = map.get("do");
  bool isRecord = action && action->isScalar() &&
                  action->text == nameOf(Action::Record);
  bool isSubstitute = action && action->isScalar() &&
                      action->text == nameOf(Action::Substitute);
  bool isAlone = map.get("gate") || (isRecord && map.get("value")) ||
                 isSubstitute;
  const YamlNode *on =
      isAlone ? map.get("on") : map.require("on", entry.key.range);
  if (on)
    policy.on = selection(*on, "'on'", Place::Policy);
  if (const YamlNode *node = map.require("do", entry.key.range))
    policy.action = values.choice<Action>(*node, "action", actionNames());
  belongs(map, entry.value, policy);
  recording(map, policy);
  numbers(map, policy);
  clamp(map, policy);
  substitution(map, policy);

  if (const YamlNode *node = map.get("to"))
    policy.to = selection(*node, "'to'", Place::Policy);
  if (const YamlNode *node = map.get("normalize"))
    policy.normalize = values.boolean(*node, "'normalize'").value_or(false);
  if (const YamlNode *node = map.get("only_active"))
    policy.onlyActive = values.boolean(*node, "'only_active'").value_or(false);
  if (const YamlNode *node = map.get("norm")) {
    static constexpr StringRef words[] = {"preserve"};
    policy.preserveNorm = values.word(*node, "norm", words).has_value();
  }
  if (const YamlNode *node = map.get("layers"))
    policy.layers = layers(*node);
  if (const YamlNode *node = map.get("tokens"))
    policy.tokens = tokens(*node);
  if (policy.tokens && policy.tokens->share && policy.action &&
      llvm::is_contained(
          {Action::ProjectOut, Action::Substitute, Action::Record},
          policy.action->value))
    reporter.error(*policy.tokens->share,
                   "'" + nameOf(policy.action->value) +
                       "' has no strength: 'ramp' and 'decay' give a token a "
                       "share of an addition or of what a feature changes by");
  if (const YamlNode *node = map.get("when"))
    policy.when = condition(*node);
  checkLayers(policy);
}

/// Which of the words an action takes for its layers.
void SpecParser::checkLayers(const Policy &policy) {
  if (!policy.layers || !policy.action)
    return;
  bool isAll = policy.layers->kind == Layers::Kind::All;
  if (policy.action->value == Action::Add && isAll)
    reporter.error(policy.layers->range,
                   "'all' is for 'project_out'; an addition is written at 'own', "
                   "'cumulative', a layer or a range");
  if (policy.action->value != Action::ProjectOut)
    return;
  if (!isAll && policy.layers->kind != Layers::Kind::Own)
    reporter.error(policy.layers->range,
                   "'project_out' acts at the layer of each feature ('own', the "
                   "default) or on the residual stream everywhere ('all')");
  if (isAll && policy.when)
    reporter
        .error(policy.when->range,
               "a projection at all layers begins before the first block, where "
               "no feature is there to be read")
        .note(policy.layers->range, "all layers");
}

/// Reports keys that the policy's action does not have, with what it has.
void SpecParser::belongs(const MapReader &map, const YamlNode &node,
                         const Policy &policy) {
  if (!policy.action)
    return;
  static constexpr StringRef common[] = {"on", "do", "tokens", "when"};
  Action action = policy.action->value;
  for (const YamlEntry &entry : node.entries) {
    StringRef key = entry.key.value;
    if (!llvm::is_contained(policyKeys().keys, key) ||
        llvm::is_contained(common, key) ||
        llvm::is_contained(actionKeys(action), key))
      continue;
    std::string owners;
    for (size_t i = 0; i < actionNames().size(); ++i)
      if (llvm::is_contained(actionKeys(static_cast<Action>(i)), key))
        owners += (owners.empty() ? "'" : ", '") + actionNames()[i].str() + "'";
    reporter.error(entry.key.range, "'" + key + "' does not belong to '" +
                                        nameOf(action) + "'; it is a key of " +
                                        owners);
  }
}

/// `strength`, `value`, `factor` and `times`.
void SpecParser::numbers(const MapReader &map, Policy &policy) {
  if (const YamlEntry *entry = map.entry("strength"))
    policy.strength = strength(*entry, policy);
  bool isRecord = policy.action && policy.action->value == Action::Record;
  if (const YamlNode *node = map.get("value"); node && !isRecord)
    policy.value = values.number(*node, "'value'");
  if (const YamlNode *node = map.get("factor"))
    policy.factor = values.number(*node, "'factor'");
  if (const YamlEntry *entry = map.entry("times")) {
    if (policy.times)
      reporter
          .error(entry->key.range, "'times' is written twice: here and in "
                                   "'strength'")
          .note(policy.times->range, "in 'strength'");
    else
      policy.times = values.reference(entry->value, "'times'");
  }
  if (!policy.action)
    return;
  Action action = policy.action->value;
  StringRef needed = action == Action::Add        ? "strength"
                     : action == Action::Set      ? "value"
                     : action == Action::Scale    ? "factor"
                     : action == Action::Transfer ? "to"
                                                  : "";
  if (!needed.empty() && !map.get(needed) && !map.isMisspelt(needed))
    reporter.error(policy.action->range,
                   "'" + nameOf(action) + "' needs the key '" + needed + "'");
}

void SpecParser::clamp(const MapReader &map, Policy &policy) {
  const YamlNode *min = map.get("min"), *max = map.get("max");
  if (min)
    policy.min = values.number(*min, "'min'");
  if (max)
    policy.max = values.number(*max, "'max'");
  if (policy.min && policy.max && policy.min->value > policy.max->value)
    reporter.error(policy.min->range, "'min' is greater than 'max'")
        .note(policy.max->range, "'max' is given here");
  if (policy.action && policy.action->value == Action::Clamp && !min && !max &&
      !map.isMisspelt("min") && !map.isMisspelt("max"))
    reporter.error(policy.action->range,
                   "'clamp' needs the key 'min', the key 'max' or both");
}

/// One site or a list of some, of which all numbers are recorded.
void SpecParser::recordedValues(const YamlEntry &entry, Policy &policy) {
  policy.valuesRange = entry.value.range;
  llvm::ArrayRef<YamlNode> nodes(entry.value);
  if (entry.value.isSequence()) {
    nodes = entry.value.items;
    if (nodes.empty())
      reporter.error(entry.value.range, "this list is empty: it must name at "
                                        "least one site");
  }
  std::map<std::pair<int64_t, SiteKind>, SourceRange> ranges;
  for (const YamlNode &node : nodes) {
    if (node.isInvalid())
      continue;
    auto site = values.site(node);
    if (!site)
      continue;
    if (site->dictionary)
      reporter.error(site->dictionary->range,
                     "the value of a site is no dictionary's: write " +
                         inQuotes(std::to_string(site->layer.value) + "/" +
                                  nameOf(site->site.value).str()));
    auto [first, isNew] =
        ranges.try_emplace({site->layer.value, site->site.value}, site->range);
    if (!isNew)
      reporter.error(site->range, "this site is named twice")
          .note(first->second, "the first time");
    if (reporter.isFull())
      return;
    policy.values.push_back(*site);
  }
}

/// `after`, `gate` and `value` of a record.
void SpecParser::recording(const MapReader &map, Policy &policy) {
  const YamlEntry *value = map.entry("value");
  if (value && policy.action && policy.action->value == Action::Record) {
    recordedValues(*value, policy);
    for (StringRef other : {"on", "gate"})
      if (const YamlEntry *entry = map.entry(other))
        reporter
            .error(entry->key.range,
                   "'" + other + "' cannot stand beside 'value', which records "
                                 "all numbers of a site")
            .note(value->key.range, "'value' is given here");
  }
  if (const YamlEntry *after = map.entry("after"))
    if (auto value = values.boolean(after->value, "'after'"))
      policy.after = Marked<bool>{*value, after->key.range};
  const YamlEntry *gate = map.entry("gate");
  if (!gate)
    return;
  policy.gate = values.reference(gate->value, "'gate'");
  for (StringRef other : {"on", "after"})
    if (const YamlEntry *entry = map.entry(other))
      reporter
          .error(entry->key.range,
                 "'" + other + "' cannot stand beside 'gate', which records "
                               "where a policy acts and reads no feature")
          .note(gate->key.range, "'gate' is given here");
}

std::optional<Strength> SpecParser::strength(const YamlEntry &entry,
                                             Policy &policy) {
  const YamlNode &node = entry.value;
  Strength strength;
  strength.range = node.range;
  if (!node.isMap()) {
    if (node.isInvalid())
      return std::nullopt;
    auto value = values.number(node, "'strength'");
    if (!value)
      return std::nullopt;
    strength.value = *value;
    return strength;
  }
  MapReader map(reporter, node, strengthKeys());
  std::optional<Number> value;
  const YamlEntry *dose = map.entry("dose"), *text = map.entry("text");
  if (dose) {
    value = values.number(dose->value, "'dose'");
    if (const YamlEntry *both = map.entry("value"))
      reporter.error(both->key.range, "'value' and 'dose' both say how strong it "
                                      "is: leave one out");
    if (!text)
      reporter.error(dose->key.range,
                     "a dose is a share of the norms that a site's values have "
                     "on a text: the strength must have the key 'text'");
  } else if (const YamlNode *given = map.require("value", entry.key.range)) {
    value = values.number(*given, "'value'");
  }
  if (text && !dose && !map.isMisspelt("dose"))
    reporter.error(text->key.range, "'text' belongs to 'dose', a share of the "
                                    "norms that a site's values have on it");
  if (text && (strength.text = values.text(text->value, "'text'")))
    path(*strength.text);
  if (const YamlNode *times = map.get("times"))
    policy.times = values.reference(*times, "'times'");

  auto optional = [&](StringRef key, std::optional<Number> &into) {
    if (const YamlNode *given = map.get(key))
      into = values.number(*given, "'" + key + "'");
  };
  optional("rate", strength.rate);
  optional("last", strength.last);
  optional("center", strength.center);
  optional("width", strength.width);
  if (const YamlNode *weight = map.get("weight"))
    strength.weight = values.choice<StrengthWeight>(*weight, "weight",
                                                    strengthWeightNames());
  if (strength.width && !(strength.width->value > 0)) {
    reporter.error(strength.width->range, "'width' must be greater than 0");
    strength.width.reset();
  }
  if (const YamlNode *schedule = map.get("schedule")) {
    auto kind =
        values.choice<ScheduleKind>(*schedule, "schedule", scheduleNames());
    if (!kind)
      return std::nullopt;
    strength.schedule = kind->value;
  }
  for (const YamlEntry &given : node.entries) {
    StringRef key = given.key.value;
    if (key == "value" || key == "dose" || key == "text" || key == "times" ||
        key == "schedule" || key == "weight" ||
        !llvm::is_contained(strengthKeys().keys, key) ||
        llvm::is_contained(scheduleKeys(strength.schedule), key))
      continue;
    ScheduleKind owner = key == "last"   ? ScheduleKind::Linear
                         : key == "rate" ? ScheduleKind::Exponential
                                         : ScheduleKind::Gaussian;
    reporter.error(given.key.range, "'" + key +
                                        "' does not belong to the "
                                        "schedule '" +
                                        nameOf(strength.schedule) +
                                        "'; it is a key of '" + nameOf(owner) +
                                        "'");
  }
  if (dose && strength.schedule == ScheduleKind::Linear && !map.get("last"))
    reporter.error(map.get("schedule")->range,
                   "a linear dose needs the key 'last': the 1 that a strength "
                   "ends at without it would be a dose of 1");
  if (strength.schedule == ScheduleKind::Gaussian) {
    SourceRange where = map.get("schedule")->range;
    bool complete = true;
    for (StringRef key : scheduleKeys(ScheduleKind::Gaussian))
      if (!map.get(key)) {
        reporter.error(where,
                       "the schedule 'gaussian' needs the key '" + key + "'");
        complete = false;
      }
    if (!complete || !strength.center || !strength.width)
      return std::nullopt;
  }
  if (!value)
    return std::nullopt;
  strength.value = *value;
  return strength;
}

std::optional<Layers> SpecParser::layers(const YamlNode &node) {
  Layers layers;
  layers.range = node.range;
  if (node.isScalar() && !node.text.empty() &&
      (llvm::isAlpha(node.text[0]) || node.text[0] == '_')) {
    auto word = values.word(node, "layers", layersNames());
    if (!word)
      return std::nullopt;
    layers.kind = static_cast<Layers::Kind>(word->value);
    return layers;
  }
  auto range = values.layers(node, "'layers'");
  if (!range)
    return std::nullopt;
  layers.kind = Layers::Kind::Range;
  layers.span = *range;
  return layers;
}

//===----------------------------------------------------------------------===//
// Tokens and conditions
//===----------------------------------------------------------------------===//

std::optional<Tokens> SpecParser::tokens(const YamlNode &node) {
  Tokens tokens;
  tokens.range = node.range;
  if (node.isScalar()) {
    auto part = values.choice<Tokens::Part>(node, "part of the tokens",
                                            tokenPartNames());
    if (!part)
      return std::nullopt;
    tokens.part = part->value;
    return tokens;
  }
  MapReader map(reporter, node, tokensKeys());
  if (!map)
    return std::nullopt;
  if (node.entries.empty()) {
    reporter.error(node.range, "an empty set of tokens; leave 'tokens' out for "
                               "all of them");
    return std::nullopt;
  }
  if (const YamlNode *given = map.get("part"))
    if (auto part = values.choice<Tokens::Part>(*given, "part of the tokens",
                                                tokenPartNames()))
      tokens.part = part->value;
  auto optional = [&](StringRef key, std::optional<Integer> &into) {
    if (const YamlNode *given = map.get(key))
      into = values.integer(*given, "'" + key + "'", 0, maxIndex);
  };
  optional("from", tokens.from);
  optional("to", tokens.to);
  optional("skip_first", tokens.skipFirst);
  if (const YamlNode *list = map.get("positions")) {
    if (!list->isSequence()) {
      if (!list->isInvalid())
        reporter.error(list->range, "'positions' must be a list of positions, "
                                    "found " +
                                        list->describe() +
                                        inBrackets(list->text));
    } else if (list->items.empty()) {
      reporter.error(list->range, "'positions' names no position");
    } else {
      for (const YamlNode &item : list->items)
        if (auto position = values.integer(item, "a position", 0, maxIndex))
          tokens.positions.push_back(*position);
    }
  }
  markerKeys(map, tokens);
  shareKeys(map, tokens);
  checkTokens(tokens);
  return tokens;
}

/// Reports sets of tokens that no token is in.
void SpecParser::checkTokens(const Tokens &tokens) {
  // What is never at the beginning of a row.
  StringRef behind;
  if (tokens.part == Tokens::Part::Generated)
    behind = "no token is generated at position 0: a prompt has one token at least";
  else if (!tokens.after.empty() || !tokens.opens.empty())
    behind = "no marker stands in front of position 0";
  if (tokens.to && tokens.to->value == 0 && !behind.empty())
    reporter.error(tokens.to->range, "'to' leaves no token: " + behind);
  // Where one is behind every token that opens a span, it is behind one that ends
  // what is meant.
  auto ends = [&](const Marker &marker) {
    return llvm::is_contained(tokens.until, marker);
  };
  if (!tokens.opens.empty() && llvm::all_of(tokens.opens, ends))
    reporter
        .error(llvm::find(tokens.until, tokens.opens.front())->range,
               "'until' leaves no token: it ends what is meant at whatever opens "
               "a span of 'between'")
        .note(tokens.opens.front().range, "it opens a span here");
  if (tokens.from && tokens.to && tokens.from->value > tokens.to->value)
    reporter.error(tokens.from->range, "'from' is greater than 'to'")
        .note(tokens.to->range, "'to' is given here");
  if (tokens.skipFirst && tokens.to &&
      tokens.skipFirst->value > tokens.to->value)
    reporter
        .error(tokens.skipFirst->range,
               "'skip_first' leaves no token: it skips past 'to'")
        .note(tokens.to->range, "'to' is given here");
  llvm::SmallSet<int64_t, 8> seen;
  for (const Integer &position : tokens.positions) {
    if (!seen.insert(position.value).second)
      reporter.error(position.range, "the position " + Twine(position.value) +
                                         " is listed twice");
    auto excluded = [&](const Integer &by, StringRef key) {
      reporter
          .error(position.range, "the position " + Twine(position.value) +
                                     " is excluded by '" + key + "'")
          .note(by.range, "'" + key + "' is given here");
    };
    if (tokens.from && position.value < tokens.from->value)
      excluded(*tokens.from, "from");
    if (tokens.to && position.value > tokens.to->value)
      excluded(*tokens.to, "to");
    if (tokens.skipFirst && position.value < tokens.skipFirst->value)
      excluded(*tokens.skipFirst, "skip_first");
    if (position.value == 0 && !behind.empty())
      reporter.error(position.range, behind);
  }
}

std::optional<Condition> SpecParser::condition(const YamlNode &node) {
  MapReader map(reporter, node, conditionKeys());
  if (!map)
    return std::nullopt;
  Condition condition;
  condition.range = node.range;
  const YamlEntry *any = map.entry("any"), *all = map.entry("all");
  const YamlEntry *feature = map.entry("feature");
  const YamlEntry *graph = map.entry("graph");
  const YamlEntry *above = map.entry("above"), *below = map.entry("below");
  if (!any && !all && !feature && !graph) {
    if (node.entries.empty() ||
        llvm::any_of(node.entries, [](const YamlEntry &entry) {
          return llvm::is_contained(conditionKeys().keys, entry.key.value);
        }))
      reporter.error(node.range, "a condition must have the key 'feature', "
                                 "'graph', 'any' or 'all'");
    return std::nullopt;
  }
  // What says which nodes of a graph are meant.
  for (const YamlEntry &entry : node.entries)
    if (StringRef key = entry.key.value;
        !graph && (key == "nodes" ||
                   (llvm::is_contained(graphPartKeys().keys, key)))) {
      reporter.error(entry.key.range,
                     "'" + key + "' is a key of conditions with 'graph'");
      return std::nullopt;
    }

  if (any || all) {
    const YamlEntry *head = any ? any : all;
    for (const YamlEntry *other : {any, all, feature, graph, above, below})
      if (other && other != head) {
        reporter.error(other->key.range, "'" + other->key.value +
                                             "' cannot stand beside '" +
                                             head->key.value + "'");
        return std::nullopt;
      }
    condition.kind = any ? Condition::Kind::Any : Condition::Kind::All;
    const YamlNode &list = head->value;
    if (!list.isSequence() || list.items.empty()) {
      if (!list.isInvalid())
        reporter.error(
            list.isSequence() ? list.range : head->value.range,
            "'" + head->key.value + "' must be a list of conditions" +
                (list.isSequence() ? "; it is empty"
                                   : ", found " + list.describe().str()));
      return std::nullopt;
    }
    for (const YamlNode &item : list.items)
      if (auto child = this->condition(item))
        condition.children.push_back(std::move(*child));
    return condition;
  }

  const YamlEntry *head = feature ? feature : graph;
  if (feature && graph) {
    reporter.error(graph->key.range, "'graph' cannot stand beside 'feature'");
    return std::nullopt;
  }
  if (++compared == maxCompared + 1)
    reporter.error(head->key.range, "the conditions compare more than " +
                                           Twine(maxCompared) +
                                           " features together");
  if (compared > maxCompared)
    return std::nullopt;
  std::optional<FeatureRef> of;
  bool isKnown = true;
  if (graph) {
    auto watched = watch(map, node);
    isKnown = watched.has_value();
    if (watched)
      condition = std::move(*watched);
  } else {
    of = values.feature(feature->value);
    isKnown = of.has_value();
  }
  if (above)
    condition.above = values.number(above->value, "'above'");
  if (below)
    condition.below = values.number(below->value, "'below'");
  if (!above && !below && !map.isMisspelt("above") && !map.isMisspelt("below"))
    reporter.error(head->key.range,
                   Twine("a condition on ") +
                       (graph ? "the nodes of a graph" : "a feature") +
                       " needs the key 'above', the key 'below' or both");
  if (condition.above && condition.below &&
      condition.above->value >= condition.below->value)
    reporter
        .error(condition.above->range, "no number is above this and below that")
        .note(condition.below->range, "'below' is given here");
  if (!isKnown)
    return std::nullopt;
  if (of)
    condition.feature = *of;
  return condition;
}
