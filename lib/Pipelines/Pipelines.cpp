//===- Pipelines.cpp - The stages of the compiler ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Pipelines/Pipelines.h"

#include "weir/Conversion/SteerToFX/SteerToFX.h"
#include "weir/Conversion/SteerToKernels/SteerToKernels.h"
#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Dialect/Steer/Transforms/MeasurePasses.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace weir;

void weir::populateFindSites(OpPassManager &passes, StringRef sites) {
  fx::FXFindSitesOptions options;
  options.sites = sites.str();
  passes.nest<fx::ProgramOp>().addPass(fx::createFXFindSites(options));
}

void weir::populateExpandMatchings(OpPassManager &passes, Matchings matchings,
                                   std::shared_ptr<Resources> resources) {
  flow::FlowExpandMatchingsPassOptions expand;
  expand.unused = matchings == Matchings::Graphs;
  expand.all =
      matchings == Matchings::All || matchings == Matchings::Composed;
  expand.compose = matchings == Matchings::Composed;
  passes.addPass(
      flow::createFlowExpandMatchingsPass(expand, std::move(resources)));
}

void weir::populateMatch(OpPassManager &passes, Matchings matchings,
                         std::shared_ptr<Resources> resources,
                         flow::MatchObserver observer) {
  populateExpandMatchings(passes, matchings, resources);
  passes.addPass(
      flow::createFlowMatchPass(std::move(resources), std::move(observer)));
}

void weir::populateFeatures(OpPassManager &passes,
                            std::shared_ptr<Resources> resources) {
  passes.addPass(flow::createFlowFollowPass(resources));
  passes.addPass(flow::createFlowBuildGraphsPass({}, resources));
  passes.addPass(flow::createFlowResolvePass(resources));
  passes.addPass(flow::createFlowCheckLabelsPass({}, std::move(resources)));
}

void weir::populatePatches(OpPassManager &passes, bool count,
                           const std::optional<FixedPlan> &fixed) {
  steer::SteerExpandPoliciesPassOptions expand;
  expand.count = count;
  passes.addPass(steer::createSteerExpandPoliciesPass(expand));
  passes.nest<fx::ProgramOp>().addPass(createCSEPass());
  if (fixed) {
    steer::SteerFixInputsPassOptions options;
    options.knobs = SmallVector<std::string>(fixed->knobs.begin(), fixed->knobs.end());
    passes.addPass(steer::createSteerFixInputsPass(options));
    // Additions whose gates are gone are merged into one.
    passes.nest<fx::ProgramOp>().addPass(createCanonicalizerPass());
  } else {
    passes.addPass(steer::createSteerTabulatePlansPass());
  }
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(createCSEPass());
  program.addPass(steer::createSteerMergePass());
  program.addPass(createCanonicalizerPass());
}

void weir::buildSteeringPipeline(OpPassManager &passes, StringRef sites,
                                 std::shared_ptr<Resources> resources,
                                 flow::MatchObserver observer, bool count,
                                 const std::optional<FixedPlan> &fixed) {
  if (fixed) {
    steer::SteerKeepPlanPassOptions options;
    options.plan = fixed->plan;
    passes.addPass(steer::createSteerKeepPlanPass(options));
  }
  passes.addPass(steer::createSteerResolveMarkersPass(
      [resources](llvm::ArrayRef<std::string> texts) {
        return resources->tokens(texts);
      }));
  // Sites first: dictionaries of neurons are made from what is found there.
  populateFindSites(passes, sites);
  populateMatch(passes, Matchings::Followed, resources, std::move(observer));
  populateFeatures(passes, resources);
  passes.addPass(steer::createSteerMeasureDosesPass(std::move(resources)));
  populatePatches(passes, count, fixed);
}

void weir::buildMatchingPipeline(OpPassManager &passes, StringRef sites,
                                 std::shared_ptr<Resources> resources,
                                 flow::MatchObserver observer) {
  populateFindSites(passes, sites);
  passes.addPass(flow::createFlowCheckLabelsPass({}, resources));
  populateMatch(passes, Matchings::Composed, std::move(resources),
                std::move(observer));
}

void weir::buildGraphPipeline(OpPassManager &passes, StringRef sites,
                              std::shared_ptr<Resources> resources,
                              bool candidates, flow::MatchObserver matches,
                              flow::GraphObserver graphs) {
  populateFindSites(passes, sites);
  // Before what takes long.
  passes.addPass(flow::createFlowCheckLabelsPass({}, resources));
  populateMatch(passes, Matchings::Graphs, resources, std::move(matches));
  passes.addPass(flow::createFlowFollowPass(resources));
  flow::FlowBuildGraphsPassOptions build;
  build.candidates = candidates;
  passes.addPass(flow::createFlowBuildGraphsPass(build, std::move(resources),
                                                 std::move(graphs)));
}

void weir::buildLoweringPipeline(OpPassManager &passes,
                                 steer::LoweringChoice lower, bool fixed,
                                 bool compiled) {
  {
    OpPassManager &program = passes.nest<fx::ProgramOp>();
    steer::SteerSelectLoweringPassOptions select;
    select.lower = lower;
    select.compiled = compiled;
    program.addPass(steer::createSteerSelectLoweringPass(select));
    program.addPass(steer::createSteerWidenPatchesPass());
    program.addPass(steer::createSteerDecomposeReadsPass());
  }
  if (lower != steer::LoweringChoice::Aten) {
    passes.addPass(steer::createSteerOutlinePatchesPass());
    passes.addPass(createConvertSteerToKernelsPass());
  }
  OpPassManager &program = passes.nest<fx::ProgramOp>();
  program.addPass(createConvertSteerToFXPass());
  program.addPass(fx::createFXStripSites());
  program.addPass(createCSEPass());
  program.addPass(createCanonicalizerPass());
  fx::FXDCEOptions dead;
  // What no row can ask for again needs no state either.
  dead.unreadState = fixed;
  program.addPass(fx::createFXDCE(dead));
  if (fixed)
    program.addPass(fx::createFXDropInputs());
  // Last, since it hides linear maps from those who look for them.
  program.addPass(fx::createFXJoinLinears());
}

void weir::buildAtenLoweringPipeline(OpPassManager &passes, bool fixed) {
  buildLoweringPipeline(passes, steer::LoweringChoice::Aten, fixed);
}

namespace {
struct LowerPipelineOptions : PassPipelineOptions<LowerPipelineOptions> {
  Option<steer::LoweringChoice> lower{
      *this, "lower", llvm::cl::desc("What patches become"),
      llvm::cl::init(steer::LoweringChoice::Aten),
      llvm::cl::values(
          clEnumValN(steer::LoweringChoice::Aten, "aten",
                     "calls of PyTorch's operators"),
          clEnumValN(steer::LoweringChoice::Kernel, "kernel",
                     "kernels, wherever there is a form of one"),
          clEnumValN(steer::LoweringChoice::Auto, "auto",
                     "what is estimated to be faster"))};
  Option<bool> fixed{*this, "fixed",
                     llvm::cl::desc("Of a fixed program: state and weights that "
                                    "nothing reads go too"),
                     llvm::cl::init(false)};
  Option<bool> compiled{*this, "compiled",
                        llvm::cl::desc("Lowerings are estimated for a program "
                                       "that is compiled as a whole"),
                        llvm::cl::init(false)};
};

/// Of a pass that only needs resources.
struct FlowPassOptions : ResourcePipelineOptions<FlowPassOptions> {};

struct LoweringPipelineOptions
    : PassPipelineOptions<LoweringPipelineOptions> {
  Option<bool> fixed{*this, "fixed",
                     llvm::cl::desc("Of a fixed program: state and weights that "
                                    "nothing reads go too"),
                     llvm::cl::init(false)};
};

struct ExpandMatchingsOptions : ResourcePipelineOptions<ExpandMatchingsOptions> {
  Option<bool> all{*this, "all",
                   llvm::cl::desc("Make all pairs of all matchings"),
                   llvm::cl::init(false)};
  Option<bool> compose{
      *this, "compose",
      llvm::cl::desc("With all, compose matches over several layers too"),
      llvm::cl::init(false)};
  Option<bool> unused{
      *this, "unused",
      llvm::cl::desc("Keep graphs that nothing uses, and make their matches"),
      llvm::cl::init(false)};
};

struct BuildGraphsOptions : ResourcePipelineOptions<BuildGraphsOptions> {
  Option<bool> candidates{*this, "candidates",
                          llvm::cl::desc("Keep edges whatever their effect"),
                          llvm::cl::init(false)};
  Option<uint64_t> maxNodes{
      *this, "max-nodes",
      llvm::cl::desc("What no graph may have more nodes than"),
      llvm::cl::init(flow::FlowBuildGraphsPassOptions().maxNodes)};
  Option<uint64_t> maxEdges{
      *this, "max-edges",
      llvm::cl::desc("What no graph may have more edges than, and all together "
                     "five times as many"),
      llvm::cl::init(flow::FlowBuildGraphsPassOptions().maxEdges)};
};

struct CheckLabelsOptions : ResourcePipelineOptions<CheckLabelsOptions> {
  Option<bool> quiet{
      *this, "quiet",
      llvm::cl::desc("Say nothing of dictionaries that cannot be opened"),
      llvm::cl::init(false)};
};
} // namespace

void weir::registerPipelines(PrepareResources prepare) {
  auto resourcesOf = [prepare](const auto &options) {
    auto resources = Resources::create(options.resources());
    if (prepare)
      prepare(*resources);
    return resources;
  };
  PassPipelineRegistration<CompilePipelineOptions>(
      "weir-steer", "Put a module's policies into its program as patches",
      [=](OpPassManager &passes, const CompilePipelineOptions &options) {
        std::optional<FixedPlan> fixed;
        if (!options.fixed.empty())
          fixed = FixedPlan{options.fixed,
                            {options.knobs.begin(), options.knobs.end()}};
        buildSteeringPipeline(passes, options.sites, resourcesOf(options), {},
                              options.count, fixed);
      });
  PassPipelineRegistration<CompilePipelineOptions>(
      "weir-match", "Compute all matches of a module's matchings",
      [=](OpPassManager &passes, const CompilePipelineOptions &options) {
        buildMatchingPipeline(passes, options.sites, resourcesOf(options));
      });
  PassPipelineRegistration<LoweringPipelineOptions>(
      "weir-lower-to-aten", "Lower patches to calls of aten operators",
      [](OpPassManager &passes, const LoweringPipelineOptions &options) {
        buildAtenLoweringPipeline(passes, options.fixed);
      });

  PassPipelineRegistration<LowerPipelineOptions>(
      "weir-lower", "Lower patches to calls of aten operators and of kernels",
      [](OpPassManager &passes, const LowerPipelineOptions &options) {
        buildLoweringPipeline(passes, options.lower, options.fixed,
                              options.compiled);
      });

  // A pass gets what was opened and knows no path, so as text each of them is a
  // pipeline of one.
  PassPipelineRegistration<ExpandMatchingsOptions>(
      "flow-expand-matchings",
      "Make the matches that are needed, one for each pair of sites",
      [=](OpPassManager &passes, const ExpandMatchingsOptions &options) {
        flow::FlowExpandMatchingsPassOptions expand;
        expand.all = options.all;
        expand.compose = options.compose;
        expand.unused = options.unused;
        passes.addPass(
            flow::createFlowExpandMatchingsPass(expand, resourcesOf(options)));
      });
  PassPipelineRegistration<FlowPassOptions>(
      "flow-match", "Compute matches, each once",
      [=](OpPassManager &passes, const FlowPassOptions &options) {
        passes.addPass(flow::createFlowMatchPass(resourcesOf(options)));
      });
  PassPipelineRegistration<FlowPassOptions>(
      "flow-follow", "Replace what follows matches by the features they lead to",
      [=](OpPassManager &passes, const FlowPassOptions &options) {
        passes.addPass(flow::createFlowFollowPass(resourcesOf(options)));
      });
  PassPipelineRegistration<BuildGraphsOptions>(
      "flow-build-graphs",
      "Build graphs, and replace their parts by features",
      [=](OpPassManager &passes, const BuildGraphsOptions &options) {
        flow::FlowBuildGraphsPassOptions build;
        build.candidates = options.candidates;
        build.maxNodes = options.maxNodes;
        build.maxEdges = options.maxEdges;
        passes.addPass(
            flow::createFlowBuildGraphsPass(build, resourcesOf(options)));
      });
  PassPipelineRegistration<CheckLabelsOptions>(
      "flow-check-labels", "Refuse names of features that are not there",
      [=](OpPassManager &passes, const CheckLabelsOptions &options) {
        flow::FlowCheckLabelsPassOptions check;
        check.quiet = options.quiet;
        passes.addPass(
            flow::createFlowCheckLabelsPass(check, resourcesOf(options)));
      });
  PassPipelineRegistration<FlowPassOptions>(
      "steer-measure-doses",
      "Measure the values and directions that doses are shares of",
      [=](OpPassManager &passes, const FlowPassOptions &options) {
        passes.addPass(
            steer::createSteerMeasureDosesPass(resourcesOf(options)));
      });
  PassPipelineRegistration<FlowPassOptions>(
      "flow-resolve", "Open dictionaries and expand selectors",
      [=](OpPassManager &passes, const FlowPassOptions &options) {
        passes.addPass(flow::createFlowResolvePass(resourcesOf(options)));
      });
}
