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

void weir::buildSteeringPipeline(OpPassManager &passes,
                                 const SteeringPipelineOptions &options) {
  fx::FXFindSitesOptions sites;
  sites.sites = options.sites;
  passes.nest<fx::ProgramOp>().addPass(fx::createFXFindSites(sites));
  flow::FlowResolvePassOptions resolve;
  resolve.base = options.base;
  resolve.model = options.model;
  passes.addPass(flow::createFlowResolvePass(resolve));
  passes.addPass(steer::createSteerExpandPoliciesPass());
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(createCSEPass());
  program.addPass(steer::createSteerMergePass());
  program.addPass(createCanonicalizerPass());
}

void weir::buildAtenLoweringPipeline(OpPassManager &passes) {
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(createConvertSteerToFXPass());
  program.addPass(fx::createFXStripSites());
  program.addPass(createCSEPass());
  program.addPass(createCanonicalizerPass());
}

void weir::registerPipelines() {
  PassPipelineRegistration<SteeringPipelineOptions>(
      "weir-steer", "Put a module's policies into its program as patches",
      buildSteeringPipeline);
  PassPipelineRegistration<>("weir-lower-to-aten",
                             "Lower patches to calls of aten operators",
                             buildAtenLoweringPipeline);
}
