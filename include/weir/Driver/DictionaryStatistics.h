//===- DictionaryStatistics.h - How good dictionaries are on a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums over the tokens of a text, in f64 and in the order of the tokens.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_DICTIONARYSTATISTICS_H
#define WEIR_DRIVER_DICTIONARYSTATISTICS_H

#include "weir/Dictionary/Dictionary.h"
#include "weir/Runtime/ActivationBatch.h"

#include <memory>
#include <optional>
#include <vector>

namespace weir {

/// What makes x^ [d] of activations f: f W_dec + b_dec, brought back by what the
/// dictionary's normalisation divided x by, with LayerNorm's mean added again.
struct Reconstruction {
  /// Gives the decoder rows that a batch needs.
  std::shared_ptr<const Dictionary> dictionary;
  RowVector bias; ///< [d]
  /// It was trained on x - mean(x), and is compared with that.
  bool isCentred = false;
};

/// Of one dictionary. A feature is active where its activation is above 0.
class DictionaryStatistics {
public:
  /// Without a reconstruction only the activity is counted.
  DictionaryStatistics(int64_t features,
                       std::optional<Reconstruction> reconstruction);

  /// The next tokens. `values` are all numbers of the site, [tokens, d] as sparse
  /// rows; only looked at with a reconstruction. Errors: decoder rows that cannot
  /// be read.
  llvm::Error add(const SparseRecord &activations, const SparseRecord *values);

  /// What was counted so far, as numbers, for `resume` of a fresh one.
  struct State {
    std::vector<int64_t> counts; ///< [F], then tokens and active ones
    std::vector<double> sums;    ///< error, squares, then [d] twice or nothing
  };
  State state() const;
  /// Whether it is a state of such a dictionary; nothing changes if not.
  bool resume(const State &state);

  int64_t tokens() const { return numTokens; }
  /// Mean number of active features of a token.
  double l0() const;
  /// 1 - sum |x - x^|^2 / sum |x - mean(x)|^2, the mean over the tokens. None
  /// without a reconstruction or where x does not vary.
  std::optional<double> explainedVariance() const;
  /// At how many tokens each feature was active, [F].
  llvm::ArrayRef<int64_t> active() const { return counts; }
  /// Features that were never active.
  int64_t silent() const;

private:
  llvm::Error addError(const SparseRecord &activations,
                       const SparseRecord &values);

  std::optional<Reconstruction> reconstruction;
  std::vector<int64_t> counts;
  int64_t numTokens = 0, numActive = 0;
  double error = 0, squares = 0;
  Eigen::RowVectorXd sum, first; ///< of x - first, which keeps the digits
};

/// How often features are active together with what they are matched with.
class MatchStatistics {
public:
  /// `best` [F]: the match of each feature of the source, or -1.
  MatchStatistics(size_t source, size_t target, std::vector<int64_t> best)
      : source(source), target(target), best(std::move(best)),
        both(this->best.size(), 0) {}

  /// A token, by the features that are active at it. `isActive`: [F'] of the
  /// target.
  void add(llvm::ArrayRef<int32_t> sourceFeatures,
           llvm::ArrayRef<uint8_t> isActive);

  /// Means over matched features, the matching score of SAE Match (arXiv
  /// 2410.07656) from either side: P(match active | feature active) over the
  /// features that are active somewhere, P(feature | match) over those whose
  /// match is, and the Jaccard index over those where either is.
  struct Scores {
    int64_t features = 0; ///< of `givenFeature`
    double givenFeature = 0, givenMatch = 0, jaccard = 0;
  };
  Scores scores(llvm::ArrayRef<int64_t> sourceActive,
                llvm::ArrayRef<int64_t> targetActive) const;

  llvm::ArrayRef<int64_t> matches() const { return best; }
  /// At how many tokens a feature and its match were active together, [F].
  llvm::ArrayRef<int64_t> counts() const { return both; }
  /// Goes on from such numbers; nothing changes if they are not [F].
  bool resume(llvm::ArrayRef<int64_t> counts);

  size_t source, target; ///< as the caller counts dictionaries

private:
  std::vector<int64_t> best, both;
};

} // namespace weir

#endif // WEIR_DRIVER_DICTIONARYSTATISTICS_H
