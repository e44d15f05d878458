//===- Graphs.cpp - The graphs of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Compiler.h"
#include "weir/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace weir;

bool Compiler::graphsNeedModel() {
  bool needed = matchingNeedsModel();
  for (auto walk : module().getOps<flow::WalkOpInterface>())
    needed |= static_cast<bool>(walk.getTextRef());
  return needed;
}

LogicalResult Compiler::graphs(GraphReport &report, bool candidates) {
  bool any = llvm::any_of(module().getOps(), [](Operation &op) {
    return llvm::any_of(op.getResultTypes(), llvm::IsaPred<flow::GraphType>);
  });
  if (!any)
    return emitError(FileLineColLoc::get(&context, options.spec, 1, 1))
           << "the spec has no section 'graphs'";
  progress("building the graphs");
  PassManager passes(&context);
  buildGraphPipeline(passes, siteMap(), resources, candidates, matchObserver(),
                     [&](Value graph, const matching::FlowGraph &numbers) {
                       report.add(graph, numbers);
                     });
  return passes.run(module());
}
