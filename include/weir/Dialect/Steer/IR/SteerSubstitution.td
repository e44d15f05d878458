//===- SteerSubstitution.td - Layers replaced by features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A layer replaced by the features of the one before it (SAE Match, arXiv
// 2410.07656). These operations stand between the patches of two sites. Included
// by SteerOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERSUBSTITUTION_TD
#define WEIR_DIALECT_STEER_IR_STEERSUBSTITUTION_TD

def Steer_ReconstructOp : Steer_Op<"reconstruct", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "what the features of a value make of other rows";
  let description = [{
    f D + b, with the activations f of all features of a dictionary, rows D of a
    recipe [F, d] and a vector b [d]; of a normalised dictionary brought back to
    the scale, and with `layer_norm` to the mean, of the value.
    `steer-decompose-reads` makes `normalize`, `encode`, `activate`, `decode` and
    `denormalize` of it.

    ```mlir
    %y = steer.reconstruct %x of @sae.res.11 activation <jumprelu> size 1536
        along [#flow.carried<@sae.res.11 -> @sae.res.12 by <"sha256:9f…">>]
        plus [#flow.rows<decoder_bias of @sae.res.12 []>] : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_Value:$input, FlatSymbolRefAttr:$dictionary,
                       Flow_ActivationAttr:$activation,
                       DefaultValuedAttr<Flow_NormalizationAttr,
                           "::weir::flow::Normalization::None">:$normalization,
                       I64Attr:$dictionary_size,
                       Flow_RecipeAttrInterface:$rows,
                       Flow_RecipeAttrInterface:$bias);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input `of` $dictionary `activation` $activation
    (`normalization` $normalization^)? `size` $dictionary_size
    `along` ` ` `[` $rows `]` `plus` ` ` `[` $bias `]` attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Steer_ChooseOp : Steer_Op<"choose", [
    Pure, AllTypesMatch<["replacement", "original", "result"]>]> {
  let summary = "the value of a site, or what takes its place";
  let description = [{
    The replacement where the gate holds, the original elsewhere. Where the gate is
    known, one of the two is left, and what only the other one needs is dead: the
    blocks that a fixed plan replaces.

    ```mlir
    %v = steer.choose %y where %g : tensor<?x1x1xi1> else %x at <12/res>
        : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_Value:$replacement, Steer_Gate:$gate,
                       Steer_Value:$original, Flow_SiteAttr:$site);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $replacement `where` $gate `:` type($gate) `else` $original `at` $site
    attr-dict `:` type($original)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Steer_DecodeOp : Steer_Op<"decode", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "f D + b";
  let description = [{
    The activations of all features of a dictionary times rows of a recipe, which
    has one for each of them, plus one vector.

    ```mlir
    %y = steer.decode %f along [#flow.rows<decoder of @d []>]
        plus [#flow.rows<decoder_bias of @d []>]
        : tensor<?x?x1536xf32> -> tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_Activations:$input, Flow_RecipeAttrInterface:$rows,
                       Flow_RecipeAttrInterface:$bias);
  let results = (outs Steer_WideValue:$result);
  let assemblyFormat = [{
    $input `along` ` ` `[` $rows `]` `plus` ` ` `[` $bias `]` attr-dict
    `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Steer_DenormalizeOp : Steer_Op<"denormalize", [
    Pure, AllTypesMatch<["input", "like", "result"]>]> {
  let summary = "a normalised dictionary's output as the model has it";
  let description = [{
    y |x| / sqrt(d) for `constant_norm`, y std + mean for `layer_norm`, with the
    numbers of the value `like` that was encoded: what `steer.normalize` took out.

    ```mlir
    %z = steer.denormalize %y like %x <layer_norm> : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_WideValue:$input, Steer_WideValue:$like,
                       Flow_NormalizationAttr:$normalization);
  let results = (outs Steer_WideValue:$result);
  let assemblyFormat = "$input `like` $like $normalization attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_STEER_IR_STEERSUBSTITUTION_TD
