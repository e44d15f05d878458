//===- Check.h - What can be told from a spec alone ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_CHECK_H
#define WEIR_LIB_SPEC_CHECK_H

#include "Lookup.h"

#include "weir/Spec/Source.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <set>

namespace weir::spec {

class Checker {
public:
  Checker(const Spec &spec, Reporter &reporter)
      : spec(spec), reporter(reporter), lookup(spec) {}

  void check();

private:
  /// Layer and site, in the order in which a model computes them.
  using Place = std::pair<int64_t, SiteKind>;
  /// The index part of a key that stands for all features of a site.
  static constexpr uint64_t everyFeature = 0xFFFFFFFFull;

  bool checkSize();
  void checkMatch(const Match &match);
  void checkLink(const Selector &selector, const Match &match);
  // CheckGraphs.cpp
  void checkGraph(const Graph &graph);
  void checkWalk(const Graph &graph, const Match &match,
                 const DictionarySet &set);
  void checkKeep(const Graph &graph, const Match &match,
                 const DictionarySet &set);
  void checkPath(const Graph &graph, const Match &match,
                 const DictionarySet &set);
  /// Whether a match compares this site; reports it if not.
  bool reaches(const Match &match, const DictionarySet &set,
               const SiteRef &site, SourceRange where);
  /// How deep a graph or a list is made of others; nothing after a report.
  std::optional<int64_t> depthOf(const Graph &graph, const Graph &root,
                                 int64_t at);
  std::optional<int64_t> depthOf(const Selection &selection, const Graph &root,
                                 int64_t at);
  void checkWeight(const Policy &policy);
  void checkLabels();

  void checkSelection(const Selection &selection);
  void checkRepeats(const Selection &selection);
  void checkPolicy(const Policy &policy);
  void checkGate(const Policy &policy);
  void checkTransfer(const Policy &policy);
  void checkStrength(const Policy &policy);
  void checkCondition(const Condition &condition, const Policy &policy,
                      const std::optional<Place> &earliest);
  // Substitutions.cpp
  void checkSubstitution(const Policy &policy);
  void checkReplacing(const Condition &condition, const LayerRange &span);
  void checkCovers(const LayerRange &has, SourceRange where,
                   const llvm::Twine &what, int64_t first, int64_t last);
  void checkReplaced(const Plan &plan);

  void checkPlan(const Plan &plan);
  void checkConflicts();
  void warnAboutUnused();

  /// The dictionary of a site that it covers, or null after a report.
  const DictionarySet *checkSite(const SiteRef &site);
  static bool covers(const DictionarySet &set, const SiteRef &site);
  template <typename Entry>
  const Entry *refer(const Index<Entry> &index, const Name &name,
                     llvm::StringRef what, llvm::StringRef section);
  std::optional<Place> writtenAt(const Policy &policy,
                                 const Selector &selector) const;
  /// One number for a feature or a whole site of a dictionary.
  std::optional<uint64_t> keyOf(const Selector &selector) const;
  uint64_t siteKey(const DictionarySet &set, const SiteRef &site) const;
  std::string textOf(const Selector &selector) const;

  const Spec &spec;
  Reporter &reporter;
  Lookup lookup;
  llvm::DenseSet<const void *> used;
  llvm::DenseMap<const void *, int64_t> depths; ///< of graphs and lists
  /// Dictionary, layer and site -> a number, in the order in which they come up.
  mutable llvm::DenseMap<std::tuple<const DictionarySet *, int64_t, unsigned>,
                         uint64_t>
      siteNumbers;
  /// Policy -> the plans that name it, by their number, in order.
  llvm::StringMap<std::vector<unsigned>> plansOfName;
};

template <typename Entry>
const Entry *Checker::refer(const Index<Entry> &index, const Name &name,
                            llvm::StringRef what,
                            llvm::StringRef section) {
  if (const Entry *entry = index.find(name.value)) {
    used.insert(entry);
    return entry;
  }
  std::string hint = index.entries().empty()
                         ? ("; there is no section '" + section + "'").str()
                         : suggest(name.value, index.names(), "there is");
  reporter.error(name.range,
                 "unknown " + what + " " + inQuotes(name.value) + hint);
  return nullptr;
}

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_CHECK_H
