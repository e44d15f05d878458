//===- Passes.td - Passes over the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD
#define WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlowExpandMatchingsPass : Pass<"flow-expand-matchings", "::mlir::ModuleOp"> {
  let summary = "Make the matches that are needed, one for each pair of sites";
  let description = [{
    For every `flow.follow`, adds the `flow.match` or `flow.permutation` of each
    pair of dictionaries that leads from or to its features, and nothing else,
    and gives it the maps; the same for `flow.graph` and `flow.path`, with all pairs
    that a walk can get to. Graphs that nothing uses are erased, unless `unused` is
    given. With `all`, adds every pair of every matching;
    with `compose` too, also the composition of neighbouring matches over two and
    more layers.

    ```mlir
    flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 7
        by #flow.top_k<1, cosine> over <decoder>
    %f = flow.select [#flow.feature<@sae:3/res/4>]
    %p = flow.follow <predecessors> of %f by @flow most 1
    // becomes
    %0 = flow.match @sae.res.3 -> @sae.res.2 top_k 1 by <cosine> over <decoder>
        for @flow : !flow.map<1536 -> 1536>
    %f = flow.select [#flow.feature<@sae:3/res/4>]
    %p = flow.follow <predecessors> of %f by @flow most 1
        through %0 : !flow.map<1536 -> 1536>
    ```
  }];
  let options = [
    Option<"all", "all", "bool", /*default=*/"false",
           "Make all pairs of all matchings">,
    Option<"compose", "compose", "bool", /*default=*/"false",
           "With all, compose matches over several layers too">,
    Option<"unused", "unused", "bool", /*default=*/"false",
           "Keep graphs that nothing uses, and make their matches">,
  ];
  let statistics = [
    Statistic<"numPairs", "pairs", "Pairs of dictionaries to match">,
    Statistic<"numComposed", "compositions", "Compositions of matches">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

def FlowMatchPass : Pass<"flow-match", "::mlir::ModuleOp"> {
  let summary = "Compute matches, each once";
  let description = [{
    Computes every `flow.match`, `flow.permutation` and `flow.compose`, or finds
    its result in the cache, and writes the hash of the result into the IR. The
    hash is that of the weights' bytes and of the options, so that an unchanged
    match is never computed again, and a changed one never taken for it.

    ```mlir
    %0 = flow.match @sae.res.3 -> @sae.res.2 top_k 1 by <cosine> over <decoder> : !flow.map<1536 -> 1536>
    // becomes
    %0 = flow.match @sae.res.3 -> @sae.res.2 top_k 1 by <cosine> over <decoder>
        result <"sha256:9f…"> : !flow.map<1536 -> 1536>
    ```

    A feature that a fold leaves as it is, is named in a remark.
  }];
  let statistics = [
    Statistic<"numComputed", "computed", "Matches computed">,
    Statistic<"numFound", "found", "Matches found in the cache">,
    Statistic<"numSurvivors", "survivors", "Pairs of features computed in float64">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

def FlowFollowPass : Pass<"flow-follow", "::mlir::ModuleOp"> {
  let summary = "Replace links by the features they lead to";
  let description = [{
    Reads the results that `flow-match` left in the cache and replaces every
    `flow.follow` by the features that its maps lead to, the most similar first.
    A feature that leads to none is an error.

    ```mlir
    %p = flow.follow <predecessors> of %f by @flow most 1 through %0 : !flow.map<6 -> 6>
    // becomes
    %p = flow.select [#flow.feature<@sae:2/res/17>]
    ```
  }];
  let statistics = [
    Statistic<"numFollowed", "followed", "Features that links led to">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

def FlowBuildGraphsPass : Pass<"flow-build-graphs", "::mlir::ModuleOp"> {
  let summary = "Build graphs, and replace their parts by features";
  let description = [{
    Walks every `flow.graph` and `flow.path` along the results that `flow-match` left
    in the cache, or finds the graph there, and writes its hash into the IR. The hash
    is that of the targets, the options, the matches and the effects, so that it does
    not depend on how a spec is written. Then every `flow.part` becomes the features
    it selects.

    ```mlir
    %g = flow.graph <backward> from %f by @flow width 1 through %0 : !flow.map<6 -> 6>
    %p = flow.part %g sites [#fx.site_kind<res>]
    // becomes
    %g = flow.graph <backward> from %f by @flow width 1 through %0 : !flow.map<6 -> 6>
        result <"sha256:9f…">
    %p = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>]
    ```

    A graph without an edge, a path that is not there, a graph that is empty after a
    difference, and a part without a node are errors. An edge whose effect is asked
    for and was not measured is one as well, and says with which command it is; edges
    that were looked for and have no case are left out, with a warning. With `candidates`, what `keep`
    and weights say of effects is left out: these are the edges that are to be measured.
  }];
  let options = [
    Option<"candidates", "candidates", "bool", /*default=*/"false",
           "Keep edges whatever their effect">,
    Option<"maxNodes", "max-nodes", "uint64_t", /*default=*/"100000",
           "What no graph may have more nodes than">,
    Option<"maxEdges", "max-edges", "uint64_t", /*default=*/"1000000",
           "What no graph may have more edges than, and all together five times "
           "as many">,
  ];
  let statistics = [
    Statistic<"numBuilt", "built", "Graphs built">,
    Statistic<"numFound", "found", "Graphs found in the cache">,
    Statistic<"numNodes", "nodes", "Nodes of all graphs">,
    Statistic<"numEdges", "edges", "Edges of all graphs">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

def FlowResolvePass : Pass<"flow-resolve", "::mlir::ModuleOp"> {
  let summary = "Open dictionaries and expand selectors";
  let description = [{
    Opens every dictionary that a list of features or a condition names, checks
    indices against it, adds a `flow.dictionary` for it, and replaces selectors,
    and what is made of other lists, by single features, each once. Only headers are read, except for selectors
    that need rows (`antagonists`), and for collections that both have a
    dictionary at a site: if it is the same, by its content, features of the
    second become the first's, so that an edit of both names is one of one
    feature. Features that only have a name are looked at by `flow-check-labels`.

    Dictionaries made from the model's own weights (`neurons`, `unembedding`)
    need the model's archive and the sites that `fx-find-sites` found.

    ```mlir
    %science = flow.select [#flow.whole_site<@sae:10/res>]
    // becomes
    %science = flow.select [#flow.feature<@sae:10/res/0>, …]
    flow.dictionary @sae.res.10 of @sae at <10/res> reads <10/res> …
    ```
  }];
  let statistics = [
    Statistic<"opened", "opened", "Dictionaries opened">,
    Statistic<"selected", "selected", "Features selected">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

def FlowCheckLabelsPass : Pass<"flow-check-labels", "::mlir::ModuleOp"> {
  let summary = "Refuse names of features that are not there";
  let description = [{
    The name of a feature that its dictionary does not have would never show, so it is
    an error. Only headers of dictionaries are read, and nothing is added to the module.
    A dictionary that only names ask for and that cannot be opened is a warning, once;
    with `quiet` it is passed over in silence, for a spec that is read where its files
    may not be.

    Dictionaries made from the model's own weights (`neurons`, `unembedding`)
    need the model's archive and the sites that `fx-find-sites` found.

    ```mlir
    flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
    flow.label #flow.feature<@sae:0/res/5> "last"
    flow.label #flow.feature<@sae:0/res/6> "none" // an error, of a dictionary of 6
    ```
  }];
  let options = [
    Option<"quiet", "quiet", "bool", /*default=*/"false",
           "Say nothing of dictionaries that cannot be opened">,
  ];
}

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD
