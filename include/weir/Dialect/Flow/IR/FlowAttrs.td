//===- FlowAttrs.td - Attributes of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWATTRS_TD
#define WEIR_DIALECT_FLOW_IR_FLOWATTRS_TD

include "weir/Dialect/Flow/IR/FlowDialect.td"
include "weir/Dialect/Flow/IR/FlowEnums.td"
include "weir/Dialect/Flow/IR/FlowInterfaces.td"
include "weir/Dialect/FX/IR/FXAttrs.td"
include "weir/Dialect/FX/IR/FXInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"

class Flow_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Flow_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

def Flow_FormatAttr : EnumAttr<Flow_Dialect, Flow_Format, "format"> {
  let assemblyFormat = "`<` $value `>`";
}

def Flow_NormalizationAttr
    : EnumAttr<Flow_Dialect, Flow_Normalization, "normalization"> {
  let assemblyFormat = "`<` $value `>`";
}

def Flow_SimilarityAttr
    : EnumAttr<Flow_Dialect, Flow_Similarity, "similarity"> {
  let assemblyFormat = "`<` $value `>`";
}
def Flow_FoldAttr : EnumAttr<Flow_Dialect, Flow_Fold, "fold"> {
  let assemblyFormat = "`<` $value `>`";
}
def Flow_WeightPartAttr : EnumAttr<Flow_Dialect, Flow_WeightPart, "weights"> {
  let assemblyFormat = "`<` $value `>`";
}

def Flow_DirectionAttr : EnumAttr<Flow_Dialect, Flow_Direction, "direction"> {
  let assemblyFormat = "`<` $value `>`";
}
def Flow_EndsAttr : EnumAttr<Flow_Dialect, Flow_Ends, "ends"> {
  let assemblyFormat = "`<` $value `>`";
}
def Flow_WeightAttr : EnumAttr<Flow_Dialect, Flow_Weight, "weight"> {
  let assemblyFormat = "`<` $value `>`";
}

def Flow_SideAttr : EnumAttr<Flow_Dialect, Flow_Side, "side"> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Sites and features
//===----------------------------------------------------------------------===//

def Flow_SiteAttr : Flow_Attr<"Site", "site", [FX_WholeValueAttrInterface]> {
  let summary = "a place in the model where features live";
  let description = [{
    `#flow.site<12/res>` is the residual stream after block 12. The kinds are
    those of `#fx.site_kind`. Sites are written like this everywhere: in a spec,
    in messages, and in operations.
  }];
  let parameters = (ins
    EnumParameter<FX_SiteKindEnum>:$kind,
    "int64_t":$layer);
  let assemblyFormat = "`<` custom<SitePath>($kind, $layer) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// "layer/site", as a spec writes it.
    std::string str() const;
  }];
}

def Flow_FeatureAttr : Flow_Attr<"Feature", "feature",
    [DeclareAttrInterfaceMethods<Flow_SelectorAttrInterface>]> {
  let summary = "one feature: collection, site and index";
  let description = [{
    `#flow.feature<@sae:12/res/411>` is written `sae:12/res/411`, or
    `12/res/411` where there is one collection, in a spec.
  }];
  let parameters = (ins
    "::mlir::FlatSymbolRefAttr":$collection,
    EnumParameter<FX_SiteKindEnum>:$kind,
    "int64_t":$layer,
    "int64_t":$index);
  let assemblyFormat = [{
    `<` custom<FeaturePath>($collection, $kind, $layer, $index) `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// "layer/site/index", as a spec writes it.
    std::string str() const;
    SiteAttr getSite() const;
  }];
}

def Flow_AntagonistsAttr : Flow_Attr<"Antagonists", "antagonists",
    [DeclareAttrInterfaceMethods<Flow_SelectorAttrInterface>]> {
  let summary = "the features most opposed to one";
  let description = [{
    The `count` features of the same dictionary whose decoder rows have the most
    negative cosine with the row of `of`; features with a cosine of zero or more
    are not antagonists and are not selected.
  }];
  let parameters = (ins "FeatureAttr":$of, "int64_t":$count);
  let assemblyFormat = "`<` $of `,` $count `>`";
  let genVerifyDecl = 1;
}

def Flow_WholeSiteAttr : Flow_Attr<"WholeSite", "whole_site",
    [DeclareAttrInterfaceMethods<Flow_SelectorAttrInterface>]> {
  let summary = "every feature of a dictionary";
  let description = "`#flow.whole_site<@sae:10/res>`, in the order of their indices.";
  let parameters = (ins
    "::mlir::FlatSymbolRefAttr":$collection,
    EnumParameter<FX_SiteKindEnum>:$kind,
    "int64_t":$layer);
  let assemblyFormat =
    "`<` custom<CollectionSitePath>($collection, $kind, $layer) `>`";
  let genVerifyDecl = 1;
}

def Flow_ActivationAttr : Flow_Attr<"Activation", "activation"> {
  let summary = "a dictionary's activation function";
  let description = [{
    `#flow.activation<jumprelu>`, or `#flow.activation<topk, 32>` with the number
    of features that stay active.
  }];
  let parameters = (ins
    EnumParameter<Flow_ActivationKind>:$kind,
    DefaultValuedParameter<"int64_t", "0">:$topK);
  let assemblyFormat = "`<` $kind (`,` $topK^)? `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Matches
//===----------------------------------------------------------------------===//

class Flow_MethodAttr<string name, string attrMnemonic>
    : Flow_Attr<name, attrMnemonic,
        [DeclareAttrInterfaceMethods<Flow_MethodAttrInterface>]>;

def Flow_TopKAttr : Flow_MethodAttr<"TopK", "top_k"> {
  let summary = "the k most similar features";
  let description = [{
    `#flow.top_k<1, cosine>`: from every feature to the k most similar ones of
    each site before it (arXiv 2502.03032, section 3). The sites before the
    residual stream of layer L are the residual stream of layer L - 1, the MLP
    and the attention of layer L, as far as they are among the sites that are
    matched. Where the residual stream is not among them, the site before one is
    that of the same kind in layer L - 1.
  }];
  let parameters = (ins "int64_t":$k, EnumParameter<Flow_Similarity>:$similarity);
  let assemblyFormat = "`<` $k `,` $similarity `>`";
  let genVerifyDecl = 1;
}

def Flow_PermutationAttr : Flow_MethodAttr<"Permutation", "assignment"> {
  let summary = "one feature for every feature";
  let description = [{
    `#flow.assignment<mse>`: from every feature of layer L to one of layer L + 1
    at the same site, no feature twice, with the largest total similarity (SAE
    Match, arXiv 2410.07656, section 3).
  }];
  let parameters = (ins EnumParameter<Flow_Similarity>:$similarity);
  let assemblyFormat = "`<` $similarity `>`";
  let genVerifyDecl = 1;
}

def Flow_ResultAttr : Flow_Attr<"Result", "result"> {
  let summary = "the hash that a computed map is found under";
  let description = [{
    `#flow.result<"sha256:9f…">`: the key of an entry of the cache, which is the
    hash of the weights that were compared and of the options.
  }];
  let parameters = (ins StringRefParameter<>:$hash);
  let assemblyFormat = "`<` $hash `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    static constexpr ::llvm::StringLiteral prefix = "sha256:";
    /// The attribute for a key of 64 hexadecimal digits.
    static ResultAttr forKey(::mlir::MLIRContext *context, ::llvm::StringRef key);
    /// The key, without the prefix.
    ::llvm::StringRef getKey() const;
  }];
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

def Flow_KeepAttr : Flow_Attr<"Keep", "keep"> {
  let summary = "what an edge from a kind of site has to reach";
  let description = [{
    `#flow.keep<kind = res, similarity = 0.5>`: edges whose earlier end is of this
    kind stay where all that is given holds:

    - `similarity`: the similarity is at least this;
    - `null`: it is at least this quantile of what random directions reach, each with
      the most similar feature of the dictionary at the earlier end;
    - `effect`: the causal effect is at least this.
  }];
  let parameters = (ins
    EnumParameter<FX_SiteKindEnum>:$kind,
    OptionalParameter<"::mlir::FloatAttr">:$similarity,
    OptionalParameter<"::mlir::FloatAttr">:$null,
    OptionalParameter<"::mlir::FloatAttr">:$effect);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The largest quantile that so many random directions tell.
    static constexpr double largestQuantile = 0.999;
  }];
}

//===----------------------------------------------------------------------===//
// Recipes for constants
//===----------------------------------------------------------------------===//

class Flow_RecipeAttr<string name, string attrMnemonic>
    : Flow_Attr<name, attrMnemonic,
        [DeclareAttrInterfaceMethods<FX_ConstantAttrInterface>,
         DeclareAttrInterfaceMethods<Flow_RecipeAttrInterface>]>;

def Flow_RowsAttr : Flow_RecipeAttr<"Rows", "rows"> {
  let summary = "some rows of a dictionary, in effective form";
  let description = [{
    `#flow.rows<decoder of @sae.res.12 [53, 411]>`: shape [2, d] for `encoder`,
    `decoder` and `unit_decoder` (rows of length one), shape [2] for the others but
    `decoder_bias`, which is one vector [d] of the whole dictionary and lists none.
    An empty list means all rows; how many that is only the dictionary knows, so
    such a recipe stands for a whole encoder and never for directions that
    something is written along.
  }];
  let parameters = (ins
    EnumParameter<Flow_RowsPart>:$part,
    "::mlir::FlatSymbolRefAttr":$dictionary,
    OptionalArrayRefParameter<"int64_t">:$features);
  let assemblyFormat =
    "`<` $part `of` $dictionary `[` (`]`) : ($features^ `]`)? `>`";
}

def Flow_CarriedAttr : Flow_RecipeAttr<"Carried", "carried"> {
  let summary = "what a match makes a decoder of another layer's features";
  let description = [{
    `#flow.carried<@sae.res.11 -> @sae.res.12 by <"sha256:9f…">>`, shape [F, d]:
    row i is the decoder row of the second dictionary that the permutation gives to
    feature i of the first, or zeros where it gives none (SAE Match, arXiv
    2410.07656: f^ W_dec with f^ = P f). With `fold`, activations are carried over
    in the unit that was folded, so that the row is multiplied by the unit of
    feature P(i) and divided by that of feature i. With `quantile`, features whose
    match error is above that quantile of all errors, or that have no match, keep
    their own row. The error of a match is minus its similarity; of a composed
    one, the largest of its steps.

    The numbers are computed when a program is written; the IR has the hash that
    the match is found under.
  }];
  let parameters = (ins
    "::mlir::FlatSymbolRefAttr":$source,
    "::mlir::FlatSymbolRefAttr":$target,
    "ResultAttr":$result,
    DefaultValuedParameter<"Fold", "::weir::flow::Fold::None">:$fold,
    OptionalParameter<"::mlir::FloatAttr">:$quantile);
  let assemblyFormat = [{
    `<` $source `->` $target `by` $result (`fold` `=` $fold^)?
    (`quantile` `=` $quantile^)? `>`
  }];
  let genVerifyDecl = 1;
}

def Flow_SumAttr : Flow_RecipeAttr<"Sum", "sum"> {
  let summary = "a weighted sum of rows";
  let description = [{
    `#flow.sum<[8.0, 4.0] * #flow.rows<decoder of @d [53, 411]>>`, shape [1, d]:
    summed in f64, rounded once.
  }];
  let parameters = (ins
    "::mlir::DenseF64ArrayAttr":$weights,
    "::mlir::Attribute":$rows);
  let assemblyFormat = "`<` $weights `*` $rows `>`";
  let genVerifyDecl = 1;
}

def Flow_BasisAttr : Flow_RecipeAttr<"Basis", "basis"> {
  let summary = "an orthonormal basis of the span of rows";
  let description = [{
    `#flow.basis<#flow.rows<decoder of @d [53, 411]>>`: as many rows as the
    recipe inside has, padded with zero rows where those depend on each other.
  }];
  let parameters = (ins "::mlir::Attribute":$rows);
  let assemblyFormat = "`<` $rows `>`";
  let genVerifyDecl = 1;
}

def Flow_ConcatAttr : Flow_RecipeAttr<"Concat", "concat"> {
  let summary = "recipes below each other";
  let parameters = (ins "::mlir::ArrayAttr":$parts);
  let assemblyFormat = "`<` $parts `>`";
  let genVerifyDecl = 1;
}

include "weir/Dialect/Flow/IR/FlowFolding.td"

#endif // WEIR_DIALECT_FLOW_IR_FLOWATTRS_TD
