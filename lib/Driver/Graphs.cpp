//===- Graphs.cpp - The graphs of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Driver/Compiler.h"
#include "weir/Pipelines/Pipelines.h"
#include "weir/Support/Files.h"

#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace weir;

bool Compiler::graphsNeedModel() {
  bool needed = matchingNeedsModel() || labelsNeedModel();
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

LogicalResult Compiler::showEffectsOn(StringRef text) {
  auto file = InputFile::open(text);
  if (!file)
    return error() << llvm::toString(file.takeError());
  SmallString<256> path(text);
  llvm::sys::fs::make_absolute(path);
  Builder builder(&context);
  for (auto walk : module().getOps<flow::WalkOpInterface>())
    if (!walk.getTextRef())
      walk.setTextRef(builder.getStringAttr(path));
  return success();
}

//===----------------------------------------------------------------------===//
// Names of features
//===----------------------------------------------------------------------===//

bool Compiler::labelsNeedModel() {
  bool isNamed = !options.model.empty();
  for (auto model : module().getOps<steer::ModelOp>())
    isNamed |= model.getProgram().has_value();
  return isNamed &&
         llvm::any_of(module().getOps<flow::LabelOp>(), [&](flow::LabelOp label) {
           auto collection = module().lookupSymbol<flow::CollectionOp>(
               label.getFeature().getCollection());
           return collection && !collection.getPath();
         });
}

LogicalResult Compiler::checkLabels(bool quiet) {
  if (module().getOps<flow::LabelOp>().empty())
    return success();
  const bool needsModel = !quiet && labelsNeedModel();
  if (needsModel && !program()) {
    Compiler other(context, options, resources);
    return failure(failed(other.load(OwningOpRef<ModuleOp>(module().clone()),
                                     /*withModel=*/true)) ||
                   failed(other.checkLabels()));
  }
  PassManager passes(&context);
  if (needsModel)
    populateFindSites(passes, siteMap());
  flow::FlowCheckLabelsPassOptions check;
  check.quiet = quiet;
  passes.addPass(flow::createFlowCheckLabelsPass(check, resources));
  return passes.run(module());
}
