//===- FlowOps.td - Operations of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWOPS_TD
#define WEIR_DIALECT_FLOW_IR_FLOWOPS_TD

include "weir/Dialect/Flow/IR/FlowAttrs.td"
include "weir/Dialect/Flow/IR/FlowTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Flow_Op<string mnemonic, list<Trait> traits = []>
    : Op<Flow_Dialect, mnemonic, traits>;

def Flow_CollectionOp : Flow_Op<"collection", [Symbol]> {
  let summary = "dictionaries of one kind, as a spec declares them";
  let description = [{
    One entry of a spec's `dictionaries`. The path is a template in which
    `{site}` and `{layer}` are replaced; it is relative to the spec's folder.
    `neurons` and `unembedding` are made from the model's weights and have no
    path.

    Files that say themselves which place of a model they were trained at are
    held against the site, unless `ignore_hook` is given. `reads` says where the
    encoders of transcoders read, a place of the layer they are of.

    ```mlir
    flow.collection @sae <sae_lens> at "dictionaries/{site}.{layer}"
        sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 9 to 16
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    Flow_FormatAttr:$format,
    OptionalAttr<StrAttr>:$path,
    ArrayAttr:$sites,
    I64Attr:$first_layer,
    I64Attr:$last_layer,
    UnitAttr:$ignore_hook,
    OptionalAttr<FX_SiteKindAttr>:$reads);
  let assemblyFormat = [{
    $sym_name $format (`at` $path^)?
    `sites` $sites
    `layers` $first_layer `to` $last_layer (`ignore_hook` $ignore_hook^)?
    (`reads` $reads^)?
    attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// True if the collection has a dictionary at this site.
    bool covers(SiteAttr site);
    /// The path of one dictionary, still relative; empty without a path.
    std::string pathOf(SiteAttr site);
    /// "sae.res.12": the symbol of one opened dictionary.
    std::string dictionaryName(SiteAttr site);
  }];
}

def Flow_DictionaryOp : Flow_Op<"dictionary", [Symbol]> {
  let summary = "an opened dictionary";
  let description = [{
    What the compiler knows of a dictionary at one site: its sizes and how it
    encodes. Its features are read from the value at `reads` and written at
    `site`; the two are the same except for a dictionary of neurons, which reads
    the input of the down projection and writes at `mlp`, and transcoders.

    The features of a cross-layer transcoder write at later layers too. Each of
    these has a dictionary of its own, with the same encoder and other decoder
    rows, which is not of the collection's sites but named by `further`:

    ```mlir
    flow.dictionary @sae.res.12 of @sae at <12/res> reads <12/res>
        features 1536 width 576 activation <jumprelu>
    flow.dictionary @clt.mlp.0 of @clt at <0/mlp> reads <0/mid>
        features 64 width 576 activation <relu> further [@clt.mlp.0.to.1]
    flow.dictionary @clt.mlp.0.to.1 of @clt at <1/mlp> reads <0/mid>
        features 64 width 576 activation <relu>
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$collection,
    Flow_SiteAttr:$site,
    Flow_SiteAttr:$reads,
    I64Attr:$features,
    I64Attr:$width,
    Flow_ActivationAttr:$activation,
    DefaultValuedAttr<Flow_NormalizationAttr,
        "::weir::flow::Normalization::None">:$normalization,
    OptionalAttr<FlatSymbolRefArrayAttr>:$further);
  let assemblyFormat = [{
    $sym_name `of` $collection `at` $site `reads` $reads
    `features` $features `width` $width
    `activation` $activation (`normalization` $normalization^)?
    (`further` $further^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// True of a dictionary that another one names as `further`.
    bool isFurther();
  }];
}

//===----------------------------------------------------------------------===//
// Matches
//===----------------------------------------------------------------------===//

def Flow_MatchingOp : Flow_Op<"matching",
    [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "how features of neighbouring layers are matched";
  let description = [{
    One entry of a spec's `matches`. `flow-expand-matchings` makes one
    `flow.match` or `flow.permutation` of it for each pair of dictionaries that
    is needed.

    ```mlir
    flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>]
        layers 9 to 16 by #flow.top_k<1, cosine> over <decoder>
    flow.matching @permutation of @sae sites [#fx.site_kind<res>]
        layers 9 to 16 by #flow.assignment<mse>
        over <decoder|encoder|encoder_bias> fold <threshold>
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$collection,
    ArrayAttr:$sites,
    I64Attr:$first_layer,
    I64Attr:$last_layer,
    Flow_MethodAttrInterface:$method,
    Flow_WeightPartAttr:$weights,
    DefaultValuedAttr<Flow_FoldAttr, "::weir::flow::Fold::None">:$fold,
    OptionalAttr<StrAttr>:$text);
  let assemblyFormat = [{
    $sym_name `of` $collection `sites` $sites
    `layers` $first_layer `to` $last_layer
    `by` $method `over` $weights (`fold` $fold^)? (`text` $text^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The pairs of sites that are matched.
    ::llvm::SmallVector<Link> getLinks();
  }];
}

class Flow_PairOp<string mnemonic, list<Trait> traits> : Flow_Op<mnemonic,
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>,
     Flow_ComputedOpInterface] # traits> {
  let results = (outs Flow_Map:$map);
}

def Flow_MatchOp : Flow_PairOp<"match",
    [DeclareOpInterfaceMethods<Flow_PairOpInterface, ["getNumBest"]>]> {
  let summary = "the k most similar features of another dictionary";
  let description = [{
    For every feature of the first dictionary the k most similar ones of the
    second: exact, equal similarities by ascending index (arXiv 2502.03032;
    WeirMatching's TopK.h). `flow-match` computes it, or finds it in the cache,
    and adds the hash of the result.

    ```mlir
    %m = flow.match @sae.res.12 -> @sae.res.11 top_k 1 by <cosine> over <decoder>
        for @flow result <"sha256:9f…"> : <1536 -> 1536>
    ```

    By `pearson` it is the activations on a text that are compared, not weights.
  }];
  let arguments = (ins
    FlatSymbolRefAttr:$source,
    FlatSymbolRefAttr:$target,
    I64Attr:$k,
    Flow_SimilarityAttr:$similarity,
    Flow_WeightPartAttr:$weights,
    DefaultValuedAttr<Flow_FoldAttr, "::weir::flow::Fold::None">:$fold,
    OptionalAttr<StrAttr>:$text,
    OptionalAttr<FlatSymbolRefAttr>:$matching,
    OptionalAttr<Flow_ResultAttr>:$result);
  let assemblyFormat = [{
    $source `->` $target `top_k` $k `by` $similarity `over` $weights
    (`fold` $fold^)? (`text` $text^)? (`for` $matching^)? (`result` $result^)?
    attr-dict `:` qualified(type($map))
  }];
  let hasVerifier = 1;
}

def Flow_PermutationOp : Flow_PairOp<"permutation",
    [Flow_PairOpInterface]> {
  let summary = "one feature of another dictionary for every feature";
  let description = [{
    The assignment of features of the second dictionary to those of the first
    with the largest total similarity, no feature twice (SAE Match, arXiv
    2410.07656; WeirMatching's Assignment.h). If the sizes differ, every feature
    of the smaller side is matched. The result holds the duals that prove it.

    ```mlir
    %p = flow.permutation @sae.res.11 -> @sae.res.12 by <mse> over <decoder>
        fold <threshold> for @permutation : <1536 -> 1536>
    ```
  }];
  let arguments = (ins
    FlatSymbolRefAttr:$source,
    FlatSymbolRefAttr:$target,
    Flow_SimilarityAttr:$similarity,
    Flow_WeightPartAttr:$weights,
    DefaultValuedAttr<Flow_FoldAttr, "::weir::flow::Fold::None">:$fold,
    OptionalAttr<StrAttr>:$text,
    OptionalAttr<FlatSymbolRefAttr>:$matching,
    OptionalAttr<Flow_ResultAttr>:$result);
  let assemblyFormat = [{
    $source `->` $target `by` $similarity `over` $weights
    (`fold` $fold^)? (`text` $text^)? (`for` $matching^)? (`result` $result^)?
    attr-dict `:` qualified(type($map))
  }];
  let hasVerifier = 1;
}

def Flow_ComposeOp : Flow_Op<"compose",
    [Pure, Flow_ComputedOpInterface]> {
  let summary = "matches one after the other";
  let description = [{
    The features that one reaches by following the maps in order. Permutations
    compose to a permutation, P(A -> C) = P(B -> C) P(A -> B) (arXiv 2410.07656,
    section 3.2). Of top-k maps the weight of a pair is the largest product of
    similarities over the paths between them, and `keep` says how many pairs of a
    feature stay. It is applied after each map, so that a path that is not among
    the best so far is not followed any further.

    ```mlir
    %2 = flow.compose %0, %1 : (!flow.map<1536 -> 1536>, !flow.map<1536 -> 1536>) -> !flow.map<1536 -> 1536>
    ```

    One map composed is that map. A composition without `keep` inside another is
    a part of it: composing permutations is associative.
  }];
  let arguments = (ins Variadic<Flow_Map>:$maps, OptionalAttr<I64Attr>:$keep,
                       OptionalAttr<Flow_ResultAttr>:$result);
  let results = (outs Flow_Map:$map);
  let assemblyFormat = [{
    $maps (`keep` $keep^)? (`result` $result^)? attr-dict
    `:` functional-type($maps, $map)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_BridgeOp : Flow_Op<"bridge",
    [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "two dictionaries that stand for blocks between them";
  let description = [{
    The features of a value are read at `from` and written at `to`, along rows that
    a permutation gives to them. The layers between the two need not be neighbours:
    permutations are composed. Without a matching, one dictionary encodes and
    decodes.

    ```mlir
    flow.bridge @pruned.bridge of @sae from <11/res> to <13/res> by @permutation
    flow.bridge @pruned.bridge of @sae from <11/res> to <13/res> by @permutation
        through %2 : !flow.map<1536 -> 1536>
    ```

    `flow-expand-matchings` adds the map, `flow-resolve` opens the dictionaries.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$collection,
    Flow_SiteAttr:$from,
    Flow_SiteAttr:$to,
    OptionalAttr<FlatSymbolRefAttr>:$matching,
    Optional<Flow_Map>:$map);
  let assemblyFormat = [{
    $sym_name `of` $collection `from` $from `to` $to (`by` $matching^)?
    (`through` $map^ `:` qualified(type($map)))? attr-dict
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

/// An op whose result is features.
class Flow_FeaturesOp<string mnemonic, list<Trait> traits>
    : Flow_Op<mnemonic, [
        Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>] # traits> {
  let results = (outs Flow_Features:$features);
}

def Flow_SelectOp : Flow_FeaturesOp<"select", [
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "features, one selector after the other";
  let description = [{
    A list of selectors. `flow-resolve` replaces them by single features, in
    order and without repeats; `had_repeats` says that it left some out, so that
    the features no longer stand in the places in which they were written.

    ```mlir
    %science = flow.select [#flow.feature<@sae:10/res/811>,
                            #flow.antagonists<<@sae:9/res/4>, 2>]
    ```

    Features of a graph may have weights, which multiply the strength of an addition:

    ```mlir
    %part = flow.select [#flow.feature<@sae:11/res/743>,
                         #flow.feature<@sae:12/res/1438>] weights [0.54, 1.0]
    ```

    The name that a spec gives to a list is that of the op's location and of its
    result, and is no part of the value.
  }];
  let arguments = (ins ArrayAttr:$selectors,
                       OptionalAttr<DenseF64ArrayAttr>:$weights,
                       UnitAttr:$had_repeats);
  let assemblyFormat = [{
    $selectors (`weights` $weights^)? (`had_repeats` $had_repeats^)? attr-dict
  }];
  let builders = [
    OpBuilder<(ins "const ::weir::flow::FeatureList &":$features)>,
    OpBuilder<(ins "::mlir::ArrayAttr":$selectors,
                   "::mlir::UnitAttr":$had_repeats), [{
      build($_builder, $_state, selectors, ::mlir::DenseF64ArrayAttr(),
            had_repeats);
    }]>,
  ];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// True once every selector is a single feature.
    bool isResolved();
    /// The features of an op that is resolved.
    FeatureList getList();
    void setList(const FeatureList &list);
    /// Where a selector was written. The op's location is either that of the
    /// whole list, or a fusion of it with one location a selector, in order.
    ::mlir::Location getSelectorLoc(unsigned i);
  }];
}

def Flow_FollowOp : Flow_FeaturesOp<"follow", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "the features that matches link to some";
  let description = [{
    For each feature in turn, at most `most` of those that the matching leads
    to, the most similar first, equal ones in the order of the sites that the
    matching visits and then by index. Only positive similarities count, as in
    the transition T = 1[s > 0] of arXiv 2502.03032 (mean squared errors, which
    are never positive, all do).

    ```mlir
    %p = flow.follow <predecessors> of %f by @flow most 3
    %q = flow.follow <predecessors> of %f by @flow most 3
        through %m0, %m1 : !flow.map<1536 -> 1536>, !flow.map<1536 -> 1536>
    ```

    `flow-expand-matchings` adds the maps that are followed, and `flow-follow`
    replaces the op by the features.
  }];
  let arguments = (ins
    Flow_SideAttr:$side,
    Flow_Features:$of,
    FlatSymbolRefAttr:$matching,
    I64Attr:$most,
    Variadic<Flow_Map>:$maps);
  let assemblyFormat = [{
    $side `of` $of `by` $matching `most` $most
    (`through` $maps^ `:` type($maps))? attr-dict
  }];
  let hasVerifier = 1;
}

class Flow_CombineOp<string mnemonic, list<Trait> traits = []>
    : Flow_FeaturesOp<mnemonic, [
        DeclareOpInterfaceMethods<Flow_CombineOpInterface>] # traits> {
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Flow_ListOp : Flow_CombineOp<"list"> {
  let summary = "lists one after the other";
  let description = [{
    The features of every list in order, each where it stands first: what a spec
    means by `on: [{features: a}, 12/res/411]`.

    ```mlir
    %all = flow.list %a, %b
    ```

    One list is itself; a list inside another is a part of it.
  }];
  let arguments = (ins Variadic<Flow_Features>:$sets);
  let assemblyFormat = "$sets attr-dict";
}

def Flow_UnionOp : Flow_CombineOp<"union", [Commutative]> {
  let summary = "features of any of several sets";
  let description = [{
    ```mlir
    %u = flow.union %a, %b
    ```

    In canonical order, so that the order of the operands, and that in which
    they name their features, makes no difference. A union with itself or with
    nothing is folded, one inside another is a part of it.
  }];
  let arguments = (ins Variadic<Flow_Features>:$sets);
  let assemblyFormat = "$sets attr-dict";
}

def Flow_IntersectionOp : Flow_CombineOp<"intersection", [Commutative]> {
  let summary = "features of each of several sets";
  let description = [{
    ```mlir
    %i = flow.intersection %a, %b
    ```

    In canonical order. An intersection with itself is folded, one with nothing
    is empty, one inside another is a part of it.
  }];
  let arguments = (ins Variadic<Flow_Features>:$sets);
  let assemblyFormat = "$sets attr-dict";
}

def Flow_DifferenceOp : Flow_CombineOp<"difference"> {
  let summary = "features of one set that are not in another";
  let description = [{
    ```mlir
    %d = flow.difference %a, %b
    ```

    In canonical order. A difference with itself is empty, one with nothing is
    the set in canonical order.
  }];
  let arguments = (ins Flow_Features:$from, Flow_Features:$without);
  let assemblyFormat = "$from `,` $without attr-dict";
}

include "weir/Dialect/Flow/IR/FlowGraphOps.td"

#endif // WEIR_DIALECT_FLOW_IR_FLOWOPS_TD
