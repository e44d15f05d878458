//===- ValidationJob.h - What weirc validate does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_VALIDATIONJOB_H
#define WEIR_LIB_DRIVER_VALIDATIONJOB_H

#include "ValidationCases.h"
#include "ValidationLog.h"

#include "weir/Driver/Validation.h"

namespace weir {

/// One validation. What the spec says is chosen in ValidationTargets.cpp, the rest is
/// in Validation.cpp.
class Validation {
public:
  Validation(Compiler &compiler, const ValidationOptions &options)
      : spec(compiler), options(options),
        context(*compiler.module().getContext()) {}

  mlir::FailureOr<ValidationResult> run();

private:
  mlir::LogicalResult chooseMatches();
  mlir::LogicalResult chooseMethods();
  mlir::LogicalResult readGraphs();
  mlir::LogicalResult match();
  void placeSites();
  mlir::LogicalResult chooseTargets();
  mlir::LogicalResult chooseSample();
  void chooseNodes();
  mlir::LogicalResult prepareModel();
  mlir::LogicalResult planSlices(llvm::ArrayRef<size_t> order);
  mlir::LogicalResult readText();
  llvm::Expected<std::string> jobKey();
  llvm::Error openProgram();
  llvm::Error stream(ValidationLog &log);
  void collectEdges();
  llvm::Error recordEffects();
  llvm::SmallVector<int64_t, 5>
  predecessorsAskedFor(const ValidationLink &link, int64_t target) const;
  size_t siteOf(const ActivationSite &site) const {
    return llvm::find(plan.sites, site) - plan.sites.begin();
  }
  struct Place {
    ActivationSite site;
    int32_t index = 0;
  };
  Place placeOf(const NamedGraph::Node &node) const;
  bool followsGraphs() const { return !options.sample; }

  mlir::InFlightDiagnostic error() {
    return emitError(mlir::UnknownLoc::get(&context));
  }
  mlir::LogicalResult report(llvm::Error problem) {
    return error() << llvm::toString(std::move(problem));
  }
  void progress(const llvm::Twine &text) const {
    if (options.progress)
      options.progress(text.str());
  }
  bool wants(ValidationMethod method) const {
    return llvm::is_contained(result.methods, method);
  }

  Compiler &spec;
  const ValidationOptions &options;
  mlir::MLIRContext &context;
  flow::MatchingOp topK, permutation;
  std::optional<Compiler> grapher, matcher, recorder;
  GraphReport graphs;
  std::vector<const NamedGraph *> chosenGraphs;
  /// What was matched, before sites have numbers.
  struct Found {
    ActivationSite source, target;
    bool isTopK;
    matching::Match match;
  };
  std::vector<Found> found;
  TorchRuntime *runtime = nullptr;
  std::unique_ptr<RecordedCases> cases;
  ValidationPlan plan;
  ValidationResult result;
  std::string model, text; ///< hashes
  std::map<size_t, std::string> contents; ///< of dictionaries, by site
  std::vector<std::string> matchKeys;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_VALIDATIONJOB_H
