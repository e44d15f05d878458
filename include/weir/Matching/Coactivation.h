//===- Coactivation.h - Similarity of features by their activations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Statistics of sparse activations over a stream of tokens, and two measures of
// how much a feature i of a dictionary A [F] and a feature j of B [F'] belong
// together: the Pearson correlation of their activations, which "Analyze Feature
// Flow to Enhance Interpretation and Steering" (arXiv 2502.03032) has as the
// alternative to the cosine of decoder rows, and the probability that they fire
// together, the matching score of SAE Match (arXiv 2410.07656).
//
// Let a_t, b_t be the activations of i and j at token t = 1..n, f32, 0 where a
// feature is not active. All sums are taken in float64 in the order of the
// tokens; the products are exact. With
//
//   s = sum a_t    q = sum a_t^2    m = sum a_t b_t
//   D = sqrt(q - s^2 / n)           u = s / (sqrt(n) D)
//
//   Pearson(i, j) = clamp(m_ij / (D_i D_j) - u_i u_j, -1, 1),
//
// which is the textbook's formula with the division by the deviations drawn into
// the sums. It is 0 if either feature is constant (or never active): that is
// where q - s^2/n <= 4 (n + 2) 2^-53 q, the most that rounding can leave of 0.
// Features that never fire together have m = 0 and a definite value, too:
// -u_i u_j.
//
// A feature fires where its activation is above 0. With N_i, N_j, N_ij the
// numbers of tokens at which i fires, j fires, and both do:
//
//   P(j | i) = N_ij / N_i    P(i | j) = N_ij / N_j
//   Jaccard(i, j) = N_ij / (N_i + N_j - N_ij)
//
// Each is NaN where its denominator is 0.
//
// "Exact" below means: equal to loops in float64 that do just this. The outcome
// does not depend on how the tokens are cut into batches.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_COACTIVATION_H
#define WEIR_MATCHING_COACTIVATION_H

#include "weir/Matching/TopK.h"

#include <utility>

namespace weir::matching {

class CoactivationTable;

/// The activations of T tokens at one dictionary, as compressed sparse rows.
struct SparseActivations {
  llvm::ArrayRef<int64_t> starts;   ///< [T + 1], from 0 to the number of values
  llvm::ArrayRef<int32_t> features; ///< ascending within a token
  llvm::ArrayRef<float> values;     ///< finite; a 0 counts as not there

  int64_t tokens() const { return static_cast<int64_t>(starts.size()) - 1; }
};

/// How often features fire together: entries for a list of pairs (i, j).
struct FiringTogether {
  std::vector<int64_t> tokens; ///< N_ij
  std::vector<double> givenFirst;  ///< P(j | i)
  std::vector<double> givenSecond; ///< P(i | j)
  std::vector<double> jaccard;
};

/// The matches of every feature of A.
struct ActivationMatches {
  /// indices [F, k] into B, Pearson correlations [F, k].
  TopK pearson;
  /// For the same pairs, each [F * k] in the order of `pearson.indices`.
  FiringTogether together;
};

/// The running statistics of several dictionaries and of pairs of them. Memory:
/// 24 bytes a feature, and 16 to 86 a pair of features that was ever active at
/// the same token (at most 16 F F' a pair of dictionaries).
class Coactivations {
public:
  /// The largest number of tokens.
  static constexpr int64_t maxTokens = INT32_MAX;

  /// `features`: F of each dictionary, 0 to 2^31 - 1. `pairs`: indices into
  /// them; a dictionary may be paired with itself, and a pair be there twice.
  /// Errors: an index or a size out of range.
  static llvm::Expected<Coactivations>
  make(llvm::ArrayRef<int64_t> features,
       llvm::ArrayRef<std::pair<size_t, size_t>> pairs);
  Coactivations(Coactivations &&);
  Coactivations &operator=(Coactivations &&);
  ~Coactivations();

  /// Adds the next tokens: one entry a dictionary, all of the same tokens.
  /// Errors leave the statistics as they were: another number of dictionaries
  /// or tokens, malformed rows, a feature out of range, NaN or infinity, more
  /// than `maxTokens`.
  llvm::Error add(llvm::ArrayRef<SparseActivations> batch);

  int64_t tokens() const { return numTokens; }
  size_t numDictionaries() const { return dictionaries.size(); }
  llvm::ArrayRef<std::pair<size_t, size_t>> pairs() const { return pairList; }
  int64_t features(size_t dictionary) const {
    return static_cast<int64_t>(dictionaries[dictionary].sum.size());
  }
  /// At how many tokens each feature fired, [F].
  llvm::ArrayRef<int64_t> fired(size_t dictionary) const {
    return dictionaries[dictionary].fired;
  }
  /// sum a_t / N_i of each feature, [F], rounded to f32: the mean of its
  /// activations where it fires, as long as none is negative. 0 where it never
  /// fires.
  std::vector<float> meansWhereFired(size_t dictionary) const;
  /// Pairs of features that were active at the same token, of one pair of
  /// dictionaries.
  int64_t coactivePairs(size_t pair) const;

  /// The k features of B with the largest Pearson correlation for every feature
  /// of A, exact over all F', equal values by ascending index. Those that never
  /// fire with a feature are not visited one by one but in the order of u_j.
  /// Errors: no token, k outside 1..F', a pair that is not there.
  llvm::Expected<TopK> pearsonTopK(size_t pair, int64_t k) const;
  /// The correlation of one pair of features.
  llvm::Expected<double> pearson(size_t pair, int64_t first,
                                 int64_t second) const;

  /// For features `first` of A and `second` of B, entry by entry. -1 in
  /// `second`, as in a permutation that leaves features free, gives 0 tokens and
  /// NaN. Errors: lists of different length, an index out of range.
  llvm::Expected<FiringTogether>
  firingTogether(size_t pair, llvm::ArrayRef<int64_t> first,
                 llvm::ArrayRef<int64_t> second) const;

  /// Both of the above.
  llvm::Expected<ActivationMatches> matches(size_t pair, int64_t k) const;

  struct Checkpoint;
  /// Writes everything to a file, atomically, with a checksum, and with a `key`
  /// that says what the statistics are of and the `position` at which the
  /// stream goes on. Equal statistics give equal files.
  llvm::Error save(llvm::StringRef path, llvm::StringRef key,
                   int64_t position) const;
  /// Reads such a file. Errors: a file that cannot be read, is none of these,
  /// is cut short or changed, or holds what `add` cannot have made.
  static llvm::Expected<Checkpoint> load(llvm::StringRef path);

private:
  /// Of one dictionary, [F] each.
  struct Moments {
    std::vector<double> sum, squares;
    std::vector<int64_t> fired;
  };
  /// What correlations need of one dictionary, [F] each; 0 where constant.
  struct Standard {
    std::vector<double> deviation; ///< D
    std::vector<double> mean;      ///< u
  };
  Coactivations();
  llvm::Error check(llvm::ArrayRef<SparseActivations> batch) const;
  llvm::Error checkPairIndex(size_t pair) const;
  Standard standardOf(size_t dictionary) const;
  const CoactivationTable &tableOf(size_t pair) const;

  int64_t numTokens = 0;
  std::vector<Moments> dictionaries;
  std::vector<std::pair<size_t, size_t>> pairList;
  /// Equal pairs share a table.
  std::vector<size_t> tableIndex;
  std::vector<CoactivationTable> tables;
};

struct Coactivations::Checkpoint {
  Coactivations statistics;
  std::string key;
  int64_t position = 0;
};

} // namespace weir::matching

#endif // WEIR_MATCHING_COACTIVATION_H
