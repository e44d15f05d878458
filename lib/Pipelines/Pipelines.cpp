//===- Pipelines.cpp - The stages of the compiler ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Pipelines/Pipelines.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"
#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace weir;

/// Sites first: dictionaries of neurons are made from what is found there.
static void addFindSites(OpPassManager &passes, StringRef sites) {
  fx::FXFindSitesOptions options;
  options.sites = sites.str();
  passes.nest<fx::ProgramOp>().addPass(fx::createFXFindSites(options));
}

void weir::buildSteeringPipeline(OpPassManager &passes,
                                 const SteeringPipelineOptions &options,
                                 flow::MatchServices services) {
  addFindSites(passes, options.sites);
  flow::FlowExpandMatchingsPassOptions expand;
  expand.base = options.base;
  expand.model = options.model;
  passes.addPass(flow::createFlowExpandMatchingsPass(expand));
  flow::FlowMatchPassOptions match;
  match.base = options.base;
  match.model = options.model;
  match.cache = options.cache;
  match.threads = options.threads;
  passes.addPass(flow::createFlowMatchPass(match, std::move(services)));
  flow::FlowFollowPassOptions follow;
  follow.cache = options.cache;
  passes.addPass(flow::createFlowFollowPass(follow));
  flow::FlowResolvePassOptions resolve;
  resolve.base = options.base;
  resolve.model = options.model;
  passes.addPass(flow::createFlowResolvePass(resolve));
  steer::SteerExpandPoliciesPassOptions expandPolicies;
  expandPolicies.count = options.count;
  passes.addPass(steer::createSteerExpandPoliciesPass(expandPolicies));
  passes.nest<fx::ProgramOp>().addPass(createCSEPass());
  passes.addPass(steer::createSteerTabulatePlansPass());
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(createCSEPass());
  program.addPass(steer::createSteerMergePass());
  program.addPass(createCanonicalizerPass());
}

void weir::buildMatchingPipeline(OpPassManager &passes,
                                 const MatchingPipelineOptions &options,
                                 flow::MatchServices services) {
  addFindSites(passes, options.sites);
  flow::FlowExpandMatchingsPassOptions expand;
  expand.base = options.base;
  expand.model = options.model;
  expand.all = true;
  expand.compose = true;
  passes.addPass(flow::createFlowExpandMatchingsPass(expand));
  flow::FlowMatchPassOptions match;
  match.base = options.base;
  match.model = options.model;
  match.cache = options.cache;
  match.threads = options.threads;
  match.unitRows = options.unitRows;
  passes.addPass(flow::createFlowMatchPass(match, std::move(services)));
}

void weir::buildAtenLoweringPipeline(OpPassManager &passes) {
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(steer::createSteerSelectLoweringPass());
  program.addPass(steer::createSteerWidenPatchesPass());
  program.addPass(steer::createSteerDecomposeReadsPass());
  program.addPass(createConvertSteerToFXPass());
  program.addPass(fx::createFXStripSites());
  program.addPass(createCSEPass());
  program.addPass(createCanonicalizerPass());
  program.addPass(fx::createFXDCE());
}

void weir::registerPipelines() {
  PassPipelineRegistration<SteeringPipelineOptions>(
      "weir-steer", "Put a module's policies into its program as patches",
      [](OpPassManager &passes, const SteeringPipelineOptions &options) {
        buildSteeringPipeline(passes, options);
      });
  PassPipelineRegistration<MatchingPipelineOptions>(
      "weir-match", "Compute all matches of a module's matchings",
      [](OpPassManager &passes, const MatchingPipelineOptions &options) {
        buildMatchingPipeline(passes, options);
      });
  PassPipelineRegistration<>("weir-lower-to-aten",
                             "Lower patches to calls of aten operators",
                             buildAtenLoweringPipeline);
}
