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
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"

class Flow_Op<string mnemonic, list<Trait> traits = []>
    : Op<Flow_Dialect, mnemonic, traits>;

def Flow_CollectionOp : Flow_Op<"collection", [Symbol]> {
  let summary = "dictionaries of one kind, as a spec declares them";
  let description = [{
    One entry of a spec's `dictionaries`. The path is a template in which
    `{site}` and `{layer}` are replaced; it is relative to the spec's folder.
    `neurons` and `unembedding` are made from the model's weights and have no
    path.

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
    I64Attr:$last_layer);
  let assemblyFormat = [{
    $sym_name $format (`at` $path^)?
    `sites` $sites
    `layers` $first_layer `to` $last_layer attr-dict
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

def Flow_FeaturesOp : Flow_Op<"features", [Symbol]> {
  let summary = "a named set of features";
  let description = [{
    A list of selectors. `flow-resolve` replaces them by single features, in
    order and without repeats; `had_repeats` says that it left some out, so that
    the features no longer stand in the places in which they were written.

    ```mlir
    flow.features @science [#flow.feature<@sae, res, 10, 811>,
                            #flow.antagonists<#flow.feature<@sae, res, 9, 4>, 2>]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ArrayAttr:$selectors,
                       UnitAttr:$had_repeats);
  let assemblyFormat = [{
    $sym_name $selectors (`had_repeats` $had_repeats^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// True once every selector is a single feature.
    bool isResolved();
    /// Where a selector was written. The op's location is either that of the
    /// whole list, or a fusion of it with one location a selector, in order.
    ::mlir::Location getSelectorLoc(unsigned i);
  }];
}

def Flow_DictionaryOp : Flow_Op<"dictionary", [Symbol]> {
  let summary = "an opened dictionary";
  let description = [{
    What the compiler knows of a dictionary at one site: its sizes and how it
    encodes. Its features are read from the value at `reads` and written at
    `site`; the two are the same except for a dictionary of neurons, which reads
    the input of the down projection and writes at `mlp`.

    ```mlir
    flow.dictionary @sae.res.12 of @sae at <res, 12> reads <res, 12>
        features 1536 width 576 activation <jumprelu>
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
    OptionalAttr<StrAttr>:$hash);
  let assemblyFormat = [{
    $sym_name `of` $collection `at` $site `reads` $reads
    `features` $features `width` $width
    `activation` $activation (`normalization` $normalization^)?
    (`hash` $hash^)? attr-dict
  }];
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWOPS_TD
