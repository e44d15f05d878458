//===- Lookup.h - Names of a spec and what they stand for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_LOOKUP_H
#define WEIR_LIB_SPEC_LOOKUP_H

#include "weir/Spec/AST.h"

#include "llvm/ADT/StringMap.h"

namespace weir::spec {

/// Entries of one section by name. The section must outlive it.
template <typename Entry> class Index {
public:
  explicit Index(const std::vector<Entry> &entries) : all(entries) {
    for (const Entry &entry : entries)
      byName.try_emplace(entry.name.value, &entry);
  }
  const Entry *find(llvm::StringRef name) const { return byName.lookup(name); }
  /// Position of an entry in its section.
  size_t position(const Entry *entry) const { return entry - all.data(); }
  std::vector<llvm::StringRef> names() const {
    std::vector<llvm::StringRef> result;
    for (const Entry &entry : all)
      result.push_back(entry.name.value);
    return result;
  }
  const std::vector<Entry> &entries() const { return all; }

private:
  const std::vector<Entry> &all;
  llvm::StringMap<const Entry *> byName;
};

struct Lookup {
  explicit Lookup(const Spec &spec)
      : spec(spec), dictionaries(spec.dictionaries), matches(spec.matches),
        graphs(spec.graphs), features(spec.features), knobs(spec.knobs),
        policies(spec.policies) {}

  const Spec &spec;
  Index<DictionarySet> dictionaries;
  Index<Match> matches;
  Index<Graph> graphs;
  Index<FeatureList> features;
  Index<Knob> knobs;
  Index<Policy> policies;

  /// The dictionary that a site or feature is of, or null: the one it names, or
  /// the only one there is.
  const DictionarySet *dictionaryOf(const SiteRef &site) const {
    if (site.dictionary)
      return dictionaries.find(site.dictionary->value);
    return spec.dictionaries.size() == 1 ? &spec.dictionaries.front() : nullptr;
  }

  /// The dictionary whose features a match compares, or null.
  const DictionarySet *dictionaryOf(const Match &match) const {
    if (match.dictionary)
      return dictionaries.find(match.dictionary->value);
    return spec.dictionaries.size() == 1 ? &spec.dictionaries.front() : nullptr;
  }

  /// The layers and sites that a match compares.
  const LayerRange &layersOf(const Match &match,
                             const DictionarySet &set) const {
    return match.layers ? *match.layers : *set.layers;
  }
  const std::vector<Marked<SiteKind>> &sitesOf(const Match &match,
                                               const DictionarySet &set) const {
    return match.sites.empty() ? set.sites : match.sites;
  }
  /// How a match compares features where it does not say so.
  static Similarity similarityOf(const Match &match) {
    if (match.similarity)
      return match.similarity->value;
    return match.method.value == MatchMethod::TopK
               ? Similarity::Cosine
               : Similarity::MeanSquaredError;
  }

  /// A selector of a policy, with named lists replaced by what is in them.
  struct Expanded {
    const Selector *selector;
    SourceRange where; ///< in the policy
  };
  std::vector<Expanded> expand(const Selection &selection) const {
    std::vector<Expanded> result;
    for (const Selector &selector : selection.selectors) {
      if (selector.kind != Selector::Kind::Named) {
        result.push_back({&selector, selector.range});
        continue;
      }
      if (const FeatureList *list = features.find(selector.name.value))
        for (const Selector &inner : list->selection.selectors)
          result.push_back({&inner, selector.range});
    }
    return result;
  }
  size_t expandedSize(const Selection &selection) const {
    size_t size = 0;
    for (const Selector &selector : selection.selectors) {
      const FeatureList *list = selector.kind == Selector::Kind::Named
                                    ? features.find(selector.name.value)
                                    : nullptr;
      size += list ? list->selection.selectors.size() : 1;
    }
    return size;
  }
};

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_LOOKUP_H
