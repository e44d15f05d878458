//===- Passes.h - Passes over the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H
#define WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H

#include "weir/Dialect/Flow/Transforms/Graphs.h"
#include "weir/Dialect/Flow/Transforms/Matches.h"
#include "weir/Resources/Resources.h"

#include "mlir/Pass/Pass.h"

namespace weir::flow {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"

// The passes with what they share; the ones above, without any, find files below
// the current folder and no model.
std::unique_ptr<mlir::Pass>
createFlowExpandMatchingsPass(FlowExpandMatchingsPassOptions options,
                              std::shared_ptr<Resources> resources);
std::unique_ptr<mlir::Pass> createFlowMatchPass(std::shared_ptr<Resources> resources,
                                                MatchObserver observer = {});
std::unique_ptr<mlir::Pass>
createFlowFollowPass(std::shared_ptr<Resources> resources);
std::unique_ptr<mlir::Pass>
createFlowBuildGraphsPass(FlowBuildGraphsPassOptions options,
                          std::shared_ptr<Resources> resources,
                          GraphObserver observer = {});
std::unique_ptr<mlir::Pass>
createFlowResolvePass(std::shared_ptr<Resources> resources);
std::unique_ptr<mlir::Pass>
createFlowCheckLabelsPass(FlowCheckLabelsPassOptions options,
                          std::shared_ptr<Resources> resources);

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H
