//===- Check.cpp - What can be told from a spec alone ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"

#include "weir/Dialect/Steer/IR/Conflicts.h"
#include "weir/Spec/Keywords.h"
#include "weir/Spec/Spec.h"

#include <cmath>
#include <limits>

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

void weir::spec::checkSpec(const Spec &spec, Reporter &reporter) {
  Checker(spec, reporter).check();
}

void Checker::check() {
  for (const Match &match : spec.matches)
    checkMatch(match);
  for (const Graph &graph : spec.graphs)
    checkGraph(graph);
  for (const Graph &graph : spec.graphs)
    if (!depthOf(graph, graph, 1))
      break;
  checkLabels();
  for (const FeatureList &list : spec.features)
    checkSelection(list.selection);
  if (!checkSize())
    return;
  for (auto [i, plan] : llvm::enumerate(spec.plans))
    for (const Name &name : plan.policies)
      plansOfName[name.value].push_back(i);
  for (const Policy &policy : spec.policies)
    checkPolicy(policy);
  for (const Plan &plan : spec.plans)
    checkPlan(plan);
  checkConflicts();
  if (!reporter.failed())
    warnAboutUnused();
}

/// Keeps the work below bounded: a short spec can name one long list often.
bool Checker::checkSize() {
  size_t total = 0;
  for (const Policy &policy : spec.policies) {
    total += lookup.expandedSize(policy.on) + lookup.expandedSize(policy.to);
    if (total > maxSelected) {
      reporter.error(policy.name.range, "the policies name more than " +
                                            Twine(maxSelected) +
                                            " features together");
      return false;
    }
  }
  return true;
}

//===----------------------------------------------------------------------===//
// References
//===----------------------------------------------------------------------===//

const DictionarySet *Checker::checkSite(const SiteRef &site) {
  const DictionarySet *set = nullptr;
  if (site.dictionary) {
    set = refer(lookup.dictionaries, *site.dictionary, "dictionary",
                "dictionaries");
  } else if (spec.dictionaries.empty()) {
    reporter.error(site.range, "a feature is named, but there is no section "
                               "'dictionaries' to look it up in");
  } else if (spec.dictionaries.size() > 1) {
    // Those that could be meant come first.
    std::vector<StringRef> candidates;
    for (const DictionarySet &candidate : spec.dictionaries)
      if (candidate.isComplete() && covers(candidate, site))
        candidates.push_back(candidate.name.value);
    StringRef example = candidates.empty()
                            ? StringRef(spec.dictionaries[0].name.value)
                            : candidates.front();
    reporter.error(
        site.range,
        "there are several dictionaries; say which one is meant, such as '" +
            example + ":" +
            reporter.source().text().slice(site.range.begin, site.range.end) +
            "'");
  } else {
    set = &spec.dictionaries.front();
    used.insert(set);
  }
  if (!set || !set->isComplete() || covers(*set, site))
    return set;

  if (!set->layers->contains(site.layer.value))
    reporter
        .error(site.layer.range, "the dictionary '" + set->name.value +
                                     "' has no layer " +
                                     Twine(site.layer.value) + "; it covers " +
                                     Twine(set->layers->first) + " to " +
                                     Twine(set->layers->last))
        .note(set->layers->range, "its layers");
  if (!set->hasSite(site.site.value)) {
    std::string sites;
    for (const auto &known : set->sites)
      sites += (sites.empty() ? "'" : ", '") + nameOf(known.value).str() + "'";
    reporter
        .error(site.site.range,
               "the dictionary '" + set->name.value + "' has no site '" +
                   nameOf(site.site.value) + "'; it has " + sites)
        .note(set->name.range, "the dictionary");
  }
  return nullptr;
}

bool Checker::covers(const DictionarySet &set, const SiteRef &site) {
  return set.layers->contains(site.layer.value) && set.hasSite(site.site.value);
}

void Checker::checkMatch(const Match &match) {
  const DictionarySet *set = nullptr;
  if (match.dictionary)
    set = refer(lookup.dictionaries, *match.dictionary, "dictionary",
                "dictionaries");
  else if (spec.dictionaries.size() == 1)
    set = &spec.dictionaries.front();
  else if (match.isRead)
    reporter.error(match.name.range,
                   spec.dictionaries.empty()
                       ? "a match needs dictionaries, but there is no section "
                         "'dictionaries'"
                       : "there are several dictionaries; say which one is "
                         "matched with the key 'dictionary'");
  if (!set || !set->isComplete())
    return;
  used.insert(set);
  for (const auto &site : match.sites)
    if (!set->hasSite(site.value))
      reporter.error(site.range, "the dictionary '" + set->name.value +
                                     "' has no site '" + nameOf(site.value) +
                                     "'");
  if (match.layers && (!set->layers->contains(match.layers->first) ||
                       !set->layers->contains(match.layers->last)))
    reporter
        .error(match.layers->range, "the dictionary '" + set->name.value +
                                        "' covers " +
                                        Twine(set->layers->first) + " to " +
                                        Twine(set->layers->last) + " only")
        .note(set->layers->range, "its layers");
}

/// A link stays within the dictionaries that its match compares.
void Checker::checkLink(const Selector &selector, const Match &match) {
  const DictionarySet *matched = lookup.dictionaryOf(match);
  const DictionarySet *named = lookup.dictionaryOf(selector.feature.site);
  if (!matched || !named || matched == named)
    return;
  reporter
      .error(selector.feature.range,
             "the match '" + match.name.value + "' is about the dictionary '" +
                 matched->name.value + "', the feature is of '" +
                 named->name.value + "'")
      .note(match.name.range, "the match");
}

//===----------------------------------------------------------------------===//
// Selections
//===----------------------------------------------------------------------===//

void Checker::checkSelection(const Selection &selection) {
  for (const Selector &selector : selection.selectors) {
    if (reporter.isFull())
      return;
    switch (selector.kind) {
    case Selector::Kind::Feature:
    case Selector::Kind::Antagonists:
      checkSite(selector.feature.site);
      break;
    case Selector::Kind::WholeSite:
      checkSite(selector.site);
      break;
    case Selector::Kind::Named:
      refer(lookup.features, selector.name, "list of features", "features");
      break;
    case Selector::Kind::Graph:
    case Selector::Kind::Opposed:
      refer(lookup.graphs, selector.name, "graph", "graphs");
      break;
    case Selector::Kind::Predecessors:
    case Selector::Kind::Successors:
      checkSite(selector.feature.site);
      if (selector.match)
        if (const Match *match = refer(lookup.matches, *selector.match, "match",
                                       "matches"))
          checkLink(selector, *match);
      break;
    }
  }
  checkRepeats(selection);
}

std::optional<uint64_t> Checker::keyOf(const Selector &selector) const {
  bool isFeature = selector.kind == Selector::Kind::Feature;
  if (!isFeature && selector.kind != Selector::Kind::WholeSite)
    return std::nullopt;
  const SiteRef &site = isFeature ? selector.feature.site : selector.site;
  const DictionarySet *set = lookup.dictionaryOf(site);
  if (!set)
    return std::nullopt;
  return siteKey(*set, site) |
         (isFeature ? uint64_t(selector.feature.index.value) : everyFeature);
}

uint64_t Checker::siteKey(const DictionarySet &set, const SiteRef &site) const {
  auto [number, isNew] = siteNumbers.try_emplace(
      std::tuple(&set, site.layer.value, unsigned(site.site.value)),
      siteNumbers.size());
  return number->second << 32;
}

void Checker::checkRepeats(const Selection &selection) {
  llvm::DenseMap<uint64_t, Lookup::Expanded> seen;
  for (const Lookup::Expanded &expanded : lookup.expand(selection)) {
    auto key = keyOf(*expanded.selector);
    if (!key)
      continue;
    auto [first, isNew] = seen.try_emplace(*key, expanded);
    if (isNew)
      continue;
    bool isFeature = expanded.selector->kind == Selector::Kind::Feature;
    Reporter::Message message = reporter.error(
        expanded.where,
        textOf(*expanded.selector) + (isFeature ? Twine(" is named twice")
                                                : Twine(" is selected twice")));
    message.note(first->second.where, "the first time");
    if (reporter.isFull())
      return;
  }
}

std::string Checker::textOf(const Selector &selector) const {
  bool isFeature = selector.kind == Selector::Kind::Feature;
  const SiteRef &site = isFeature ? selector.feature.site : selector.site;
  std::string text = isFeature ? "the feature " : "the site ";
  text +=
      std::to_string(site.layer.value) + "/" + nameOf(site.site.value).str();
  if (isFeature)
    text += "/" + std::to_string(selector.feature.index.value);
  return text;
}

//===----------------------------------------------------------------------===//
// Policies
//===----------------------------------------------------------------------===//

void Checker::checkPolicy(const Policy &policy) {
  checkSelection(policy.on);
  checkSelection(policy.to);
  if (policy.times)
    refer(lookup.knobs, *policy.times, "knob", "knobs");
  if (policy.match)
    refer(lookup.matches, *policy.match, "match", "matches");
  checkTransfer(policy);
  checkStrength(policy);
  checkGate(policy);
  checkSubstitution(policy);
  if (policy.when) {
    std::optional<Place> earliest;
    for (const Selection *selection : {&policy.on, &policy.to})
      for (const Lookup::Expanded &expanded : lookup.expand(*selection))
        if (auto place = writtenAt(policy, *expanded.selector))
          if (!earliest || *place < *earliest)
            earliest = place;
    checkCondition(*policy.when, policy, earliest);
  }
}

/// The first place at which a policy changes something for one selector.
std::optional<Checker::Place>
Checker::writtenAt(const Policy &policy, const Selector &selector) const {
  const SiteRef *site = nullptr;
  if (selector.kind == Selector::Kind::Feature ||
      selector.kind == Selector::Kind::Antagonists)
    site = &selector.feature.site;
  else if (selector.kind == Selector::Kind::WholeSite)
    site = &selector.site;
  if (!site)
    return std::nullopt;
  Place place{site->layer.value, site->site.value};
  if (!policy.layers || !policy.action || policy.action->value != Action::Add)
    return place;
  if (policy.layers->kind == Layers::Kind::Range)
    place.first = policy.layers->span.first;
  const DictionarySet *set = lookup.dictionaryOf(*site);
  if (policy.layers->kind == Layers::Kind::Cumulative && set && set->layers)
    place.first = set->layers->first;
  return place;
}

void Checker::checkCondition(const Condition &condition, const Policy &policy,
                             const std::optional<Place> &earliest) {
  for (const Condition &child : condition.children)
    checkCondition(child, policy, earliest);
  if (condition.kind == Condition::Kind::Watch)
    refer(lookup.graphs, condition.graph, "graph", "graphs");
  if (condition.kind != Condition::Kind::Compare ||
      !checkSite(condition.feature.site) || !earliest)
    return;
  Place read{condition.feature.site.layer.value,
             condition.feature.site.site.value};
  if (read <= *earliest)
    return;
  reporter
      .error(condition.feature.range,
             "the policy changes " + Twine(earliest->first) + "/" +
                 nameOf(earliest->second) +
                 ", which is computed before this feature; a condition "
                 "reads the same site or an earlier one")
      .note(policy.on.range, "what the policy acts on");
}

/// A recorded gate. It makes no use of its policy, which acts in plans or not.
void Checker::checkGate(const Policy &policy) {
  if (!policy.gate)
    return;
  bool wasUsed = used.contains(lookup.policies.find(policy.gate->value));
  const Policy *of = refer(lookup.policies, *policy.gate, "policy", "policies");
  if (!of)
    return;
  if (!wasUsed)
    used.erase(of);
  if (of->gate) {
    reporter
        .error(policy.gate->range, "the policy " + inQuotes(of->name.value) +
                                       " records a gate itself; name the one "
                                       "whose gate is meant")
        .note(of->gate->range, "the gate that it records");
    return;
  }
  // Nothing here may look at every plan for every policy.
  auto plansOf = [&](const Policy &wanted) -> llvm::ArrayRef<unsigned> {
    auto found = plansOfName.find(wanted.name.value);
    return found == plansOfName.end() ? llvm::ArrayRef<unsigned>()
                                      : llvm::ArrayRef<unsigned>(found->second);
  };
  llvm::ArrayRef<unsigned> others = plansOf(*of);
  bool together = llvm::any_of(plansOf(policy), [&](unsigned plan) {
    return std::binary_search(others.begin(), others.end(), plan);
  });
  if (!together)
    reporter.warning(policy.gate->range,
                     "no plan has both " + inQuotes(policy.name.value) +
                         " and " + inQuotes(of->name.value) +
                         ": this gate is always 0");
}

void Checker::checkTransfer(const Policy &policy) {
  if (!policy.action || policy.action->value != Action::Transfer ||
      policy.on.selectors.empty() || policy.to.selectors.empty())
    return;
  auto from = lookup.expand(policy.on), to = lookup.expand(policy.to);
  auto isKnown = [](const Lookup::Expanded &expanded) {
    return expanded.selector->kind == Selector::Kind::Feature;
  };
  if (from.empty() || to.empty())
    return; // a list that does not exist
  llvm::DenseMap<uint64_t, SourceRange> sources;
  for (const Lookup::Expanded &expanded : from)
    if (auto key = keyOf(*expanded.selector))
      sources.try_emplace(*key, expanded.where);
  for (const Lookup::Expanded &expanded : to)
    if (auto key = keyOf(*expanded.selector))
      if (auto source = sources.find(*key); source != sources.end()) {
        reporter
            .error(expanded.where, textOf(*expanded.selector) +
                                       " is on both sides of a transfer")
            .note(source->second, "here it is in 'on'");
        return;
      }
  if (!llvm::all_of(from, isKnown) || !llvm::all_of(to, isKnown))
    return;
  if (from.size() != to.size()) {
    reporter
        .error(policy.to.range,
               "a transfer pairs the features of 'on' and 'to' in order: "
               "there are " +
                   Twine(from.size()) + " and " + Twine(to.size()))
        .note(policy.on.range, "'on' is given here");
    return;
  }
  for (auto [a, b] : llvm::zip(from, to)) {
    const SiteRef &read = a.selector->feature.site;
    const SiteRef &written = b.selector->feature.site;
    if (Place{read.layer.value, read.site.value} <=
        Place{written.layer.value, written.site.value})
      continue;
    reporter
        .error(b.where, textOf(*b.selector) + " is computed before " +
                            textOf(*a.selector) +
                            ", from which it would take the activation")
        .note(a.where, "its partner in 'on'");
    return;
  }
}

/// An exponential grows without bound; its numbers must stay finite.
void Checker::checkStrength(const Policy &policy) {
  checkWeight(policy);
  if (!policy.strength ||
      policy.strength->schedule != ScheduleKind::Exponential)
    return;
  int64_t first = maxLayer, last = 0;
  for (const Lookup::Expanded &expanded : lookup.expand(policy.on)) {
    auto place = writtenAt(policy, *expanded.selector);
    if (!place)
      continue;
    const Selector &selector = *expanded.selector;
    const SiteRef &site = selector.kind == Selector::Kind::WholeSite
                              ? selector.site
                              : selector.feature.site;
    bool isRange = policy.layers && policy.layers->kind == Layers::Kind::Range;
    first = std::min(first, place->first);
    last =
        std::max(last, isRange ? policy.layers->span.last : site.layer.value);
  }
  if (first >= last)
    return;
  double rate =
      policy.strength->rate ? policy.strength->rate->value : defaultRate;
  double value = policy.strength->value.value;
  double end = value * std::exp(rate * double(last - first));
  if (value != 0 && !(std::fabs(end) <= std::numeric_limits<float>::max()))
    reporter.error(policy.strength->rate ? policy.strength->rate->range
                                         : policy.strength->range,
                   "the strength grows past what a 32-bit float can hold "
                   "before layer " +
                       Twine(last));
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

void Checker::checkPlan(const Plan &plan) {
  llvm::DenseMap<const Policy *, SourceRange> seen;
  for (const Name &name : plan.policies) {
    if (reporter.isFull())
      return;
    const Policy *policy = refer(lookup.policies, name, "policy", "policies");
    if (!policy)
      continue;
    auto [first, isNew] = seen.try_emplace(policy, name.range);
    if (!isNew)
      reporter
          .error(name.range, "the plan '" + plan.name.value + "' names " +
                                 inQuotes(name.value) + " twice")
          .note(first->second, "the first time");
  }
  checkReplaced(plan);
}

void Checker::checkConflicts() {
  std::vector<llvm::SmallVector<int64_t, 1>> plansOf(spec.policies.size());
  for (auto [i, plan] : llvm::enumerate(spec.plans))
    for (const Name &name : plan.policies)
      if (const Policy *policy = lookup.policies.find(name.value)) {
        auto &plans = plansOf[lookup.policies.position(policy)];
        if (plans.empty() || plans.back() != int64_t(i))
          plans.push_back(i);
      }

  // What a policy writes at one site, and where it says so; -1 is every feature.
  struct Write {
    unsigned policy;
    std::vector<int64_t> features;
    llvm::DenseMap<int64_t, Lookup::Expanded> where;
  };
  constexpr int64_t every = -1;
  std::vector<Write> writes;
  std::vector<uint64_t> sites;
  for (auto [i, policy] : llvm::enumerate(spec.policies)) {
    if (!policy.action || !isAbsolute(policy.action->value))
      continue;
    llvm::DenseMap<uint64_t, size_t> writeAt;
    for (const Selection *selection : {&policy.on, &policy.to})
      for (const Lookup::Expanded &expanded : lookup.expand(*selection)) {
        auto key = keyOf(*expanded.selector);
        if (!key)
          continue;
        bool isEvery = (*key & everyFeature) == everyFeature;
        uint64_t site = *key & ~everyFeature;
        auto [at, isNew] = writeAt.try_emplace(site, writes.size());
        if (isNew) {
          writes.emplace_back().policy = i;
          sites.push_back(site);
        }
        Write &write = writes[at->second];
        int64_t feature = isEvery ? every : int64_t(*key & everyFeature);
        if (write.where.try_emplace(feature, expanded).second && !isEvery)
          write.features.push_back(feature);
      }
  }

  // The address of a set's first member stands for the site.
  llvm::DenseMap<uint64_t, const void *> siteOf;
  std::vector<steer::AbsoluteEdit> edits;
  for (auto [write, site] : llvm::zip(writes, sites))
    edits.push_back({siteOf.try_emplace(site, &write).first->second,
                     write.features,
                     llvm::ArrayRef<int64_t>(plansOf[write.policy]),
                     write.where.contains(every)});
  for (const steer::Conflict &conflict : steer::findConflicts(edits)) {
    const Write &first = writes[conflict.first];
    const Write &second = writes[conflict.second];
    auto selectorOf = [&](const Write &write) {
      auto found = write.where.find(conflict.feature);
      return found != write.where.end() ? found->second
                                        : write.where.at(every);
    };
    const Policy &a = spec.policies[first.policy];
    const Policy &b = spec.policies[second.policy];
    // The narrower of the two says what it is about.
    const Write &named = first.where.contains(conflict.feature) ? first : second;
    Reporter::Message message = reporter.error(
        selectorOf(second).where,
        "the policies '" + a.name.value + "' (" + nameOf(a.action->value) +
            ") and '" + b.name.value + "' (" + nameOf(b.action->value) +
            ") both say what " + textOf(*selectorOf(named).selector) +
            " becomes; in a plan only one may");
    message.note(selectorOf(first).where,
                 "'" + a.name.value + "' writes it here");
    if (spec.hasPlans)
      message.note(spec.plans[*conflict.plan].name.range,
                   "the plan '" + spec.plans[*conflict.plan].name.value +
                       "' has both");
    if (reporter.isFull())
      return;
  }
}

void Checker::warnAboutUnused() {
  auto warn = [&](const auto &entries, StringRef what) {
    for (const auto &entry : entries)
      if (!used.contains(&entry))
        reporter.warning(entry.name.range, "the " + what + " " +
                                               inQuotes(entry.name.value) +
                                               " is never used");
  };
  warn(spec.dictionaries, "dictionary");
  warn(spec.features, "list of features");
  warn(spec.knobs, "knob");
  for (const Policy &policy : spec.policies)
    if (!used.contains(&policy))
      reporter.warning(policy.name.range, "the policy " +
                                              inQuotes(policy.name.value) +
                                              " is in no plan");
}
