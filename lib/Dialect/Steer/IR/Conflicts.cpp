//===- Conflicts.cpp - Two absolute edits of one feature ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/IR/Conflicts.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <set>

using namespace llvm;
using namespace weir::steer;

namespace {

/// Finds, among edits that all edit one feature, pairs that share a plan.
class PlanOwners {
public:
  explicit PlanOwners(ArrayRef<AbsoluteEdit> edits) : edits(edits) {}

  /// Calls `found(first, second, plan)` for each edit that shares a plan with an
  /// earlier one.
  template <typename Found>
  void check(ArrayRef<unsigned> editors, Found found) {
    DenseMap<int64_t, unsigned> owners;
    std::optional<unsigned> any, everywhere; // the first edit, of no known plans
    for (unsigned edit : editors) {
      const auto &plans = edits[edit].plans;
      if (everywhere) {
        found(*everywhere, edit, std::optional<int64_t>());
      } else if (!plans) {
        if (any)
          found(*any, edit, std::optional<int64_t>());
        everywhere = edit;
      }
      if (plans) {
        std::optional<std::pair<unsigned, int64_t>> shared;
        for (int64_t plan : *plans) {
          auto [owner, isNew] = owners.try_emplace(plan, edit);
          if (isNew || owner->second == edit)
            continue;
          // Of several, the earliest edit, and its first plan.
          if (!shared || std::pair(owner->second, plan) < *shared)
            shared = {owner->second, plan};
        }
        if (shared && !everywhere)
          found(shared->first, edit, std::optional(shared->second));
      }
      if (!any && !(plans && plans->empty()))
        any = edit;
    }
  }

private:
  ArrayRef<AbsoluteEdit> edits;
};

} // namespace

std::vector<Conflict>
weir::steer::findConflicts(ArrayRef<AbsoluteEdit> edits) {
  std::vector<std::optional<Conflict>> found(edits.size());
  // Of several conflicts of one edit, the one of the feature it names first.
  std::vector<size_t> placeOf(edits.size(), SIZE_MAX);
  auto note = [&](unsigned first, unsigned second, int64_t feature,
                  size_t place, std::optional<int64_t> plan) {
    if (place >= placeOf[second])
      return;
    placeOf[second] = place;
    found[second] = Conflict{first, second, feature, plan};
  };

  constexpr int64_t every = -1;
  MapVector<std::pair<const void *, int64_t>, SmallVector<unsigned, 1>> editors;
  for (auto [i, edit] : enumerate(edits)) {
    if (!edit.dictionary)
      continue;
    for (auto [place, feature] : enumerate(edit.features)) {
      auto &here = editors[{edit.dictionary, feature}];
      if (!here.empty() && here.back() == i) {
        note(i, i, feature, place, std::nullopt);
        continue;
      }
      here.push_back(i);
    }
    if (edit.everyFeature)
      editors[{edit.dictionary, every}].push_back(i);
  }
  // Who edits every feature edits each of those that are named, too.
  for (auto &[key, here] : editors) {
    if (key.second == every)
      continue;
    auto all = editors.find({key.first, every});
    if (all == editors.end())
      continue;
    here.append(all->second.begin(), all->second.end());
    llvm::sort(here);
    here.erase(llvm::unique(here), here.end());
  }

  // Policies often edit the same features: each set of edits is looked at once.
  std::set<std::vector<unsigned>> checked;
  for (auto &[key, here] : editors) {
    if (here.size() < 2)
      continue;
    // The same pairs conflict at a feature that was looked at before.
    if (!checked.insert({here.begin(), here.end()}).second)
      continue;
    auto report = [&, feature = key.second](unsigned first, unsigned second,
                                            std::optional<int64_t> plan) {
      const AbsoluteEdit &edit = edits[second];
      // One that edits every feature names this one behind its own.
      size_t place = find(edit.features, feature) - edit.features.begin();
      note(first, second, feature, place, plan);
    };
    PlanOwners(edits).check(here, report);
  }

  std::vector<Conflict> conflicts;
  for (auto &conflict : found)
    if (conflict)
      conflicts.push_back(*conflict);
  return conflicts;
}
