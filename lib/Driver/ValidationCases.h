//===- ValidationCases.h - What is taken away, and where ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_VALIDATIONCASES_H
#define WEIR_LIB_DRIVER_VALIDATIONCASES_H

#include "ValidationProgram.h"

#include "weir/Driver/Validation.h"
#include "weir/Torch/TorchRuntime.h"

#include "llvm/ADT/DenseMap.h"

#include <map>

namespace weir {

/// The predecessors of all features of a site at one other site.
struct ValidationLink {
  size_t target = 0, predecessor = 0; ///< sites
  /// Of a match by top_k: [F, k], -1 for none.
  int64_t k = 1;
  std::vector<int64_t> indices;
  std::vector<double> values;
  bool isPermutation = false;
};

/// What leads to a feature in a graph.
struct ValidationPredecessor {
  ValidationFeature feature;
  double similarity = 0;
};

/// What is known before a text is read.
struct ValidationPlan {
  std::vector<ActivationSite> sites; ///< in the program's order
  std::vector<ValidationLink> links;
  /// Of the spec's graphs, for each target the most similar ones first.
  bool followsGraphs = false;
  std::map<ValidationFeature, std::vector<ValidationPredecessor>> edges;
  std::vector<ValidationFeature> targets; ///< ascending
  std::vector<WantedSlice> slices;
  /// The slice for each target site and set of predecessor sites, ascending.
  std::map<std::pair<size_t, std::vector<size_t>>, size_t> sliceOf;
  /// With losses, what goes on from the end of a slice: by target site.
  std::map<size_t, std::vector<size_t>> tails;
  int64_t removed = 1;
};

/// Kinds of sites in the order in which groups name them.
uint32_t groupBit(fx::SiteKind kind);

/// Chooses occurrences and cases of windows that were recorded and computes them.
class CaseStudy {
public:
  CaseStudy(const ValidationPlan &plan, const ValidationOptions &options,
            ValidationResult &result)
      : plan(plan), options(options), result(result) {}

  /// Counts occurrences that are in the result already.
  void resume();
  /// Whether every target has all its occurrences.
  bool isFull() const { return open == 0; }
  llvm::Error study(RecordedCases &cases, const RecordedWindows &windows);

private:
  struct Run;
  void choose();
  void addCases(uint32_t occurrence);
  void addGraphCases(uint32_t occurrence);
  void addJointCases(uint32_t occurrence,
                     llvm::ArrayRef<ValidationFeature> best);
  void addCase(uint32_t occurrence, ValidationMethod method,
               std::vector<ValidationFeature> predecessors);
  bool wants(ValidationMethod method) const;
  size_t tokenOf(uint32_t window, int32_t position) const {
    return firstToken[window - recorded->firstWindow] + position;
  }
  float activation(const ValidationFeature &feature, size_t token) const;
  uint64_t draw(uint64_t purpose, uint32_t target, uint32_t window,
                uint64_t further = 0) const;
  llvm::Error compute(RecordedCases &cases);
  llvm::Error computeBatch(RecordedCases &cases, size_t slice, int64_t tokens,
                           llvm::ArrayRef<const Run *> runs);

  const ValidationPlan &plan;
  const ValidationOptions &options;
  ValidationResult &result;
  std::vector<int64_t> counts; ///< occurrences of each target
  size_t open = 0;             ///< targets that want more

  // Of the windows that are being looked at.
  const RecordedWindows *recorded = nullptr;
  std::vector<size_t> firstToken, lengthOf;
  size_t firstOccurrence = 0;
  struct Planned {
    ValidationCase made;
    size_t run;
  };
  std::vector<Planned> planned;
  struct Run {
    size_t slice;
    int64_t row, position, tokens;
    std::vector<ValidationFeature> removed;
    std::vector<size_t> cases; ///< of `planned`
    auto key() const { return std::tie(slice, row, position, removed); }
  };
  std::vector<Run> runs;
  std::map<std::tuple<size_t, int64_t, int64_t, std::vector<ValidationFeature>>,
           size_t>
      runOf;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_VALIDATIONCASES_H
