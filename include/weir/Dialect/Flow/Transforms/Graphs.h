//===- Graphs.h - Graphs of a module, with their numbers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_GRAPHS_H
#define WEIR_DIALECT_FLOW_TRANSFORMS_GRAPHS_H

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Matching/FlowGraph.h"

#include "mlir/IR/BuiltinOps.h"

namespace weir::flow {

/// How features of a module are nodes of graphs: collections are numbered in the
/// order of their names.
class GraphNumbering {
public:
  explicit GraphNumbering(mlir::ModuleOp module);

  matching::GraphNode nodeOf(FeatureAttr feature) const;
  FeatureAttr featureOf(const matching::GraphNode &node) const;
  int32_t setOf(mlir::FlatSymbolRefAttr collection) const {
    return numbers.lookup(collection);
  }

private:
  mlir::MLIRContext *context;
  llvm::SmallVector<mlir::FlatSymbolRefAttr> collections;
  llvm::DenseMap<mlir::Attribute, int32_t> numbers;
};

/// Who gets the graphs of a run of flow-build-graphs: each value of type !flow.graph,
/// in the order of the IR. May be empty.
using GraphObserver = std::function<void(mlir::Value graph,
                                         const matching::FlowGraph &numbers)>;

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_GRAPHS_H
