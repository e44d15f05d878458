//===- MatchReport.h - What matches were found, and how good they are ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_MATCHREPORT_H
#define WEIR_DRIVER_MATCHREPORT_H

#include "weir/Dialect/Flow/Transforms/Matches.h"
#include "weir/Resources/DictionaryStore.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <list>

namespace weir {

/// Order statistics of some numbers, interpolated linearly.
struct Distribution {
  int64_t count = 0;
  double mean = 0, p10 = 0, p25 = 0, median = 0, p75 = 0, p90 = 0;

  /// All zero for no number.
  static Distribution of(std::vector<double> numbers);
};

/// One match, or a composition of several.
struct MatchEntry {
  std::string matching;       ///< as the spec names it
  std::string source, target; ///< "res.12": without the dictionary's name
  /// Their symbols: "sae.res.12".
  std::string sourceDictionary, targetDictionary;
  std::string kind;           ///< kind of the source's site: "res"
  std::string method, similarity;
  int64_t steps = 1; ///< matches composed; 1 for a match itself
  int64_t distance = 0; ///< layers between source and target
  bool sameKind = false; ///< source and target are sites of one kind
  std::string key;
  bool wasCached = false;
  matching::Match match;
  /// Of the similarities that were matched by, the best of each feature.
  Distribution values;
  /// Cosines of the decoder rows of a feature and its best match, and the shares
  /// of features whose cosine is at least 0.3, 0.5, 0.7 and 0.9.
  Distribution cosines;
  std::array<double, 4> shares = {};
  /// Of a match by activations: the probability that the best match fires where
  /// the feature does, over the features that fire.
  Distribution firing;
};

/// How similar features still are over some layers: all entries of a matching
/// and a kind of site that are as far apart, together.
struct CurvePoint {
  std::string matching, kind;
  int64_t distance = 0;
  Distribution cosines;
};

class MatchReport {
public:
  static constexpr std::array<double, 4> thresholds = {0.3, 0.5, 0.7, 0.9};

  /// Adds the result of an op of `module`. Errors: a dictionary that cannot be
  /// read any more.
  llvm::Error add(flow::ComputedOpInterface op,
                  const matching::Matcher::Outcome &outcome,
                  flow::DictionaryStore &store);

  llvm::ArrayRef<MatchEntry> entries() const { return matches; }
  /// The similarity-over-distance curve of SAE Match (arXiv 2410.07656, figure
  /// 5), by composed matches where the distance is more than one layer.
  std::vector<CurvePoint> curve() const;

  void print(llvm::raw_ostream &os) const;
  llvm::json::Object toJSON() const;
  /// Writes all matches into one file, by its extension: .safetensors (tensors
  /// MATCHING/SOURCE/TARGET/indices and …/values [F, k]) or .csv (a line a
  /// pair). Errors also: those of `checkExport`.
  llvm::Error write(llvm::StringRef path) const;
  /// Whether `write` knows a form of this extension: to be asked before the
  /// matches are computed.
  static llvm::Error checkExport(llvm::StringRef path);

private:
  /// Decoder rows [F, d]; valid until the next call but one.
  llvm::Expected<const RowMatrix *> decoderOf(llvm::StringRef symbol,
                                              flow::DictionaryStore &store);

  std::vector<MatchEntry> matches;
  std::vector<std::vector<double>> cosines; ///< of each entry
  std::list<std::pair<std::string, RowMatrix>> decoders; ///< last used last
};

} // namespace weir

#endif // WEIR_DRIVER_MATCHREPORT_H
