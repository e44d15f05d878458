//===- DictionaryMatch.h - Matching two dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From two dictionaries to a match of their features: which rows stand for a
// feature, on which scale, and by which method they are compared. A match is
// named by a key, the SHA-256 of the numbers that were compared and of the
// options; nothing else has an influence on the result.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_DICTIONARYMATCH_H
#define WEIR_MATCHING_DICTIONARYMATCH_H

#include "weir/Cache/ResultCache.h"
#include "weir/Dictionary/Dictionary.h"
#include "weir/Matching/Assignment.h"

namespace weir::matching {

/// TopK: for every feature of A the k most similar ones of B (arXiv
/// 2502.03032). Permutation: one feature of B for every feature of A, with the
/// largest total similarity (SAE Match, arXiv 2410.07656).
enum class Method : uint8_t { TopK, Permutation };

/// What brings the dictionaries to one scale before they are compared, see
/// Folding.h.
enum class Fold : uint8_t { None, Threshold, DecoderNorm, MeanActivation };

struct MatchOptions {
  Method method = Method::TopK;
  Similarity similarity = Similarity::Cosine;
  int64_t k = 1; ///< TopK only, else 1
  /// The rows that stand side by side for a feature, at least one of them.
  bool decoder = true, encoder = false, encoderBias = false;
  Fold fold = Fold::None;

  /// One line that says all of this, such as
  /// "top_k k=1 similarity=cosine weights=decoder fold=none".
  std::string str() const;
};

/// The features of one dictionary as rows [F, n] of f32, n being the sum of the
/// widths of the parts.
class FeatureRows {
public:
  /// `name` stands in errors; `means` [F] are for Fold::MeanActivation. Errors:
  /// those of reading the dictionary; no part; a fold that this dictionary has no
  /// numbers for (threshold: no JumpReLU).
  static llvm::Expected<FeatureRows> read(llvm::StringRef name,
                                          const Dictionary &dictionary,
                                          const MatchOptions &options,
                                          llvm::ArrayRef<float> means = {});

  llvm::StringRef name() const { return title; }
  int64_t features() const { return rows; }
  /// Features first to last - 1 as a matrix [last - first, n] over this object's
  /// memory.
  llvm::Expected<Matrix> matrix(int64_t first, int64_t last) const;
  /// SHA-256 of the numbers and their shapes.
  const std::string &hash() const { return digest; }
  /// Features whose scale is not positive: the fold left them as they are.
  llvm::ArrayRef<int64_t> unfolded() const { return left; }

private:
  std::string title, digest;
  int64_t rows = 0;
  std::vector<RowMatrix> parts; ///< [F, width of the part] each
  std::vector<int64_t> left;
};

/// A match of A's features, F of them, with B's, F'.
struct Match {
  int64_t rows = 0, columns = 0, k = 0; ///< F, F'
  /// [F, k], best first; -1 where a permutation leaves a feature free (F > F').
  std::vector<int64_t> indices;
  /// [F, k]: the similarities; 0 where free.
  std::vector<double> values;

  /// [F, k], of a match by activations, else empty: the probability that the
  /// match fires where the feature does, NaN where that never fires
  /// (Coactivation.h; the matching score of arXiv 2410.07656).
  std::vector<double> firing;

  /// What proves a permutation, else empty; see Assignment.h.
  std::optional<Certificate> certificate;
  double cost = 0;
  /// How many pairs had to be computed in float64.
  int64_t survivors = 0;

  /// The tensors and strings of a cache entry, and back. Errors of `load`:
  /// sizes that do not belong together, indices out of range.
  llvm::Error store(const ResultCache &cache, llvm::StringRef key,
                    llvm::StringRef about) const;
  static llvm::Expected<Match> load(const CachedResult &entry);
};

/// First one match, then the other. Without `keep` both are permutations: the
/// result is one (arXiv 2410.07656, section 3.2), and a pair's value is the
/// smaller of the two steps' similarities. With it, the value of a pair is the
/// largest product of positive similarities over the paths between its features
/// (composeMaps in Maps.h), and a feature keeps that many pairs; places left
/// over hold -1 and 0. Errors: sizes that do not belong together, keep < 1.
llvm::Expected<Match> composeMatches(const Match &first, const Match &second,
                                     std::optional<int64_t> keep);

/// A part of a match that can be computed by itself: features first to last - 1
/// of A. A permutation is one unit.
struct MatchUnit {
  std::string key;
  int64_t first = 0, last = 0;
};

/// Matches dictionaries, each match once: results are taken from the cache where
/// they are there, and put into it.
class Matcher {
public:
  struct Settings {
    Options engine;
    /// Features of A in a unit. Results of units are kept in the cache until the
    /// whole match is there, so that a killed run goes on where it was.
    int64_t unitRows = 16384;
    /// Told about a damaged entry, which is then made anew.
    std::function<void(llvm::StringRef)> warn;
    /// Told how far the present match is: units done, units in all.
    std::function<void(int64_t done, int64_t total)> progress;
  };
  Matcher(ResultCache cache, Settings settings)
      : cache(std::move(cache)), settings(std::move(settings)) {}

  struct Outcome {
    std::string key;
    Match match;
    bool wasCached = false;
  };
  /// The proof of a permutation from the cache is checked against the
  /// dictionaries; where it does not hold the entry is damaged. Errors: those of
  /// topK and assign, and of the cache.
  llvm::Expected<Outcome> match(const FeatureRows &a, const FeatureRows &b,
                                const MatchOptions &options) const;
  /// The same under another key: `compute` makes it if it is not there. An entry
  /// that `check` has an error for is damaged.
  llvm::Expected<Outcome>
  cached(llvm::StringRef key, llvm::StringRef about,
         llvm::function_ref<llvm::Expected<Match>()> compute,
         llvm::function_ref<llvm::Error(const Match &)> check = nullptr) const;

  static std::string keyOf(const FeatureRows &a, const FeatureRows &b,
                           const MatchOptions &options);
  std::vector<MatchUnit> unitsOf(const FeatureRows &a, const FeatureRows &b,
                                 const MatchOptions &options) const;
  /// Whether a unit, or the whole match, is in the cache.
  bool isDone(llvm::StringRef key) const { return cache.contains(key); }
  /// Computes one unit into the cache if neither it nor the whole match is there.
  llvm::Error computeUnit(const FeatureRows &a, const FeatureRows &b,
                          const MatchOptions &options,
                          const MatchUnit &unit) const;

private:
  llvm::Expected<Match> computeRows(const FeatureRows &a, const FeatureRows &b,
                                    const MatchOptions &options, int64_t first,
                                    int64_t last) const;
  llvm::Expected<std::optional<Match>>
  lookUp(llvm::StringRef key,
         llvm::function_ref<llvm::Error(const Match &)> check = nullptr) const;
  llvm::Error checkProof(const FeatureRows &a, const FeatureRows &b,
                         const MatchOptions &options, const Match &match) const;

  ResultCache cache;
  Settings settings;
};

} // namespace weir::matching

#endif // WEIR_MATCHING_DICTIONARYMATCH_H
