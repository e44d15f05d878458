//===- EffectScores.cpp - Causal scores of edges ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Cache/EffectScores.h"

#include "weir/Support/Hashing.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <cstring>
#include <tuple>

using namespace llvm;

namespace weir {

/// Counts up when the meaning of a score, or the form of an entry, changes.
static constexpr StringLiteral keyVersion = "weir effects 2";

std::string EffectKey::str() const {
  Sha256 hash;
  // Every part is preceded by its length: no two keys give the same sequence.
  for (StringRef part :
       {StringRef(keyVersion), StringRef(target.place), StringRef(target.content),
        StringRef(predecessor.place), StringRef(predecessor.content),
        StringRef(model), StringRef(text)}) {
    hash.update(std::to_string(part.size()) + ":");
    hash.update(part);
  }
  return hash.finish();
}

static auto edgeOf(const EffectScore &score) {
  return std::pair(score.target, score.predecessor);
}

/// More cases say more; the rest of the order only makes it one.
static bool saysMore(const EffectScore &a, const EffectScore &b) {
  if (a.cases != b.cases)
    return a.cases > b.cases;
  return a.change < b.change;
}

void EffectScores::merge(ArrayRef<EffectScore> others) {
  scores.insert(scores.end(), others.begin(), others.end());
  llvm::sort(scores, [](const EffectScore &a, const EffectScore &b) {
    if (edgeOf(a) != edgeOf(b))
      return edgeOf(a) < edgeOf(b);
    return saysMore(a, b);
  });
  scores.erase(llvm::unique(scores,
                            [](const EffectScore &a, const EffectScore &b) {
                              return edgeOf(a) == edgeOf(b);
                            }),
               scores.end());
}

const EffectScore *EffectScores::find(int64_t target,
                                      int64_t predecessor) const {
  auto edge = std::pair(target, predecessor);
  auto found = llvm::lower_bound(
      scores, edge,
      [](const EffectScore &score, const std::pair<int64_t, int64_t> &wanted) {
        return edgeOf(score) < wanted;
      });
  return found != scores.end() && edgeOf(*found) == edge ? &*found : nullptr;
}

std::string EffectScores::hash() const {
  Sha256 hash;
  for (const EffectScore &score : scores) {
    hash.update(&score.target, sizeof(score.target));
    hash.update(&score.predecessor, sizeof(score.predecessor));
    // One NaN is like another.
    double change = score.isMeasured() ? score.change : 0;
    hash.update(&change, sizeof(change));
    hash.update(&score.cases, sizeof(score.cases));
  }
  return hash.finish();
}

/// What stands in an entry, or nothing where it is no entry of scores.
static Expected<std::vector<EffectScore>> scoresOf(const CachedResult &entry) {
  auto edges = entry.tensor("edges", DType::Int64, {-1, 2});
  if (!edges)
    return edges.takeError();
  int64_t count = edges->shape[0];
  auto changes = entry.tensor("changes", DType::Float64, {count});
  if (!changes)
    return changes.takeError();
  auto cases = entry.tensor("cases", DType::Int64, {count});
  if (!cases)
    return cases.takeError();
  std::vector<EffectScore> scores(count);
  auto read = [](auto &into, const TensorView &from, int64_t at) {
    std::memcpy(&into, from.data + at * sizeof(into), sizeof(into));
  };
  for (int64_t i = 0; i < count; ++i) {
    read(scores[i].target, *edges, 2 * i);
    read(scores[i].predecessor, *edges, 2 * i + 1);
    read(scores[i].change, *changes, i);
    read(scores[i].cases, *cases, i);
  }
  return scores;
}

Expected<EffectScores>
EffectScores::load(const ResultCache &cache, const EffectKey &key,
                   function_ref<void(StringRef)> warn) {
  std::string name = key.str();
  auto damaged = [&](Error problem) -> Expected<EffectScores> {
    std::string text = toString(std::move(problem));
    if (warn)
      warn("an entry of the cache is damaged and was removed: " + text);
    if (Error error = cache.remove(name))
      return std::move(error);
    return EffectScores();
  };
  auto entry = cache.find(name);
  if (!entry)
    return damaged(entry.takeError());
  if (!*entry)
    return EffectScores();
  auto scores = scoresOf(**entry);
  if (!scores)
    return damaged(scores.takeError());
  EffectScores result;
  result.merge(*scores);
  return result;
}

Error recordEffects(const ResultCache &cache, const EffectKey &key,
                    ArrayRef<EffectScore> scores, StringRef about) {
  for (const EffectScore &score : scores) {
    std::string edge = std::to_string(score.predecessor) + " -> " +
                       std::to_string(score.target);
    if (score.target < 0 || score.predecessor < 0 || score.cases < 0)
      return createStringError("the effect of " + edge +
                               " has a negative index or number of cases");
    if (std::isfinite(score.change) != score.isMeasured())
      return createStringError("the effect of " + edge + " is " +
                               std::to_string(score.change) + " after " +
                               std::to_string(score.cases) + " cases");
  }
  std::string name = key.str();
  auto lock = cache.lock(name);
  if (!lock)
    return lock.takeError();
  auto known = EffectScores::load(cache, key);
  if (!known)
    return known.takeError();
  known->merge(scores);

  ArrayRef<EffectScore> all = known->all();
  std::vector<int64_t> edges, cases;
  std::vector<double> changes;
  for (const EffectScore &score : all) {
    edges.push_back(score.target);
    edges.push_back(score.predecessor);
    changes.push_back(score.change);
    cases.push_back(score.cases);
  }
  int64_t count = all.size();
  return cache.store(name,
                     {NamedTensor::of("edges", DType::Int64, {count, 2}, edges.data()),
                      NamedTensor::of("changes", DType::Float64, {count}, changes.data()),
                      NamedTensor::of("cases", DType::Int64, {count}, cases.data())},
                     {{"about", about.str()},
                      {"target", key.target.place},
                      {"predecessor", key.predecessor.place}});
}

} // namespace weir
