//===- Passes.h - Passes over the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H
#define WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H

#include "weir/Dialect/Flow/Transforms/Matches.h"

#include "mlir/Pass/Pass.h"

namespace weir::flow {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"

/// flow-match with someone to tell and to ask.
std::unique_ptr<mlir::Pass> createFlowMatchPass(FlowMatchPassOptions options,
                                                MatchServices services);

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_H
