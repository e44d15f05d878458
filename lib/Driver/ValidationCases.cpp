//===- ValidationCases.cpp - What is taken away, and where ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is chosen depends on the seed, the text and the target, and on nothing else:
// not on which windows are read together. Cases that take the same away from the
// same token are computed once, whatever target and method they are of.
//
//===----------------------------------------------------------------------===//

#include "ValidationCases.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace weir;

uint32_t weir::groupBit(fx::SiteKind kind) {
  return uint32_t(1) << static_cast<uint32_t>(kind);
}

bool CaseStudy::wants(ValidationMethod method) const {
  return llvm::is_contained(result.methods, method);
}

void CaseStudy::resume() {
  counts.assign(plan.targets.size(), 0);
  for (const ValidationOccurrence &occurrence : result.occurrences)
    ++counts[occurrence.target];
  open = llvm::count_if(
      counts, [&](int64_t count) { return count < options.occurrences; });
}

/// A number that looks like chance; the mixer is that of SplitMix64.
uint64_t CaseStudy::draw(uint64_t purpose, uint32_t target, uint32_t window,
                         uint64_t further) const {
  const ValidationFeature &feature = plan.targets[target];
  const ActivationSite &site = plan.sites[feature.site];
  uint64_t state = options.seed;
  for (uint64_t part :
       {purpose, static_cast<uint64_t>(site.kind), uint64_t(site.layer),
        uint64_t(feature.index), uint64_t(window), further}) {
    state += part + 0x9e3779b97f4a7c15;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
    state ^= state >> 31;
  }
  return state;
}

float CaseStudy::activation(const ValidationFeature &feature,
                            size_t token) const {
  const SparseRecord &record = recorded->activations[feature.site];
  auto begin = record.features.begin() + record.starts[token];
  auto end = record.features.begin() + record.starts[token + 1];
  auto found = std::lower_bound(begin, end, feature.index);
  return found != end && *found == feature.index
             ? record.values[found - record.features.begin()]
             : 0;
}

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

/// The most similar predecessor of each module that graphs know.
static std::vector<ValidationFeature> bestInGraphs(const ValidationPlan &plan,
                                                   uint32_t target) {
  std::vector<ValidationFeature> best;
  auto found = plan.edges.find(plan.targets[target]);
  if (found == plan.edges.end())
    return best;
  for (const ValidationPredecessor &each : found->second)
    if (llvm::none_of(best, [&](const ValidationFeature &known) {
          return known.site == each.feature.site;
        }))
      best.push_back(each.feature);
  return best;
}

/// In each window one token where a target fires.
void CaseStudy::choose() {
  llvm::DenseMap<std::pair<uint32_t, int32_t>, uint32_t> targetOf;
  std::vector<uint32_t> targetSites;
  for (auto [number, target] : llvm::enumerate(plan.targets)) {
    targetOf[{target.site, target.index}] = number;
    if (targetSites.empty() || targetSites.back() != target.site)
      targetSites.push_back(target.site);
  }
  firstOccurrence = result.occurrences.size();
  std::map<uint32_t, std::vector<int32_t>> places; // by target
  for (size_t row = 0; row < recorded->windows; ++row) {
    auto window = static_cast<uint32_t>(recorded->firstWindow + row);
    // The loss is that of a next token.
    int64_t end = static_cast<int64_t>(lengthOf[row]) - (options.losses ? 1 : 0);
    places.clear();
    for (int64_t at = result.windows.skipFirst(); at < end; ++at)
      for (uint32_t site : targetSites) {
        const SparseRecord &record = recorded->activations[site];
        size_t token = firstToken[row] + at;
        for (int64_t i = record.starts[token]; i < record.starts[token + 1]; ++i)
          if (auto found = targetOf.find({site, record.features[i]});
              found != targetOf.end() && record.values[i] > 0)
            places[found->second].push_back(static_cast<int32_t>(at));
      }
    for (auto &[target, tokens] : places) {
      if (counts[target] >= options.occurrences)
        continue;
      ValidationOccurrence occurrence;
      occurrence.target = target;
      occurrence.window = window;
      occurrence.position = tokens[draw(0, target, window) % tokens.size()];
      size_t token = tokenOf(window, occurrence.position);
      for (const ValidationFeature &best : bestInGraphs(plan, target))
        if (activation(best, token) > 0)
          occurrence.group |= groupBit(plan.sites[best.site].kind);
      for (const ValidationLink &link : plan.links) {
        if (plan.followsGraphs || link.isPermutation ||
            link.target != plan.targets[target].site)
          continue;
        int64_t best = link.indices[plan.targets[target].index * link.k];
        if (best >= 0 &&
            activation({uint32_t(link.predecessor), int32_t(best)}, token) > 0)
          occurrence.group |= groupBit(plan.sites[link.predecessor].kind);
      }
      result.occurrences.push_back(occurrence);
      if (++counts[target] == options.occurrences)
        --open;
    }
  }
}

void CaseStudy::addCase(uint32_t number, ValidationMethod method,
                        std::vector<ValidationFeature> predecessors) {
  if (predecessors.empty())
    return;
  llvm::sort(predecessors);
  const ValidationOccurrence &occurrence = result.occurrences[number];
  const ValidationFeature &target = plan.targets[occurrence.target];
  std::vector<size_t> sites;
  for (const ValidationFeature &feature : predecessors)
    if (sites.empty() || sites.back() != feature.site)
      sites.push_back(feature.site);
  Run run;
  run.slice = plan.sliceOf.at({target.site, sites});
  run.row = occurrence.window - recorded->firstWindow;
  run.position = occurrence.position;
  run.removed = predecessors;
  run.tokens = 1;
  if (options.losses)
    run.tokens = std::min<int64_t>(options.lossTokens,
                                   lengthOf[run.row] - 1 - run.position);
  auto [place, isNew] = runOf.try_emplace(
      {run.slice, run.row, run.position, run.removed}, runs.size());
  if (isNew)
    runs.push_back(std::move(run));
  runs[place->second].cases.push_back(planned.size());

  ValidationCase made;
  made.occurrence = number;
  made.method = method;
  made.predecessors = std::move(predecessors);
  size_t token = tokenOf(occurrence.window, occurrence.position);
  made.before = activation(target, token);
  made.loss = made.lossAfter = std::numeric_limits<double>::quiet_NaN();
  planned.push_back({std::move(made), place->second});
}

/// All combinations of several of these.
void CaseStudy::addJointCases(uint32_t number,
                              llvm::ArrayRef<ValidationFeature> best) {
  for (uint32_t subset = 1; subset < (1u << best.size()); ++subset) {
    std::vector<ValidationFeature> chosen;
    for (size_t i = 0; i < best.size(); ++i)
      if (subset >> i & 1)
        chosen.push_back(best[i]);
    if (chosen.size() > 1)
      addCase(number, ValidationMethod::Joint, std::move(chosen));
  }
}

/// Cases of the edges that graphs have.
void CaseStudy::addGraphCases(uint32_t number) {
  const ValidationOccurrence occurrence = result.occurrences[number];
  const size_t token = tokenOf(occurrence.window, occurrence.position);
  std::vector<ValidationFeature> best, active;
  for (const ValidationFeature &each : bestInGraphs(plan, occurrence.target))
    if (activation(each, token) > 0)
      best.push_back(each);
  llvm::sort(best);
  auto found = plan.edges.find(plan.targets[occurrence.target]);
  if (found != plan.edges.end())
    for (const ValidationPredecessor &each : found->second)
      if (activation(each.feature, token) > 0)
        active.push_back(each.feature);
  if (wants(ValidationMethod::Edges))
    for (const ValidationFeature &each : active)
      addCase(number, ValidationMethod::Edges, {each});
  if (!wants(ValidationMethod::Joint))
    return;
  addJointCases(number, best);
  // Everything that the graph knows, where it is wider than one.
  if (active.size() > 1 && active.size() > best.size())
    addCase(number, ValidationMethod::Joint, std::move(active));
}

void CaseStudy::addCases(uint32_t number) {
  const ValidationOccurrence occurrence = result.occurrences[number];
  const ValidationFeature target = plan.targets[occurrence.target];
  const size_t token = tokenOf(occurrence.window, occurrence.position);
  // What is off already cannot be taken away.
  auto isActive = [&](const ValidationFeature &feature) {
    return feature.index >= 0 && activation(feature, token) > 0;
  };
  std::vector<ValidationFeature> best;
  if (plan.followsGraphs)
    addGraphCases(number);
  for (const ValidationLink &link : plan.links) {
    if (link.target != target.site)
      continue;
    auto site = static_cast<uint32_t>(link.predecessor);
    auto ranked = [&](int64_t rank) {
      return ValidationFeature{
          site, static_cast<int32_t>(link.indices[target.index * link.k + rank])};
    };
    if (link.isPermutation) {
      if (wants(ValidationMethod::Permutation) && isActive(ranked(0)))
        addCase(number, ValidationMethod::Permutation, {ranked(0)});
      continue;
    }
    if (isActive(ranked(0))) {
      best.push_back(ranked(0));
      if (wants(ValidationMethod::Top1))
        addCase(number, ValidationMethod::Top1, {ranked(0)});
    }
    const int64_t five = std::min<int64_t>(5, link.k);
    if (wants(ValidationMethod::RandomOf5)) {
      // By the module and not by its place in the spec.
      const ActivationSite &module = plan.sites[link.predecessor];
      const uint64_t chance =
          draw(1, occurrence.target, occurrence.window,
               uint64_t(module.layer) * 16 + uint64_t(module.kind));
      auto one = ranked(static_cast<int64_t>(chance % uint64_t(five)));
      if (isActive(one))
        addCase(number, ValidationMethod::RandomOf5, {one});
    }
    if (wants(ValidationMethod::Top5)) {
      std::vector<ValidationFeature> active;
      for (int64_t rank = 0; rank < five; ++rank)
        if (isActive(ranked(rank)))
          active.push_back(ranked(rank));
      addCase(number, ValidationMethod::Top5, std::move(active));
    }
    if (wants(ValidationMethod::Exhaustive)) {
      const SparseRecord &record = recorded->activations[site];
      for (int64_t i = record.starts[token]; i < record.starts[token + 1]; ++i)
        if (record.values[i] > 0)
          addCase(number, ValidationMethod::Exhaustive,
                  {{site, record.features[i]}});
    }
  }
  if (wants(ValidationMethod::Joint) && !plan.followsGraphs)
    addJointCases(number, best);
}

//===----------------------------------------------------------------------===//
// Computing
//===----------------------------------------------------------------------===//

llvm::Error CaseStudy::computeBatch(RecordedCases &cases, size_t slice,
                                    int64_t tokens,
                                    llvm::ArrayRef<const Run *> batch) {
  const WantedSlice &wanted = plan.slices[slice];
  CaseBatch asked;
  asked.slices = {slice};
  if (options.losses)
    llvm::append_range(asked.slices, plan.tails.at(*wanted.to));
  asked.tokens = tokens;
  const size_t k = plan.removed;
  asked.features.assign(wanted.edited.size(),
                        std::vector<int64_t>(batch.size() * k));
  asked.kept.assign(wanted.edited.size(), std::vector<uint8_t>(batch.size() * k));
  for (auto [row, run] : llvm::enumerate(batch)) {
    asked.rows.push_back(run->row);
    asked.positions.push_back(run->position);
    std::vector<size_t> next(wanted.edited.size(), 0);
    for (const ValidationFeature &feature : run->removed) {
      size_t edit = llvm::find(wanted.edited, feature.site) - wanted.edited.begin();
      size_t place = row * k + next[edit]++;
      asked.features[edit][place] = feature.index;
      asked.kept[edit][place] = 1;
    }
  }
  auto results = cases.run(asked);
  if (!results)
    return results.takeError();
  for (auto [row, run] : llvm::enumerate(batch))
    for (size_t number : run->cases) {
      ValidationCase &made = planned[number].made;
      const ValidationOccurrence &occurrence =
          result.occurrences[made.occurrence];
      int64_t index = plan.targets[occurrence.target].index;
      made.after = results->activations[row * results->width + index];
      if (!std::isfinite(made.before) || !std::isfinite(made.after))
        return llvm::createStringError(
            "window " + llvm::Twine(occurrence.window) + ", position " +
            llvm::Twine(occurrence.position) + ": an activation is not finite");
      if (!options.losses)
        continue;
      made.loss = made.lossAfter = 0;
      size_t token = tokenOf(occurrence.window, occurrence.position);
      for (int64_t t = 0; t < tokens; ++t) {
        made.loss += recorded->losses[token + t];
        made.lossAfter += results->losses[row * tokens + t];
      }
      made.loss /= static_cast<double>(tokens);
      made.lossAfter /= static_cast<double>(tokens);
    }
  return llvm::Error::success();
}

llvm::Error CaseStudy::compute(RecordedCases &cases) {
  std::map<std::pair<size_t, int64_t>, std::vector<const Run *>> groups;
  for (const Run &run : runs)
    groups[{run.slice, run.tokens}].push_back(&run);
  for (const auto &[group, members] : groups) {
    llvm::ArrayRef<const Run *> rest = members;
    while (!rest.empty()) {
      size_t count = std::min<size_t>(rest.size(), options.rows);
      if (llvm::Error error = computeBatch(cases, group.first, group.second,
                                           rest.take_front(count)))
        return error;
      rest = rest.drop_front(count);
    }
  }
  return llvm::Error::success();
}

llvm::Error CaseStudy::study(RecordedCases &cases,
                             const RecordedWindows &windows) {
  recorded = &windows;
  firstToken.clear();
  lengthOf.clear();
  size_t token = 0;
  for (size_t row = 0; row < windows.windows; ++row) {
    size_t length = result.windows.length(windows.firstWindow + row);
    firstToken.push_back(token);
    lengthOf.push_back(length);
    token += length;
  }
  planned.clear();
  runs.clear();
  runOf.clear();
  choose();
  for (size_t i = firstOccurrence; i < result.occurrences.size(); ++i)
    addCases(static_cast<uint32_t>(i));
  if (llvm::Error error = compute(cases))
    return error;
  for (Planned &each : planned)
    result.cases.push_back(std::move(each.made));
  return llvm::Error::success();
}
