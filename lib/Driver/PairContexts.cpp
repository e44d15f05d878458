//===- PairContexts.cpp - What matched features fire on ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PairContexts.h"

#include "ModelTokenizer.h"

#include <numeric>
#include <random>

using namespace llvm;
using namespace weir;

/// Tokens before and behind the active one that a context shows.
static constexpr int64_t tokensBefore = 20, tokensBehind = 8;

Expected<PairContexts> PairContexts::make(const Archive &model,
                                          const TokenWindows &windows,
                                          int64_t most, uint64_t seed) {
  auto tokenizer = tokenizerOf(model);
  if (!tokenizer)
    return tokenizer.takeError();
  return PairContexts(std::move(*tokenizer), windows, most, seed);
}

void PairContexts::choose(ArrayRef<MatchStatistics> matches,
                          ArrayRef<std::string> names, size_t dictionaries) {
  kept.resize(dictionaries);
  std::vector<size_t> order(matches.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) { return names[a] < names[b]; });
  std::vector<Pair> all;
  for (size_t place : order)
    for (auto [feature, partner] : enumerate(matches[place].matches()))
      if (partner >= 0)
        all.push_back({place, static_cast<int64_t>(feature), partner});
  // The engine and the steps are fixed by the standard, unlike std::shuffle.
  std::mt19937_64 random(seed);
  for (size_t at = 0;
       at < all.size() && at < 4 * static_cast<size_t>(most); ++at) {
    std::swap(all[at], all[at + random() % (all.size() - at)]);
    const Pair &pair = all[at];
    const MatchStatistics &match = matches[pair.match];
    chosen.push_back(pair);
    sides.push_back({match.source, match.target});
    kept[match.source].try_emplace(pair.feature);
    kept[match.target].try_emplace(pair.partner);
  }
}

void PairContexts::add(size_t dictionary, const ActivationBatch &batch,
                       const SparseRecord &record) {
  if (kept[dictionary].empty())
    return;
  int64_t token = 0;
  for (size_t window = batch.firstWindow;
       window < batch.firstWindow + batch.windows; ++window)
    for (int64_t at = 0; at < windows->counted(window); ++at, ++token)
      for (int64_t entry = record.starts[token];
           entry < record.starts[token + 1]; ++entry) {
        const float value = record.values[entry];
        auto found = kept[dictionary].find(record.features[entry]);
        if (found == kept[dictionary].end() || !(value > 0))
          continue;
        std::vector<Context> &contexts = found->second;
        const Context next{value, window, windows->skipFirst() + at};
        auto ofWindow = find_if(contexts, [&](const Context &context) {
          return context.window == window;
        });
        if (ofWindow == contexts.end())
          contexts.push_back(next);
        else if (value > ofWindow->activation)
          *ofWindow = next;
        // Earlier windows first where they are equal.
        llvm::sort(contexts, [](const Context &a, const Context &b) {
          return a.activation != b.activation ? a.activation > b.activation
                                              : a.window < b.window;
        });
        if (contexts.size() > mostContexts)
          contexts.pop_back();
      }
}

void PairContexts::save(PartWriter &part) const {
  for (const auto &features : kept) {
    std::vector<int32_t> order;
    for (const auto &[feature, contexts] : features)
      order.push_back(feature);
    llvm::sort(order);
    part.putAll(ArrayRef(order));
    for (int32_t feature : order)
      part.putAll(ArrayRef(features.find(feature)->second));
  }
}

void PairContexts::resume(PartReader &part) {
  for (auto &features : kept)
    for (int32_t feature : part.getAll<int32_t>())
      features[feature] = part.getAll<Context>();
}

std::vector<PairContexts::Pair> PairContexts::pairs() const {
  std::vector<Pair> result;
  auto fires = [&](size_t dictionary, int64_t feature) {
    return !kept[dictionary].lookup(feature).empty();
  };
  for (auto [pair, ends] : zip_equal(chosen, sides))
    if (static_cast<int64_t>(result.size()) < most &&
        fires(ends.first, pair.feature) && fires(ends.second, pair.partner))
      result.push_back(pair);
  return result;
}

Expected<json::Array> PairContexts::contextsOf(size_t dictionary,
                                               int64_t feature) const {
  json::Array result;
  for (const Context &context : kept[dictionary].lookup(feature)) {
    std::vector<int64_t> ids;
    windows->append(context.window, ids);
    const int64_t length = static_cast<int64_t>(ids.size());
    const int64_t begin = std::max<int64_t>(0, context.position - tokensBefore);
    const int64_t end =
        std::min(length, context.position + 1 + tokensBehind);
    auto decode = [&](int64_t from, int64_t to) {
      return tokenizer->decode(ArrayRef(ids).slice(from, to - from),
                               /*skipSpecialTokens=*/false);
    };
    Expected<std::string> text = decode(begin, end);
    if (!text)
      return text.takeError();
    Expected<std::string> token =
        decode(context.position, context.position + 1);
    if (!token)
      return token.takeError();
    result.push_back(json::Object{{"text", *text},
                                  {"token", *token},
                                  {"activation", context.activation}});
  }
  return std::move(result);
}
