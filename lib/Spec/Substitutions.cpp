//===- Substitutions.cpp - Policies that replace layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "Parser.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

static bool isMatched(const Policy &policy) {
  return policy.form == SubstituteForm::Permutation ||
         policy.form == SubstituteForm::Quantile;
}

static bool replacesLayers(const Policy &policy) {
  return policy.action && policy.action->value == Action::Substitute &&
         policy.layers && policy.layers->kind == Layers::Kind::Range;
}

static std::string layersText(const LayerRange &span) {
  return span.first == span.last ? "layer " + std::to_string(span.first)
                                 : "layers " + std::to_string(span.first) +
                                       " to " + std::to_string(span.last);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

void SpecParser::substitution(const MapReader &map, Policy &policy) {
  if (const YamlNode *node = map.get("match"))
    policy.match = values.reference(*node, "'match'");
  if (const YamlNode *node = map.get("dictionary"))
    policy.dictionary = values.reference(*node, "'dictionary'");
  if (const YamlNode *node = map.get("form"))
    if (auto form =
            values.choice<SubstituteForm>(*node, "form", substituteFormNames()))
      policy.form = form->value;
  if (const YamlEntry *entry = map.entry("quantile")) {
    policy.quantile = values.number(entry->value, "'quantile'");
    if (policy.quantile &&
        (policy.quantile->value < 0 || policy.quantile->value > 1))
      reporter.error(policy.quantile->range, "'quantile' must be 0 to 1");
  }
  if (!policy.action || policy.action->value != Action::Substitute)
    return;
  if (const YamlEntry *entry = map.entry("on"))
    reporter.error(entry->key.range,
                   "'substitute' replaces whole layers and acts on no features: "
                   "leave out 'on', and say which layers with 'layers'");
  if (!map.get("layers") && !map.isMisspelt("layers"))
    reporter.error(policy.action->range,
                   "'substitute' needs the key 'layers': a layer, or a range "
                   "such as 12..13");
  StringRef form = substituteFormNames()[static_cast<size_t>(policy.form)];
  // What each form has, and what the others have not.
  auto belongs = [&](StringRef key, bool isIts, bool isNeeded) {
    if (isNeeded && !map.get(key) && !map.isMisspelt(key))
      reporter.error(policy.action->range, "'substitute' needs the key '" + key +
                                               "' in the form '" + form + "'");
    if (!isIts && map.get(key))
      reporter.error(map.entry(key)->key.range,
                     "'" + key + "' does not belong to the form '" + form + "'");
  };
  bool isQuantile = policy.form == SubstituteForm::Quantile;
  belongs("match", isMatched(policy), isMatched(policy));
  belongs("quantile", isQuantile, isQuantile);
  belongs("dictionary",
          !isMatched(policy) && policy.form != SubstituteForm::Drop,
          /*isNeeded=*/false);
}

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

/// Layers from one to another that something with a range of its own has to have.
void Checker::checkCovers(const LayerRange &has, SourceRange where,
                          const Twine &what, int64_t first, int64_t last) {
  if (has.contains(first) && has.contains(last))
    return;
  reporter
      .error(where, what + " has to cover layers " + Twine(first) + " to " +
                        Twine(last) + "; it covers " + Twine(has.first) + " to " +
                        Twine(has.last))
      .note(has.range, "its layers");
}

void Checker::checkReplacing(const Condition &condition,
                             const LayerRange &span) {
  for (const Condition &child : condition.children)
    checkReplacing(child, span);
  if (condition.kind != Condition::Kind::Compare)
    return;
  const SiteRef &site = condition.feature.site;
  if (Place{site.layer.value, site.site.value} <=
      Place{span.first - 1, SiteKind::Res})
    return;
  reporter.error(condition.feature.range,
                 "whether " + layersText(span) +
                     " is replaced can depend on what comes before it only, up "
                     "to " +
                     Twine(span.first - 1) + "/res");
}

void Checker::checkSubstitution(const Policy &policy) {
  if (!policy.action || policy.action->value != Action::Substitute ||
      !policy.layers)
    return;
  SourceRange where = policy.layers->range;
  if (!replacesLayers(policy)) {
    reporter.error(where, "the layers to replace are a layer or a range such as "
                          "12..13");
    return;
  }
  const LayerRange &span = policy.layers->span;
  if (span.first < 1) {
    reporter.error(where, "layer 0 has no layer before it whose features could "
                          "take its place");
    return;
  }
  if (policy.when)
    checkReplacing(*policy.when, span);
  if (policy.form == SubstituteForm::Drop)
    return;

  const DictionarySet *set = nullptr;
  int64_t first = span.first - 1, last = span.last;
  if (isMatched(policy)) {
    const Match *match =
        policy.match ? lookup.matches.find(policy.match->value) : nullptr;
    if (!match)
      return;
    set = lookup.dictionaryOf(*match);
    if (match->method.value == MatchMethod::TopK)
      reporter
          .error(policy.match->range,
                 "the match '" + match->name.value +
                     "' does not give each feature one of its own: a layer is "
                     "replaced through a permutation")
          .note(match->method.range, "its method");
    if (match->fold && match->fold->value == Folding::MeanActivation)
      reporter
          .error(policy.match->range,
                 "the match '" + match->name.value +
                     "' folds mean activations, which are known on a text only: "
                     "for a substitution fold thresholds, decoder norms or "
                     "nothing")
          .note(match->fold->range, "its fold");
    bool hasRes = match->sites.empty() ||
                  llvm::any_of(match->sites, [](const auto &site) {
                    return site.value == SiteKind::Res;
                  });
    if (!hasRes)
      reporter
          .error(policy.match->range,
                 "the match '" + match->name.value +
                     "' is not one of the residual stream, 'res', which is what "
                     "a layer leaves")
          .note(match->sites.front().range, "its sites");
    if (match->layers && match->method.value != MatchMethod::TopK)
      checkCovers(*match->layers, where, "the match '" + match->name.value + "'",
                  first, last);
    if (match->layers || !set)
      return;
  } else {
    if (policy.dictionary)
      set = refer(lookup.dictionaries, *policy.dictionary, "dictionary",
                  "dictionaries");
    else if (spec.dictionaries.size() == 1)
      set = &spec.dictionaries.front();
    else
      reporter.error(policy.action->range,
                     spec.dictionaries.empty()
                         ? Twine("encoding and decoding needs a dictionary, but "
                                 "there is no section 'dictionaries'")
                         : Twine("there are several dictionaries; say which one "
                                 "encodes and decodes with the key "
                                 "'dictionary'"));
    bool isCurrent = policy.form == SubstituteForm::EncodeDecodeCurrent;
    first = last = isCurrent ? span.last : span.first - 1;
  }
  if (!set || !set->isComplete())
    return;
  used.insert(set);
  if (!set->hasSite(SiteKind::Res)) {
    reporter
        .error(policy.dictionary ? policy.dictionary->range : where,
               "the dictionary '" + set->name.value +
                   "' has no site 'res', which is what a layer leaves")
        .note(set->name.range, "the dictionary");
    return;
  }
  checkCovers(*set->layers, where, "the dictionary '" + set->name.value + "'",
              first, last);
}

/// Two policies of a plan that replace one layer.
void Checker::checkReplaced(const Plan &plan) {
  std::vector<const Policy *> replacing;
  for (const Name &name : plan.policies)
    if (const Policy *policy = lookup.policies.find(name.value);
        policy && replacesLayers(*policy))
      replacing.push_back(policy);
  llvm::sort(replacing, [](const Policy *a, const Policy *b) {
    return a->layers->span.first < b->layers->span.first;
  });
  const Policy *furthest = nullptr;
  for (const Policy *policy : replacing) {
    if (furthest && furthest != policy &&
        policy->layers->span.first <= furthest->layers->span.last) {
      Reporter::Message message = reporter.error(
          policy->layers->range,
          "the policies '" + furthest->name.value + "' and '" +
              policy->name.value + "' both replace layer " +
              Twine(policy->layers->span.first));
      message.note(furthest->layers->range, "the other one");
      if (spec.hasPlans)
        message.note(plan.name.range,
                     "the plan '" + plan.name.value + "' has both");
      if (reporter.isFull())
        return;
    }
    if (!furthest ||
        policy->layers->span.last > furthest->layers->span.last)
      furthest = policy;
  }
}
