//===- EmitGraphs.h - Graphs of a spec as values of flow ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_EMITGRAPHS_H
#define WEIR_LIB_SPEC_EMITGRAPHS_H

#include "Lookup.h"

#include "weir/Dialect/Flow/IR/Flow.h"

#include <functional>

namespace weir::spec {

/// Makes the operations of graphs, each where it is first asked for.
class GraphEmitter {
public:
  /// What it needs of the rest of a spec.
  struct Context {
    const Lookup &lookup;
    const Reporter &reporter;
    mlir::OpBuilder &builder;
    std::function<mlir::FlatSymbolRefAttr(const void *)> symbol;
    std::function<flow::FeatureAttr(const FeatureRef &)> feature;
    /// The features that a graph begins at.
    std::function<mlir::Value(const Graph &)> from;
  };
  explicit GraphEmitter(Context context) : context(std::move(context)) {}

  mlir::Value graph(const Graph &graph);
  /// Features of a part, or of the whole graph where it is null.
  mlir::Value part(const Name &graph, const GraphPart *part,
                   StrengthWeight weight, mlir::Location loc);
  /// The antagonists of each of them.
  mlir::Value opposed(const Selector &selector, mlir::Location loc);
  void label(const Label &label);

private:
  mlir::Value walk(const Graph &graph, mlir::Location loc);
  mlir::ArrayAttr keep(const Graph &graph);

  Context context;
  llvm::DenseMap<const Graph *, mlir::Value> made;
};

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_EMITGRAPHS_H
