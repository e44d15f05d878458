//===- Pipelines.h - The stages of the compiler ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One class of options, and one function a stage; weirc, weir-opt and the tests
// use the same ones.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PIPELINES_PIPELINES_H
#define WEIR_PIPELINES_PIPELINES_H

#include "weir/Dialect/Flow/Transforms/Graphs.h"
#include "weir/Dialect/Flow/Transforms/Matches.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"
#include "weir/Resources/Resources.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

#include <optional>

namespace weir {

/// What a textual pipeline says about resources.
template <typename Derived>
struct ResourcePipelineOptions : mlir::PassPipelineOptions<Derived> {
  template <typename T>
  using Option = typename mlir::PassPipelineOptions<Derived>::template Option<T>;
  Option<std::string> base{
      *this, "base",
      llvm::cl::desc("Folder that paths of dictionaries and texts are relative to"),
      llvm::cl::init(".")};
  Option<std::string> model{
      *this, "model",
      llvm::cl::desc("Archive of the model, for dictionaries made from it and for "
                     "activations")};
  Option<std::string> cache{
      *this, "cache",
      llvm::cl::desc("Folder of cached matches ($WEIR_CACHE, or ~/.cache/weir)")};
  Option<int> threads{*this, "threads",
                      llvm::cl::desc("Threads that matching may use; 0: all"),
                      llvm::cl::init(0)};
  Option<int64_t> unitRows{
      *this, "unit-rows",
      llvm::cl::desc("Features of a match that are computed and kept together"),
      llvm::cl::init(16384)};

  ResourceOptions resources() const {
    return {base, model, cache, threads, unitRows};
  }
};

/// What the stages up to merged patches, or up to matches, are told.
struct CompilePipelineOptions
    : ResourcePipelineOptions<CompilePipelineOptions> {
  Option<std::string> sites{
      *this, "sites",
      llvm::cl::desc("Module paths of the sites, where they are not found")};
  Option<bool> count{
      *this, "count",
      llvm::cl::desc("Make the tokens that are edited outputs of the program"),
      llvm::cl::init(false)};
  Option<std::string> fixed{
      *this, "fixed",
      llvm::cl::desc("The plan to compile in for every row; none if empty")};
  ListOption<std::string> knobs{
      *this, "knobs",
      llvm::cl::desc("With fixed, values of knobs, as name=number")};
};

/// The plan that a fixed program has for every row.
struct FixedPlan {
  std::string plan;
  std::vector<std::string> knobs; ///< "name=number", defaults for the rest
};

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// Which matches a stage makes.
enum class Matchings {
  Followed, ///< those that something in the module follows
  Graphs,   ///< also those of graphs that nothing uses
  All,      ///< all pairs of all matchings
  Composed, ///< and their compositions over several layers
};

/// find sites: `sites` are module paths, where they are not found.
void populateFindSites(mlir::OpPassManager &passes, llvm::StringRef sites);
/// expand matchings.
void populateExpandMatchings(mlir::OpPassManager &passes, Matchings matchings,
                             std::shared_ptr<Resources> resources);
/// expand matchings ▶ match.
void populateMatch(mlir::OpPassManager &passes, Matchings matchings,
                   std::shared_ptr<Resources> resources,
                   flow::MatchObserver observer = {});
/// follow ▶ build graphs ▶ resolve ▶ check labels: every list of features is known
/// then.
void populateFeatures(mlir::OpPassManager &passes,
                      std::shared_ptr<Resources> resources);
/// expand policies ▶ tabulate plans ▶ merge ▶ canonicalize. With `count`, the tokens that are
/// edited become outputs.
void populatePatches(mlir::OpPassManager &passes, bool count = false,
                     const std::optional<FixedPlan> &fixed = std::nullopt);

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

/// From a module with a spec and a program to one with merged patches: markers,
/// sites, matches that are followed, features, doses, patches.
void buildSteeringPipeline(mlir::OpPassManager &passes, llvm::StringRef sites,
                           std::shared_ptr<Resources> resources,
                           flow::MatchObserver observer = {},
                           bool count = false,
                           const std::optional<FixedPlan> &fixed = std::nullopt);

/// From a module with a spec's matchings to one with all their matches. A module
/// without a program takes dictionaries from files only.
void buildMatchingPipeline(mlir::OpPassManager &passes, llvm::StringRef sites,
                           std::shared_ptr<Resources> resources,
                           flow::MatchObserver observer = {});

/// From a module with a spec's graphs to one where all of them are built: sites,
/// matches that are followed, graphs. With `candidates`, edges stay whatever their
/// effect.
void buildGraphPipeline(mlir::OpPassManager &passes, llvm::StringRef sites,
                        std::shared_ptr<Resources> resources, bool candidates,
                        flow::MatchObserver matches = {},
                        flow::GraphObserver graphs = {});

/// Merged patches ▶ calls of aten and of kernels, without any mark left and
/// without what nothing reads. Kernels are in a module of their own.
void buildLoweringPipeline(mlir::OpPassManager &passes,
                           steer::LoweringChoice lower, bool fixed = false,
                           bool compiled = false);
/// The same with aten only.
void buildAtenLoweringPipeline(mlir::OpPassManager &passes, bool fixed = false);

/// Gives resources what only a driver has: a way to run texts through the model.
using PrepareResources = std::function<void(Resources &)>;

/// --weir-steer, --weir-match, --weir-lower and --weir-lower-to-aten; and the
/// passes of flow and --steer-measure-doses, which take the options of resources
/// here only.
void registerPipelines(PrepareResources prepare = {});

} // namespace weir

#endif // WEIR_PIPELINES_PIPELINES_H
