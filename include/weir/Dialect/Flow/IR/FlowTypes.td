//===- FlowTypes.td - Types of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWTYPES_TD
#define WEIR_DIALECT_FLOW_IR_FLOWTYPES_TD

include "weir/Dialect/Flow/IR/FlowDialect.td"
include "mlir/IR/AttrTypeBase.td"

def Flow_Map : TypeDef<Flow_Dialect, "Map"> {
  let mnemonic = "map";
  let summary = "from the features of one dictionary to those of another";
  let description = [{
    `!flow.map<1536 -> 1024>`: for each of 1,536 features, some of 1,024, with a
    similarity each.
  }];
  let parameters = (ins "int64_t":$source, "int64_t":$target);
  let assemblyFormat = "`<` $source `->` $target `>`";
  let genVerifyDecl = 1;
}

def Flow_Features : TypeDef<Flow_Dialect, "Features"> {
  let mnemonic = "features";
  let summary = "features of any dictionaries, each once, in an order";
  let description = [{
    What is selected, followed or combined, and what a policy acts on. The order
    is that in which a spec names features, which records and transfers show;
    sets (`flow.union`, `flow.intersection`, `flow.difference`) have an order of
    their own, by layer, site, collection and index.
  }];
}

def Flow_Graph : TypeDef<Flow_Dialect, "Graph"> {
  let mnemonic = "graph";
  let summary = "features and how they flow into each other";
  let description = [{
    Nodes, which are features; edges from what is computed earlier to what is
    computed later, each with the similarity of a match and, where it was measured,
    its causal effect; and the targets that the graph is about, which are nodes. A
    graph is a set: it has no order but that of its nodes, by layer, site, collection
    and index.
  }];
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWTYPES_TD
