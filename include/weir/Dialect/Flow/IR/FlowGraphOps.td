//===- FlowGraphOps.td - Graphs in the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWGRAPHOPS_TD
#define WEIR_DIALECT_FLOW_IR_FLOWGRAPHOPS_TD

include "weir/Dialect/Flow/IR/FlowOps.td"

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// An op whose result is a graph.
class Flow_GraphValueOp<string mnemonic, list<Trait> traits>
    : Flow_Op<mnemonic, [
        Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]
        # traits> {
  let results = (outs Flow_Graph:$graph);
}

def Flow_GraphOp : Flow_GraphValueOp<"graph", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, Flow_WalkOpInterface]> {
  let summary = "what one reaches from features by following matches";
  let description = [{
    The targets are the features of `from`, a set. From each node the walk takes, at
    every site that the matching leads to and that is in `layers`, the `width` most
    similar features, equal ones by ascending index, of which those stay whose edge
    reaches what `keep` says for its earlier end. Similarities of zero and less do not
    count (mean squared errors, which are never positive, all do). Backward goes on
    from what was reached to what leads to it, forward to what it leads to, and `both`
    does the two, each from the targets (arXiv 2502.03032, section 3).

    With a `text`, edges have the effects that were measured on it.

    ```mlir
    %faith = flow.graph <both> from %f by @flow width 1 layers 9 to 16
        keep [#flow.keep<kind = res, similarity = 0.5>]
    %faith = flow.graph <backward> from %f by @flow width 1
        through %m0, %m1 : !flow.map<1536 -> 1536>, !flow.map<1536 -> 1536>
        result <"sha256:9f…">
    ```

    `flow-expand-matchings` adds the maps that are followed; `flow-build-graphs` walks
    and adds the hash that the graph is found under in the cache.
  }];
  let arguments = (ins
    Flow_DirectionAttr:$direction,
    Flow_Features:$from,
    FlatSymbolRefAttr:$matching,
    I64Attr:$width,
    OptionalAttr<I64Attr>:$first_layer,
    OptionalAttr<I64Attr>:$last_layer,
    OptionalAttr<TypedArrayAttrBase<Flow_KeepAttr, "thresholds">>:$keep,
    OptionalAttr<StrAttr>:$text,
    Variadic<Flow_Map>:$maps,
    OptionalAttr<Flow_ResultAttr>:$result);
  let assemblyFormat = [{
    $direction `from` $from `by` $matching `width` $width
    (`layers` $first_layer^ `to` $last_layer)? (`keep` $keep^)? (`text` $text^)?
    (`through` $maps^ `:` type($maps))? (`result` $result^)? attr-dict
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_PathOp : Flow_GraphValueOp<"path", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, Flow_WalkOpInterface]> {
  let summary = "the strongest path between two features";
  let description = [{
    Of all paths along the matching from one feature to a later one that with the
    largest product of similarities; of equal ones that whose last nodes come first.
    Its target is the later end.

    ```mlir
    %way = flow.path #flow.feature<@sae:9/res/138> to #flow.feature<@sae:14/res/522>
        by @flow
    ```
  }];
  let arguments = (ins
    Flow_FeatureAttr:$first,
    Flow_FeatureAttr:$last,
    FlatSymbolRefAttr:$matching,
    OptionalAttr<StrAttr>:$text,
    Variadic<Flow_Map>:$maps,
    OptionalAttr<Flow_ResultAttr>:$result);
  let assemblyFormat = [{
    $first `to` $last `by` $matching (`text` $text^)?
    (`through` $maps^ `:` type($maps))? (`result` $result^)? attr-dict
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Algebra
//===----------------------------------------------------------------------===//

def Flow_EmptyGraphOp : Flow_GraphValueOp<"empty_graph", []> {
  let summary = "a graph without a node";
  let description = [{
    What a difference of a graph with itself is folded to. Using one is an error, which
    `flow-build-graphs` reports.
  }];
  let assemblyFormat = "attr-dict";
}

def Flow_GraphUnionOp : Flow_GraphValueOp<"graph_union", [Commutative]> {
  let summary = "nodes and edges of any of several graphs";
  let description = [{
    ```mlir
    %both = flow.graph_union %faith, %doubt
    ```

    Its targets are those of all. A union with itself or with an empty graph is
    folded, one inside another is a part of it.
  }];
  let arguments = (ins Variadic<Flow_Graph>:$graphs);
  let assemblyFormat = "$graphs attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_GraphIntersectionOp
    : Flow_GraphValueOp<"graph_intersection", [Commutative]> {
  let summary = "nodes and edges that several graphs have";
  let description = [{
    ```mlir
    %common = flow.graph_intersection %faith, %doubt
    ```

    Its targets are those of any that are left. An intersection with itself is folded,
    one with an empty graph is empty, one inside another is a part of it.
  }];
  let arguments = (ins Variadic<Flow_Graph>:$graphs);
  let assemblyFormat = "$graphs attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_GraphDifferenceOp : Flow_GraphValueOp<"graph_difference", []> {
  let summary = "what one graph has and another does not";
  let description = [{
    The nodes of the first graph that are no nodes of the second, and the edges between
    them.

    ```mlir
    %rest = flow.graph_difference %faith, %doubt
    ```

    A difference with itself is empty, one with an empty graph is the graph; one after
    another is one with a union.
  }];
  let arguments = (ins Flow_Graph:$from, Flow_Graph:$without);
  let assemblyFormat = "$from `,` $without attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

//===----------------------------------------------------------------------===//
// From graphs to features
//===----------------------------------------------------------------------===//

def Flow_PartOp : Flow_FeaturesOp<"part", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "features of a part of a graph";
  let description = [{
    The nodes at some sites, in some layers, that are roots (no edge leads to them) or
    leaves (none leads from them), at most some steps from a target; all that is given
    holds together. In canonical order.

    With a `weight` each feature has the largest product of similarities, or of
    effects, over the paths between it and a target.

    ```mlir
    %all = flow.part %faith
    %some = flow.part %faith sites [#fx.site_kind<res>] layers 10 to 14
        only <roots> steps 3 weight <similarity>
    ```

    `flow-build-graphs` replaces it by the features.
  }];
  let arguments = (ins
    Flow_Graph:$graph,
    OptionalAttr<ArrayAttr>:$sites,
    OptionalAttr<I64Attr>:$first_layer,
    OptionalAttr<I64Attr>:$last_layer,
    OptionalAttr<Flow_EndsAttr>:$ends,
    OptionalAttr<I64Attr>:$steps,
    OptionalAttr<Flow_WeightAttr>:$weight);
  let assemblyFormat = [{
    $graph (`sites` $sites^)? (`layers` $first_layer^ `to` $last_layer)?
    (`only` $ends^)? (`steps` $steps^)? (`weight` $weight^)? attr-dict
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_OpposedOp : Flow_FeaturesOp<"opposed", [
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "the features most opposed to each of some";
  let description = [{
    For each feature in turn its `count` antagonists, as `#flow.antagonists` selects
    them, each where it comes first. Features without one are passed over; that none
    has one is an error.

    ```mlir
    %against = flow.opposed to %part most 1
    ```

    `flow-resolve` replaces it by the features.
  }];
  let arguments = (ins Flow_Features:$of, I64Attr:$most);
  let assemblyFormat = "`to` $of `most` $most attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

def Flow_LabelOp : Flow_Op<"label", []> {
  let summary = "what a spec calls a feature";
  let description = [{
    Shown beside the feature in messages, reports and pictures; it has no other
    meaning.

    ```mlir
    flow.label #flow.feature<@sae:12/res/411> "faith"
    ```
  }];
  let arguments = (ins Flow_FeatureAttr:$feature, StrAttr:$name);
  let assemblyFormat = "$feature $name attr-dict";
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWGRAPHOPS_TD
