//===- PairContexts.h - What matched features fire on ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_PAIRCONTEXTS_H
#define WEIR_LIB_DRIVER_PAIRCONTEXTS_H

#include "JobLog.h"

#include "weir/Driver/DictionaryStatistics.h"
#include "weir/Program/Archive.h"
#include "weir/Runtime/TokenWindows.h"
#include "weir/Runtime/Tokenizer.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/JSON.h"

namespace weir {

/// Keeps the contexts of some matched features while a text is read: the tokens
/// at which each is most active, at most one a window.
class PairContexts {
public:
  /// As many as a judge gets of each feature.
  static constexpr size_t mostContexts = 5;

  struct Pair {
    size_t match; ///< as the caller counts matches
    int64_t feature, partner;
  };

  /// `windows` outlive it and are only looked at by `contextsOf`. Errors: the
  /// model has no tokenizer.
  static llvm::Expected<PairContexts> make(const Archive &model,
                                           const TokenWindows &windows,
                                           int64_t most, uint64_t seed);

  /// Chooses pairs at random, the same for the same seed and names of matches, more
  /// than are wanted: some never fire. The order of the matches says nothing.
  void choose(llvm::ArrayRef<MatchStatistics> matches,
              llvm::ArrayRef<std::string> names, size_t dictionaries);
  void add(size_t dictionary, const ActivationBatch &batch,
           const SparseRecord &record);

  /// What was found so far, to go on from after `choose`.
  void save(PartWriter &part) const;
  void resume(PartReader &part);

  /// At most as many as are wanted, of which both features were active.
  std::vector<Pair> pairs() const;
  /// [{"text": …, "token": …, "activation": …}, …], the most active first.
  llvm::Expected<llvm::json::Array> contextsOf(size_t dictionary,
                                               int64_t feature) const;

private:
  PairContexts(std::unique_ptr<Tokenizer> tokenizer, const TokenWindows &windows,
               int64_t most, uint64_t seed)
      : tokenizer(std::move(tokenizer)), windows(&windows), most(most),
        seed(seed) {}

  struct Context {
    float activation;
    size_t window;
    int64_t position;
  };
  std::unique_ptr<Tokenizer> tokenizer;
  const TokenWindows *windows;
  int64_t most;
  uint64_t seed;
  std::vector<Pair> chosen;
  std::vector<std::pair<size_t, size_t>> sides; ///< dictionaries of `chosen`
  /// Of each dictionary, by feature; the most active first.
  std::vector<llvm::DenseMap<int32_t, std::vector<Context>>> kept;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_PAIRCONTEXTS_H
