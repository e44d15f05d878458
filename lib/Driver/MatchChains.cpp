//===- MatchChains.cpp - A feature followed along matches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/MatchChains.h"

#include "weir/Spec/Spec.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"

using namespace weir;
using llvm::StringRef;

llvm::Expected<FollowedFeature> FollowedFeature::parse(StringRef text) {
  FollowedFeature feature;
  StringRef rest = text;
  if (rest.contains(':')) {
    auto [dictionary, behind] = rest.split(':');
    feature.dictionary = dictionary.str();
    rest = behind;
  }
  llvm::SmallVector<StringRef, 3> parts;
  rest.split(parts, '/');
  if (parts.size() != 3 || parts[0].getAsInteger(10, feature.layer) ||
      parts[2].getAsInteger(10, feature.index) || feature.layer < 0 ||
      feature.index < 0 || !fx::symbolizeSiteKind(parts[1]))
    return llvm::createStringError(
        "'" + text + "' is no feature: a feature is layer/site/index, such as "
                     "12/res/411, with the name of its dictionary before it "
                     "where there are several (sae:12/res/411)");
  feature.site = parts[1].str();
  return feature;
}

namespace {

/// The matches of one `matching`.
struct Follower {
  std::vector<const MatchEntry *> entries;

  /// Whether a match leads from a feature to those before it.
  static bool leadsBackward(const MatchEntry &entry) {
    return entry.method == "top_k";
  }

  /// The most similar feature on one side of a feature, if there is any. As the
  /// selectors have it: by similarity, then by match, then by index.
  std::optional<ChainLink> next(const ChainLink &from, bool backward) const {
    std::optional<ChainLink> best;
    auto offer = [&](StringRef site, int64_t index, double similarity,
                     bool anySimilarity) {
      if (index < 0 || (similarity <= 0 && !anySimilarity))
        return;
      if (!best || similarity > best->similarity)
        best = ChainLink{site.str(), index, similarity};
    };
    for (const MatchEntry *entry : entries) {
      const matching::Match &match = entry->match;
      bool any = entry->similarity == "mse";
      if (leadsBackward(*entry) == backward) {
        if (entry->source != from.site || from.index >= match.rows)
          continue;
        for (int64_t t = from.index * match.k; t < (from.index + 1) * match.k;
             ++t)
          offer(entry->target, match.indices[t], match.values[t], any);
        continue;
      }
      if (entry->target != from.site)
        continue;
      for (auto [t, index] : llvm::enumerate(match.indices))
        if (index == from.index)
          offer(entry->source, static_cast<int64_t>(t) / match.k,
                match.values[t], any);
    }
    return best;
  }

  std::vector<ChainLink> chain(ChainLink from, bool backward) const {
    std::vector<ChainLink> links;
    // Each step goes on to another layer, or to an earlier site of one.
    while (std::optional<ChainLink> found = next(from, backward)) {
      links.push_back(*found);
      if (links.size() > 2 * entries.size())
        break;
      from = std::move(*found);
    }
    return links;
  }
};

} // namespace

llvm::Expected<std::vector<MatchChain>>
weir::followFeature(const FollowedFeature &feature, const MatchReport &report,
                    mlir::ModuleOp module) {
  std::string site = feature.site + "." + std::to_string(feature.layer);
  std::vector<MatchChain> chains;
  bool isOutside = false;
  for (auto matching : module.getOps<flow::MatchingOp>()) {
    if (!feature.dictionary.empty() &&
        specName(matching.getCollection()) != feature.dictionary)
      continue;
    Follower follower;
    bool hasSite = false;
    for (const MatchEntry &entry : report.entries()) {
      if (entry.matching != specName(matching.getSymName()) || entry.steps != 1)
        continue;
      follower.entries.push_back(&entry);
      for (auto [name, size] : {std::pair(&entry.source, entry.match.rows),
                                std::pair(&entry.target, entry.match.columns)})
        if (*name == site) {
          hasSite = true;
          isOutside |= feature.index >= size;
        }
    }
    if (!hasSite || isOutside)
      continue;
    MatchChain chain;
    chain.matching = specName(matching.getSymName()).str();
    chain.start = {site, feature.index, 0};
    chain.predecessors = follower.chain(chain.start, /*backward=*/true);
    chain.successors = follower.chain(chain.start, /*backward=*/false);
    chains.push_back(std::move(chain));
  }
  if (isOutside)
    return llvm::createStringError(
        "there is no feature " + std::to_string(feature.index) + " at " +
        std::to_string(feature.layer) + "/" + feature.site);
  if (chains.empty())
    return llvm::createStringError(
        "no match " +
        (feature.dictionary.empty() ? std::string()
                                    : "of '" + feature.dictionary + "' ") +
        "has the site " + std::to_string(feature.layer) + "/" + feature.site);
  return chains;
}

/// "12/res/411" of "res.12" and 411.
static std::string textOf(const ChainLink &link) {
  auto [kind, layer] = StringRef(link.site).split('.');
  return (layer + "/" + kind + "/" + llvm::Twine(link.index)).str();
}

void weir::printChains(llvm::ArrayRef<MatchChain> chains,
                       llvm::raw_ostream &os) {
  for (const MatchChain &chain : chains) {
    auto print = [&](const ChainLink &link) {
      os << "  " << llvm::left_justify(textOf(link), 16)
         << llvm::format("%7.3f\n", link.similarity);
    };
    os << chain.matching << "\n";
    if (chain.predecessors.empty())
      os << "  (no predecessor)\n";
    for (const ChainLink &link : llvm::reverse(chain.predecessors))
      print(link);
    os << "> " << textOf(chain.start) << "\n";
    for (const ChainLink &link : chain.successors)
      print(link);
    if (chain.successors.empty())
      os << "  (no successor)\n";
  }
}

llvm::json::Array weir::toJSON(llvm::ArrayRef<MatchChain> chains) {
  llvm::json::Array result;
  for (const MatchChain &chain : chains) {
    auto list = [](llvm::ArrayRef<ChainLink> links) {
      llvm::json::Array array;
      for (const ChainLink &link : links)
        array.push_back(llvm::json::Object{{"feature", textOf(link)},
                                           {"similarity", link.similarity}});
      return array;
    };
    result.push_back(
        llvm::json::Object{{"matching", chain.matching},
                           {"feature", textOf(chain.start)},
                           {"predecessors", list(chain.predecessors)},
                           {"successors", list(chain.successors)}});
  }
  return result;
}
