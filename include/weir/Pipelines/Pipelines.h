//===- Pipelines.h - The stages of the compiler ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// One options struct and one function a stage; weirc, weir-opt and the tests use
// the same ones.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PIPELINES_PIPELINES_H
#define WEIR_PIPELINES_PIPELINES_H

#include "weir/Dialect/Flow/Transforms/Matches.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace weir {

/// From a module with a spec and a program to one with merged patches.
struct SteeringPipelineOptions
    : mlir::PassPipelineOptions<SteeringPipelineOptions> {
  Option<std::string> base{
      *this, "base",
      llvm::cl::desc("Folder that dictionary paths are relative to"),
      llvm::cl::init(".")};
  Option<std::string> model{
      *this, "model",
      llvm::cl::desc("Archive of the model, for dictionaries made from it")};
  Option<std::string> sites{
      *this, "sites",
      llvm::cl::desc("Module paths of the sites, where they are not found")};
  Option<std::string> cache{
      *this, "cache",
      llvm::cl::desc("Folder of cached matches ($WEIR_CACHE, or ~/.cache/weir)")};
  Option<int> threads{*this, "threads",
                      llvm::cl::desc("Threads that matching may use; 0: all"),
                      llvm::cl::init(0)};
  Option<bool> count{
      *this, "count",
      llvm::cl::desc("Make the tokens that are edited outputs of the program"),
      llvm::cl::init(false)};
};

/// find sites ▶ expand matchings ▶ match ▶ follow ▶ resolve ▶ expand policies ▶
/// tabulate plans ▶ merge ▶ canonicalize.
void buildSteeringPipeline(mlir::OpPassManager &passes,
                           const SteeringPipelineOptions &options,
                           flow::MatchServices services = {});

/// From a module with a spec's matchings to one with all their matches. A module
/// without a program takes dictionaries from files only.
struct MatchingPipelineOptions
    : mlir::PassPipelineOptions<MatchingPipelineOptions> {
  Option<std::string> base{
      *this, "base",
      llvm::cl::desc("Folder that dictionary paths are relative to"),
      llvm::cl::init(".")};
  Option<std::string> model{
      *this, "model",
      llvm::cl::desc("Archive of the model, for dictionaries made from it")};
  Option<std::string> sites{
      *this, "sites",
      llvm::cl::desc("Module paths of the sites, where they are not found")};
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
};

/// find sites ▶ expand all matchings ▶ match.
void buildMatchingPipeline(mlir::OpPassManager &passes,
                           const MatchingPipelineOptions &options,
                           flow::MatchServices services = {});

/// Merged patches ▶ aten calls, without any mark left and without what nothing
/// reads.
void buildAtenLoweringPipeline(mlir::OpPassManager &passes);

/// --weir-steer, --weir-match and --weir-lower-to-aten.
void registerPipelines();

} // namespace weir

#endif // WEIR_PIPELINES_PIPELINES_H
