//===- EffectScores.h - Causal scores of edges ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How much a feature falls when one before it is taken away, measured on a text by
// deactivation ("Analyze Feature Flow", arXiv 2502.03032, section 4). `weirc
// validate` measures and records; `keep: {effect: …}` of a graph and `weight:
// effect` of a strength read.
//
// All scores between two dictionaries that were measured on one text with one
// model are one entry of the cache, whatever else was asked for (methods, seeds,
// how many tokens): whoever measured, graphs find it. Every measurement adds to the
// entry, and what is there does not depend on the order in which edges were
// measured: of two scores of an edge the one with more cases stays.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CACHE_EFFECTSCORES_H
#define WEIR_CACHE_EFFECTSCORES_H

#include "weir/Cache/ResultCache.h"

namespace weir {

/// What scores are found under. Two that differ in anything have two entries.
struct EffectKey {
  /// A dictionary at a place of the model.
  struct Side {
    std::string place;   ///< "12/res", as a spec writes sites
    std::string content; ///< Dictionary::contentHash()
  };
  Side target;      ///< whose activation is watched
  Side predecessor; ///< what is taken away; at the same layer or before
  std::string model; ///< weightsHash() of the archive (Program/Fingerprint.h)
  std::string text;  ///< sha256OfFile() of the text (Support/Files.h)

  /// The key of the entry.
  std::string str() const;
};

/// The score of one edge.
struct EffectScore {
  int64_t target = 0, predecessor = 0; ///< indices of features
  /// Mean over the cases of 1 - z_new / z_old, z being the target's activation
  /// with and without the predecessor: 1 where the target goes out, 0 where
  /// nothing happens, below 0 where it rises. NaN without a case: somebody
  /// looked, and found no token at which both are active.
  double change = 0;
  /// Tokens at which both were active and the target was looked at.
  int64_t cases = 0;

  bool isMeasured() const { return cases > 0; }
};

/// The scores of one entry.
class EffectScores {
public:
  EffectScores() = default;

  /// What is known, which is nothing where nobody measured. A damaged entry is
  /// removed, with a word to `warn`, and counts as none.
  static llvm::Expected<EffectScores>
  load(const ResultCache &cache, const EffectKey &key,
       llvm::function_ref<void(llvm::StringRef)> warn = nullptr);

  /// The score of an edge, or null where it was not measured.
  const EffectScore *find(int64_t target, int64_t predecessor) const;
  /// All of them, by target, then by predecessor.
  llvm::ArrayRef<EffectScore> all() const { return scores; }
  /// SHA-256 of all numbers: part of the key of what is made of them.
  std::string hash() const;

private:
  friend llvm::Error recordEffects(const ResultCache &, const EffectKey &,
                                   llvm::ArrayRef<EffectScore>,
                                   llvm::StringRef);
  void merge(llvm::ArrayRef<EffectScore> others);
  std::vector<EffectScore> scores;
};

/// Adds scores to an entry. Several processes may do so at once. `about` is what
/// `weirc cache ls` shows. Errors: those of the cache; a negative index or
/// number of cases; a score that is not finite and has cases, or is a number
/// and has none.
llvm::Error recordEffects(const ResultCache &cache, const EffectKey &key,
                          llvm::ArrayRef<EffectScore> scores,
                          llvm::StringRef about);

} // namespace weir

#endif // WEIR_CACHE_EFFECTSCORES_H
