//===- SteerOps.td - Operations of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEEROPS_TD
#define WEIR_DIALECT_STEER_IR_STEEROPS_TD

include "weir/Dialect/Flow/IR/FlowTypes.td"
include "weir/Dialect/Steer/IR/SteerAttrs.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Steer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Steer_Dialect, mnemonic, traits>;

// Features come last; in front of them there are a batch and a sequence, or
// tokens that are flattened. Edits are made in f32, so wider values would lose
// what they are not edited in.
def Steer_Value : TensorRankOf<[F16, BF16, F32], [2, 3]>;
def Steer_NarrowValue : TensorRankOf<[F16, BF16], [2, 3]>;
def Steer_WideValue : TensorRankOf<[F32], [2, 3]>;
def Steer_Activations : TensorRankOf<[F32], [2, 3]>;
// What is the same for all tokens needs no dimension for them: [1].
def Steer_Coefficients : TensorRankOf<[F32], [1, 2, 3]>;

// One gate or number a token or row.
class Steer_PerToken<Type element> : ConfinedType<TensorRankOf<[element], [2, 3]>,
    [CPred<"::llvm::cast<::mlir::ShapedType>($_self).getShape().back() == 1">],
    "2D/3D tensor of " # element.summary # " values, one a token">;
def Steer_Gate : Steer_PerToken<I1>;
def Steer_Knob : Steer_PerToken<F32>;

//===----------------------------------------------------------------------===//
// What a spec says
//===----------------------------------------------------------------------===//

def Steer_ModelOp : Steer_Op<"model"> {
  let summary = "the model a spec steers";
  let description = [{
    The path of its program, relative to the spec's folder, and, where they are
    not found from the graph's structure, a map of sites to module paths in which
    `{layer}` is replaced.

    ```mlir
    steer.model "smollm2.pt2"
    steer.model "other.pt2" sites {res = "model.layers.{layer}"}
    ```
  }];
  let arguments = (ins OptionalAttr<StrAttr>:$program,
                       OptionalAttr<DictionaryAttr>:$sites);
  let assemblyFormat = "($program^)? (`sites` $sites^)? attr-dict";
  let hasVerifier = 1;
}

def Steer_KnobOp : Steer_Op<"knob", [Symbol]> {
  let summary = "a number chosen at run time";
  let description = [{
    Knobs are columns of the input `knobs` [batch, K], in the order in which they
    are declared.

    ```mlir
    steer.knob @faith default 1.0 range 0.0 to 8.0
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, F64Attr:$default_value,
                       OptionalAttr<F64Attr>:$min, OptionalAttr<F64Attr>:$max);
  let assemblyFormat = [{
    $sym_name `default` $default_value
    (`range` $min^ `to` $max)? attr-dict
  }];
  let hasVerifier = 1;
}

def Steer_PolicyOp : Steer_Op<"policy", [
    Symbol, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<Flow_FeatureUserOpInterface>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "what to do with a set of features, where and when";
  let description = [{
    `layers` matters only to actions that can be written elsewhere. `times`
    multiplies the action's number by a knob. With `only_active`, only features
    with f > 0 are edited. With `preserve_norm`, the token's new value is brought
    back to the norm it had. A transfer gives to the features of `to`.

    ```mlir
    steer.policy @less_science #steer.scale<-1.0> on %science
        tokens <set = generated> when #steer.when<feature = <@sae:9/res/77>, above = 0.5>
    steer.policy @move #steer.transfer on %a to %b
    steer.policy @calm #steer.ablate on %a watching %part
        when #steer.watch<features = 0, above = 0.5>
    ```

    `watching` gives lists of features that the condition names by their position.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    Steer_ActionAttrInterface:$action,
    Flow_Features:$on,
    Optional<Flow_Features>:$to,
    Variadic<Flow_Features>:$watched,
    OptionalAttr<Steer_LayersAttr>:$layers,
    OptionalAttr<Steer_TokensAttr>:$tokens,
    OptionalAttr<Steer_ConditionAttrInterface>:$when,
    OptionalAttr<FlatSymbolRefAttr>:$times,
    UnitAttr:$only_active,
    UnitAttr:$preserve_norm);
  let assemblyFormat = [{
    $sym_name $action `on` $on (`to` $to^)? (`watching` $watched^)?
    (`layers` $layers^)? (`tokens` $tokens^)?
    (`when` $when^)? (`times` $times^)? (`only_active` $only_active^)?
    (`preserve_norm` $preserve_norm^)? attr-dict
  }];
  let builders = [
    // One that watches nothing.
    OpBuilder<(ins "::mlir::StringAttr":$name,
                   "::weir::steer::ActionAttrInterface":$action,
                   "::mlir::Value":$on, "::mlir::Value":$to,
                   "::weir::steer::LayersAttr":$layers,
                   "::weir::steer::TokensAttr":$tokens,
                   "::weir::steer::ConditionAttrInterface":$when,
                   "::mlir::FlatSymbolRefAttr":$times,
                   "::mlir::UnitAttr":$only_active,
                   "::mlir::UnitAttr":$preserve_norm), [{
      build($_builder, $_state, name, action, on, to, ::mlir::ValueRange(),
            layers, tokens, when, times, only_active, preserve_norm);
    }]>,
    // One that acts everywhere, always and on all tokens, as records do.
    OpBuilder<(ins "::mlir::StringAttr":$name,
                   "::weir::steer::ActionAttrInterface":$action,
                   "::mlir::Value":$on), [{
      build($_builder, $_state, name, action, on, /*to=*/::mlir::Value(),
            ::weir::steer::LayersAttr(), ::weir::steer::TokensAttr(),
            ::weir::steer::ConditionAttrInterface(),
            /*times=*/::mlir::FlatSymbolRefAttr(),
            /*only_active=*/::mlir::UnitAttr(),
            /*preserve_norm=*/::mlir::UnitAttr());
    }]>,
  ];
  let hasVerifier = 1;
}

def Steer_PlanOp : Steer_Op<"plan", [
    Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "policies that act together";
  let description = [{
    A row of a batch follows one plan, by its index in the order of declaration.

    A plan that is `fixed` is the one that every row follows: the program has no
    input that chooses it, and none for the knobs, whose values stand here.

    ```mlir
    steer.plan @default [@more_faith, @less_science]
    steer.plan @food [@food] fixed {faith = 2.0 : f32}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypedArrayAttrBase<FlatSymbolRefAttr, "policies">:$policies,
                       OptionalAttr<DictionaryAttr>:$fixed);
  let builders = [OpBuilder<(ins "::mlir::StringAttr":$name,
                                 "::mlir::ArrayAttr":$policies), [{
      build($_builder, $_state, name, policies, ::mlir::DictionaryAttr());
    }]>];
  let assemblyFormat = "$sym_name $policies (`fixed` $fixed^)? attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Patches
//===----------------------------------------------------------------------===//

def Steer_PatchOp : Steer_Op<"patch", [
    SingleBlock, RecursiveMemoryEffects, AllTypesMatch<["input", "result"]>]> {
  let summary = "the new value of a site";
  let description = [{
    The region computes the site's new value from its value, which is the block
    argument. It may use values from outside: gates, knobs, and values of earlier
    sites before their edits.

    The verifier holds the rules of a site: reads see an unedited value; at most
    one write, before all projections, before the norm; and no two absolute edits
    of one feature in plans they share.

    `lowering` says what the patch becomes; `steer-select-lowering` sets it.
  }];
  let arguments = (ins Steer_Value:$input, Flow_SiteAttr:$site,
                       OptionalAttr<Steer_LoweringAttr>:$lowering);
  let results = (outs Steer_Value:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $input `at` $site (`lowering` $lowering^)? $body attr-dict `:` type($input)
  }];
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "::weir::flow::SiteAttr":$site)>];
  let hasRegionVerifier = 1;
  let hasCanonicalizeMethod = 1;
  let extraClassDeclaration = [{
    ::mlir::Value getValue() { return getBody().getArgument(0); }
    YieldOp getYield();
  }];
}

def Steer_YieldOp : Steer_Op<"yield", [Pure, Terminator, HasParent<"PatchOp">]> {
  let summary = "the new value of a patch";
  let arguments = (ins Steer_Value:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

def Steer_ReadOp : Steer_Op<"read", [
    Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "activations of some features";
  let description = [{
    f = act(norm(x) W_enc + b_enc), for the listed features only, in f32. A TopK
    dictionary needs its whole encoder to know who is in the top k. The result has
    the tokens of the value and one column a feature; `gather` is for dictionaries
    of neurons, whose activations are the value's own columns.
    `steer-decompose-reads` makes `normalize`, `encode` and `activate` of it.

    ```mlir
    %f = steer.read %h of @sae.res.12 [53, 411] activation <jumprelu> size 1536
        : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_Value:$input, FlatSymbolRefAttr:$dictionary,
                       DenseI64ArrayAttr:$features,
                       // What the dictionary does with its input, copied from
                       // its flow.dictionary so that a read can be lowered and
                       // costed by itself.
                       Flow_ActivationAttr:$activation,
                       DefaultValuedAttr<Flow_NormalizationAttr,
                           "::weir::flow::Normalization::None">:$normalization,
                       I64Attr:$dictionary_size,
                       UnitAttr:$gather);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $input `of` $dictionary $features `activation` $activation
    (`normalization` $normalization^)? `size` $dictionary_size
    (`gather` $gather^)? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Steer_PickOp : Steer_Op<"pick", [Pure, InferTypeOpAdaptor]> {
  let summary = "some columns of activations";
  let description = [{
    ```mlir
    %g = steer.pick %f [1] : tensor<?x?x2xf32>
    ```
  }];
  let arguments = (ins Steer_Activations:$input, DenseI64ArrayAttr:$columns);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $input $columns attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_InputScaleOp : Steer_Op<"input_scale", [Pure, InferTypeOpAdaptor]> {
  let summary = "the factor that brings a normalised dictionary's output back";
  let description = [{
    |x| / sqrt(d) for `constant_norm`, the standard deviation of x for
    `layer_norm`: what an edit's coefficients are multiplied by, one number a
    token.
  }];
  let arguments = (ins Steer_Value:$input, Flow_NormalizationAttr:$normalization);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $input $normalization attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// New activations
//===----------------------------------------------------------------------===//

class Steer_ActivationOp<string mnemonic, list<Trait> traits = []>
    : Steer_Op<mnemonic, !listconcat([Pure, AllTypesMatch<["input", "result"]>], traits)> {
  let results = (outs Steer_Activations:$result);
  let hasVerifier = 1;
}

def Steer_SetToOp : Steer_ActivationOp<"set_to"> {
  let summary = "v := c";
  let description = [{
    One number for all features or one for each; with `times`, multiplied by a
    knob. `ablate` is `set_to [0.0]`.
  }];
  let arguments = (ins Steer_Activations:$input, DenseF64ArrayAttr:$values,
                       Optional<Steer_Knob>:$times);
  let assemblyFormat = [{
    $input $values (`times` $times^ `:` type($times))? attr-dict `:` type($input)
  }];
  let hasCanonicalizeMethod = 1;
}

def Steer_ScaleByOp : Steer_ActivationOp<"scale_by"> {
  let summary = "v := r f";
  let arguments = (ins Steer_Activations:$input, DenseF64ArrayAttr:$factors,
                       Optional<Steer_Knob>:$times);
  let assemblyFormat = [{
    $input $factors (`times` $times^ `:` type($times))? attr-dict `:` type($input)
  }];
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_ClampToOp : Steer_ActivationOp<"clamp_to"> {
  let summary = "v := min(max(f, lo), hi)";
  let arguments = (ins Steer_Activations:$input, OptionalAttr<F64Attr>:$min,
                       OptionalAttr<F64Attr>:$max);
  let assemblyFormat = [{
    $input (`min` $min^)? (`max` $max^)? attr-dict `:` type($input)
  }];
  let hasFolder = 1;
}

def Steer_SumOp : Steer_Op<"sum", [Pure, SameOperandsAndResultType]> {
  let summary = "v := f + g";
  let arguments = (ins Steer_Activations:$lhs, Steer_Activations:$rhs);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Coefficients
//===----------------------------------------------------------------------===//

def Steer_DeltaOp : Steer_Op<"delta", [
    Pure, AttrSizedOperandSegments, AllTypesMatch<["from", "to", "result"]>]> {
  let summary = "what an edit adds along its decoder rows";
  let description = [{
    v - f, multiplied by `scale` for a normalised dictionary, where the gate
    holds (and, with `only_active`, where f > 0), else 0.
  }];
  let arguments = (ins Steer_Activations:$from, Steer_Activations:$to,
                       Optional<Steer_Gate>:$gate, Optional<Steer_Knob>:$scale,
                       UnitAttr:$only_active);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $from `to` $to (`only_active` $only_active^)? (`where` $gate^ `:` type($gate))?
    (`scaled` `by` $scale^ `:` type($scale))? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_StrengthOp : Steer_Op<"strength", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "the coefficient of an addition";
  let description = [{
    The number, times a knob if there is one, where the gate holds, else 0. Its
    shape is what gate and knob broadcast to, at most one number a token; without
    both it is [1].
  }];
  let arguments = (ins F64Attr:$value, Optional<Steer_Knob>:$times,
                       Optional<Steer_Gate>:$gate);
  let results = (outs Steer_Coefficients:$result);
  let assemblyFormat = [{
    $value (`times` $times^ `:` type($times))?
    (`where` $gate^ `:` type($gate))? attr-dict
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

def Steer_WriteOp : Steer_Op<"write", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<Steer_EditOpInterface>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "x + sum_j c_j D_j";
  let description = [{
    Adds every edit of a site at once. Each coefficient [.., k] goes along k rows
    given by a recipe and has the tokens of x, or fewer that broadcast to them.
    Where all coefficients are zero the value is unchanged to the bit.

    ```mlir
    %y = steer.write %h, %c along [#flow.rows<decoder of @sae.res.12 [53, 411]>]
        : tensor<?x?x576xf32>, tensor<?x?x2xf32>
    ```
  }];
  let arguments = (ins Steer_Value:$input, Variadic<Steer_Coefficients>:$coefficients,
                       ArrayAttr:$rows);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input (`,` $coefficients^)? `along` $rows attr-dict `:` type($input)
    (`,` type($coefficients)^)?
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Steer_ProjectOp : Steer_Op<"project", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<Steer_EditOpInterface, ["mayRepeat"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "x - Q^T Q x";
  let description = [{
    `rows` is a recipe of orthonormal rows Q [k, d] (`#flow.basis`); applied where
    the gate holds.

    ```mlir
    %y = steer.project %h out of [#flow.basis<#flow.rows<decoder of @sae.res.12[53]>>]
        where %gate : tensor<?x1x1xi1> : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_Value:$input, Flow_RecipeAttrInterface:$rows,
                       Optional<Steer_Gate>:$gate);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input `out` `of` ` ` `[` $rows `]` (`where` $gate^ `:` type($gate))? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_RescaleOp : Steer_Op<"rescale", [
    Pure, AllTypesMatch<["input", "like", "result"]>,
    DeclareOpInterfaceMethods<Steer_EditOpInterface>]> {
  let summary = "x |x0| / |x|";
  let description = [{
    Brings a token's new value back to the norm of the old one, where the gate
    holds. A new value of norm zero stays zero.
  }];
  let arguments = (ins Steer_Value:$input, Steer_Value:$like, Optional<Steer_Gate>:$gate);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input `like` $like (`where` $gate^ `:` type($gate))? attr-dict `:` type($input)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_RecordOp : Steer_Op<"record"> {
  let summary = "an extra output of the program";
  let description = [{
    Makes activations an output of the program. Tokens outside the gate are zero.
    `features` says what the columns are.
  }];
  let arguments = (ins Steer_Activations:$input, StrAttr:$name, ArrayAttr:$features,
                       Optional<Steer_Gate>:$gate);
  let assemblyFormat = [{
    $input `as` $name $features (`where` $gate^ `:` type($gate))? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_RecordGateOp : Steer_Op<"record_gate"> {
  let summary = "a policy's gate as an extra output of the program";
  let description = [{
    1 where the gate [batch, sequence, 1] of the policy `of` holds, else 0, as f32.
    Rows outside of the record's own gate are zero.

    ```mlir
    steer.record_gate %calm of @calm as "watch" where %own : tensor<?x?x1xi1>
        : tensor<?x?x1xi1>
    ```
  }];
  let arguments = (ins Steer_Gate:$input, FlatSymbolRefAttr:$of, StrAttr:$name,
                       Optional<Steer_Gate>:$gate);
  let assemblyFormat = [{
    $input `of` $of `as` $name (`where` $gate^ `:` type($gate))? attr-dict `:` type($input)
  }];
}

def Steer_RecordValueOp : Steer_Op<"record_value"> {
  let summary = "the value of a site as an extra output of the program";
  let description = [{
    All numbers of a site [batch, sequence, d], as f32. Rows outside of the gate
    are zero.

    ```mlir
    steer.record_value %x of <12/res> as "raw.res.12" where %g : tensor<?x?x1xi1>
        : tensor<?x?x576xbf16>
    ```
  }];
  let arguments = (ins Steer_Value:$input, Flow_SiteAttr:$site, StrAttr:$name,
                       Optional<Steer_Gate>:$gate);
  let assemblyFormat = [{
    $input `of` $site `as` $name (`where` $gate^ `:` type($gate))? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Steer_CountOp : Steer_Op<"count"> {
  let summary = "which tokens policies edit, as an extra output of the program";
  let description = [{
    An output [batch, sequence, policies] of f32: a column for each policy, in the
    order in which they are first named, with 1 at the tokens that it edits at
    this site and 0 elsewhere. A token is edited where a coefficient is not zero:
    an addition whose knob is 0 edits nothing, and neither does the ablation of
    a feature that is off. A gate stands for an edit that has no coefficient, such
    as a projection. `tokens` leaves out padding.

    ```mlir
    steer.count %c, %g as ["calm", "clear"] at <12/res>
        in %tokens : tensor<?x?x1xi1> : tensor<?x?x2xf32>, tensor<?x1x1xi1>
    ```
  }];
  let arguments = (ins
    Variadic<AnyTypeOf<[Steer_Activations, Steer_Gate]>>:$edits,
    Steer_Gate:$tokens, StrArrayAttr:$policies, Flow_SiteAttr:$site);
  let assemblyFormat = [{
    $edits `as` $policies `at` $site `in` $tokens `:` type($tokens) attr-dict
    `:` type($edits)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The policy of each column.
    ::llvm::SmallVector<::llvm::StringRef> getColumns();
  }];
}

//===----------------------------------------------------------------------===//
// Gates and knobs
//===----------------------------------------------------------------------===//

def Steer_InPlansOp : Steer_Op<"in_plans", [
    Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rows that follow one of some plans";
  let description = [{
    `plan` [batch] holds a plan's index a row, -1 for none. The result is
    [batch, 1, 1]. Where tokens are `flattened`, `plan` [tokens] holds an index a
    token, and the result is [tokens, 1].

    ```mlir
    %g = steer.in_plans %plan [0, 2] : tensor<?xi64>
    ```
  }];
  let arguments = (ins TensorRankOf<[I64], [1]>:$plan, DenseI64ArrayAttr:$plans,
                       UnitAttr:$flattened);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $plan $plans (`flattened` $flattened^)? attr-dict `:` type($plan)
  }];
  let hasVerifier = 1;
}

def Steer_ConstantOp : Steer_Op<"constant", [ConstantLike, Pure]> {
  let summary = "a gate or a number that is the same for every row and token";
  let description = [{
    What a gate of plans and the value of a knob become where they are fixed
    (`steer-fix-inputs`). The type is that of what it takes the place of; one
    element is stored.

    ```mlir
    %g = steer.constant true -> tensor<?x1x1xi1>
    %k = steer.constant 2.0 : f32 -> tensor<?x1x1xf32>
    ```
  }];
  let arguments = (ins AnyAttr:$value);
  let results = (outs AnyTypeOf<[Steer_Gate, Steer_Knob]>:$result);
  let assemblyFormat = "$value attr-dict `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Steer_TokensOp : Steer_Op<"tokens", [Pure, InferTypeOpAdaptor]> {
  let summary = "tokens of a part of the row";
  let description = [{
    `positions` [batch, sequence] are absolute, `prompt_length` [batch]. The
    result is [batch, sequence, 1]; it never holds at padding (position -1). Where
    tokens are flattened, both inputs are [tokens] and the result is [tokens, 1].
  }];
  let arguments = (ins TensorRankOf<[I64], [1, 2]>:$positions,
                       TensorRankOf<[I64], [1]>:$prompt_length,
                       Steer_TokensAttr:$scope);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $positions `,` $prompt_length $scope attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Steer_CompareOp : Steer_Op<"compare", [Pure, InferTypeOpAdaptor]> {
  let summary = "an activation is strictly above and/or below a number";
  let arguments = (ins Steer_Knob:$input, OptionalAttr<F64Attr>:$above,
                       OptionalAttr<F64Attr>:$below);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $input (`above` $above^)? (`below` $below^)? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

class Steer_CombineOp<string mnemonic>
    : Steer_Op<mnemonic, [Pure, InferTypeOpAdaptor]> {
  let description = "Gates broadcast: those of rows and those of tokens mix.";
  let arguments = (ins Variadic<Steer_Gate>:$inputs);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = "$inputs attr-dict `:` type($inputs)";
  let hasFolder = 1;
  let hasVerifier = 1;
}
def Steer_AllOp : Steer_CombineOp<"all"> {
  let summary = "all gates hold";
}
def Steer_AnyOp : Steer_CombineOp<"any"> {
  let summary = "at least one gate holds";
}

def Steer_KnobValueOp : Steer_Op<"knob_value", [
    Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a row's value of a knob";
  let description = [{
    Column `index` of `knobs` [batch, K], as [batch, 1, 1]; of `flattened` tokens
    [tokens, K], as [tokens, 1].
  }];
  let arguments = (ins TensorRankOf<[F32], [2]>:$knobs, I64Attr:$index,
                       UnitAttr:$flattened);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $knobs $index (`flattened` $flattened^)? attr-dict `:` type($knobs)
  }];
  let hasVerifier = 1;
}

include "weir/Dialect/Steer/IR/SteerSubstitution.td"
include "weir/Dialect/Steer/IR/SteerTables.td"
include "weir/Dialect/Steer/IR/SteerScopes.td"
include "weir/Dialect/Steer/IR/SteerLoweringOps.td"

#endif // WEIR_DIALECT_STEER_IR_STEEROPS_TD
