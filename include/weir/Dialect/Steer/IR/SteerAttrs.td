//===- SteerAttrs.td - Attributes of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERATTRS_TD
#define WEIR_DIALECT_STEER_IR_STEERATTRS_TD

include "weir/Dialect/Flow/IR/FlowAttrs.td"
include "weir/Dialect/Steer/IR/SteerDialect.td"
include "weir/Dialect/Steer/IR/SteerEnums.td"
include "weir/Dialect/Steer/IR/SteerInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Steer_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Steer_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Schedules
//===----------------------------------------------------------------------===//

class Steer_Schedule<string name, string attrMnemonic>
    : Steer_Attr<name, attrMnemonic,
        [DeclareAttrInterfaceMethods<Steer_ScheduleAttrInterface>]>;

def Steer_ConstantAttr : Steer_Schedule<"Constant", "constant"> {
  let summary = "the same strength s at every layer";
  let parameters = (ins "::mlir::FloatAttr":$value);
  let assemblyFormat = "`<` $value `>`";
}
def Steer_LinearAttr : Steer_Schedule<"Linear", "linear"> {
  let summary = "from s at the first layer to `last` (1 unless said) at the last";
  let description = [{
    With one layer only, the strength is s.
  }];
  let parameters = (ins "::mlir::FloatAttr":$value, OptionalParameter<"::mlir::FloatAttr">:$last_value);
  let assemblyFormat = "`<` $value (`,` $last_value^)? `>`";
}
def Steer_ExponentialAttr : Steer_Schedule<"Exponential", "exponential"> {
  let summary = "s exp(rate (layer - first))";
  let parameters = (ins "::mlir::FloatAttr":$value, "::mlir::FloatAttr":$rate);
  let assemblyFormat = "`<` $value `,` $rate `>`";
}
def Steer_GaussianAttr : Steer_Schedule<"Gaussian", "gaussian"> {
  let summary = "s exp(-(layer - center)^2 / (2 width^2))";
  let parameters = (ins "::mlir::FloatAttr":$value, "::mlir::FloatAttr":$center, "::mlir::FloatAttr":$width);
  let assemblyFormat = "`<` $value `,` $center `,` $width `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Actions. f is the feature's activation, d its decoder row, x the value.
//===----------------------------------------------------------------------===//

class Steer_Action<string name, string attrMnemonic,
                   list<string> overridden = []>
    : Steer_Attr<name, attrMnemonic,
        [DeclareAttrInterfaceMethods<Steer_ActionAttrInterface, overridden>]>;

def Steer_MeasuredAttr : Steer_Attr<"Measured", "measured"> {
  let summary = "how long a direction is, and how long the values it is added to";
  let description = [{
    `median` is the median of |x| over the tokens of a text at a site of the
    unsteered model, `length` the length |d| of the direction that a policy adds
    there: the sum of the rows of its features at the site.
  }];
  let parameters = (ins
    "::weir::flow::SiteAttr":$site,
    "::mlir::FloatAttr":$median,
    "::mlir::FloatAttr":$length);
  let assemblyFormat = "`<` $site `,` struct($median, $length) `>`";
  let genVerifyDecl = 1;
}

def Steer_AddAttr
    : Steer_Action<"Add", "add", ["canWriteElsewhere", "takesKnob"]> {
  let summary = "x + s d";
  let description = [{
    With `dose`, a text, the schedule gives shares of the median norm that a
    site's values have on that text, and s is that share times `median / length`
    of what was measured there (`steer-measure-doses`):

    `#steer.add<#steer.constant<0.4> dose = "held-out.txt">`

    Without it, what was measured only tells how large a strength is.
  }];
  let parameters = (ins
    "::weir::steer::ScheduleAttrInterface":$schedule,
    DefaultValuedParameter<"bool", "false">:$normalize,
    OptionalParameter<"::mlir::StringAttr">:$dose,
    OptionalArrayRefParameter<"::weir::steer::MeasuredAttr">:$measured);
  let builders = [
    AttrBuilder<(ins "::weir::steer::ScheduleAttrInterface":$schedule,
                     CArg<"bool", "false">:$normalize), [{
      return $_get($_ctxt, schedule, normalize, ::mlir::StringAttr(),
                   ::llvm::ArrayRef<MeasuredAttr>());
    }]>,
  ];
  let assemblyFormat = [{
    `<` $schedule (`normalize` `=` $normalize^)? (`dose` `=` $dose^)?
    (`measured` `=` `[` $measured^ `]`)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// What was measured at a site; null if nothing was.
    MeasuredAttr measuredAt(::weir::flow::SiteAttr site) const;
    /// What the schedule's numbers are multiplied by at a site to be strengths:
    /// 1 unless they are doses. None where a dose's site was not measured.
    std::optional<double> getUnit(::weir::flow::SiteAttr site) const;
  }];
}
def Steer_SetAttr : Steer_Action<"Set", "set", ["isAbsolute", "takesKnob"]> {
  let summary = "f := c";
  let parameters = (ins "::mlir::FloatAttr":$value);
  let assemblyFormat = "`<` $value `>`";
}
def Steer_ScaleAttr
    : Steer_Action<"Scale", "scale", ["isAbsolute", "takesKnob"]> {
  let summary = "f := r f";
  let parameters = (ins "::mlir::FloatAttr":$factor);
  let assemblyFormat = "`<` $factor `>`";
}
def Steer_ClampAttr : Steer_Action<"Clamp", "clamp", ["isAbsolute"]> {
  let summary = "f := min(max(f, lo), hi)";
  let parameters = (ins
    OptionalParameter<"::mlir::FloatAttr">:$min,
    OptionalParameter<"::mlir::FloatAttr">:$max);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}
def Steer_AblateAttr : Steer_Action<"Ablate", "ablate", ["isAbsolute"]> {
  let summary = "f := 0";
}
def Steer_TransferAttr
    : Steer_Action<"Transfer", "transfer", ["isAbsolute", "hasTarget"]> {
  let summary = "v_b := f_b + f_a, v_a := 0";
  let description = [{
    Pairs the policy's features a with its target's features b in order; the two
    lists have the same number of features. A feature a may live at the site of b
    or at an earlier one.
  }];
}
def Steer_ProjectOutAttr
    : Steer_Action<"ProjectOut", "project_out", ["takesShare", "canWriteStream"]> {
  let summary = "x - Q^T Q x";
  let description = [{
    The rows of Q are an orthonormal basis of the span of the set's decoder rows
    at the site, whatever dictionaries they are of.
  }];
}
def Steer_SubstituteAttr
    : Steer_Action<"Substitute", "substitute", ["getReplacedLayers"]> {
  let summary = "blocks replaced by what the features before them make";
  let description = [{
    `#steer.substitute<12 to 13 by @pruned.bridge quantile = 0.9>`: the residual
    stream behind layer 13 becomes what the features of the one behind layer 11
    make along the rows that the bridge leads to (SAE Match's pruning of layers,
    arXiv 2410.07656). With a quantile, features that are matched worse than that
    keep their own rows. Without a bridge the blocks are dropped: the stream behind
    layer 11 is handed on.
  }];
  let parameters = (ins
    "int64_t":$first, "int64_t":$last,
    OptionalParameter<"::mlir::FlatSymbolRefAttr">:$bridge,
    OptionalParameter<"::mlir::FloatAttr">:$quantile);
  let assemblyFormat = [{
    `<` $first `to` $last (`by` $bridge^)? (`quantile` `=` $quantile^)? `>`
  }];
  let genVerifyDecl = 1;
}
def Steer_RecordAttr
    : Steer_Action<"Record", "record", ["leavesValue", "readsAfterEdits"]> {
  let summary = "an extra output: the activations";
  let description = [{
    Those before the edits of the site that the dictionary reads, or with `after`
    those behind all of them, which is what the rest of the model gets.
  }];
  let parameters = (ins DefaultValuedParameter<"bool", "false">:$after);
  let assemblyFormat = "(`<` `after` `=` $after^ `>`)?";
}
def Steer_RecordGateAttr
    : Steer_Action<"RecordGate", "record_gate",
        ["leavesValue", "getRecordedPolicy"]> {
  let summary = "an extra output: where another policy acts";
  let description = [{
    1 at the tokens at which the plan, the tokens and the condition of a policy
    hold, else 0. It reads no feature, so that its own policy's `on` says nothing;
    it is that of the other one.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$policy);
  let assemblyFormat = "`<` $policy `>`";
}

def Steer_RecordValueAttr
    : Steer_Action<"RecordValue", "record_value",
        ["leavesValue", "readsAfterEdits", "getRecordedSites"]> {
  let summary = "an extra output: the values of sites";
  let description = [{
    All numbers that the sites have at a token, as they are: no dictionary reads
    them, and the policy's set of features is empty.

    `#steer.record_value<[<12/res>, <13/mlp>]>`
  }];
  let parameters = (ins
    ArrayRefParameter<"::weir::flow::SiteAttr">:$sites,
    DefaultValuedParameter<"bool", "false">:$after);
  let assemblyFormat = "`<` `[` $sites `]` (`after` `=` $after^)? `>`";
}

//===----------------------------------------------------------------------===//
// Where and when
//===----------------------------------------------------------------------===//

def Steer_LayersAttr : Steer_Attr<"Layers", "layers"> {
  let summary = "the layers at which a policy is written";
  let description = [{
    `#steer.layers<own>`: each feature at its own layer.
    `#steer.layers<cumulative>`: its own layer and every one before it that its
    collection covers. `#steer.layers<range, 8, 12>`: these layers, both
    included. `#steer.layers<all>`, of projections only: the residual stream at all
    of its values, before the first block (`0/emb`) and behind each half of each
    block (`mid` and `res`).
  }];
  let parameters = (ins
    EnumParameter<Steer_LayersKind>:$kind,
    DefaultValuedParameter<"int64_t", "-1">:$first,
    DefaultValuedParameter<"int64_t", "-1">:$last);
  let assemblyFormat = "`<` $kind (`,` $first^ `,` $last)? `>`";
  let genVerifyDecl = 1;
}

def Steer_MarkersAttr : Steer_Attr<"Markers", "markers"> {
  let summary = "tokens of a row by what stands before them";
  let description = [{
    Each list holds tokens, any of which is the marker: ids, or texts that
    `steer-resolve-markers` replaces by the id that the model's tokenizer has for
    them. All parts hold together, and a marker that a part looks for is never in
    it:

    - `after`: behind the first of these in the row;
    - `until`: in front of the first of these in the row;
    - `opens` and `closes`: the last marker of the two kinds in front of the token
      is one that opens.

    `#steer.markers<after = [5, 9]>`,
    `#steer.markers<opens = ["<think>"], closes = ["</think>"]>`
  }];
  let parameters = (ins
    OptionalParameter<"::mlir::ArrayAttr">:$after,
    OptionalParameter<"::mlir::ArrayAttr">:$until,
    OptionalParameter<"::mlir::ArrayAttr">:$opens,
    OptionalParameter<"::mlir::ArrayAttr">:$closes);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True if no marker is a text.
    bool isResolved() const;
    /// The ids of one of the lists, in order; of none, nothing.
    static ::llvm::SmallVector<int64_t> idsOf(::mlir::ArrayAttr list);
  }];
}

def Steer_TokensAttr : Steer_Attr<"Tokens", "scope"> {
  let summary = "the tokens a policy acts on";
  let description = [{
    All parts hold together: `set` (by the row's prompt length: `prompt` is
    position < length, `generated` the rest, `last` is position = length - 1,
    `sampled` that one and all after it),
    `positions` (some absolute positions), `from` and `to` (absolute positions,
    both included), `skip_first` (position >= n), `markers` (what stands before
    the token in its row). A scope that says anything,
    `#steer.scope<>` included, leaves out padding, whose position is -1.

    `over` and `half` make the edits of a token a share of what they are: with n
    tokens between it and where the scope begins, min(1, (n + 1) / over) times
    2^(-n / half). A scope begins at the latest of: the first position that its
    other parts allow; the first token behind the marker of `after`; the first
    one behind the last marker that opened.

    Defined by absolute position and by the row's earlier tokens, so that prefill,
    decoding with a cache and a full recomputation agree.
  }];
  let parameters = (ins
    DefaultValuedParameter<"TokenSet", "::weir::steer::TokenSet::All">:$set,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$positions,
    DefaultValuedParameter<"int64_t", "-1">:$from,
    DefaultValuedParameter<"int64_t", "-1">:$to,
    DefaultValuedParameter<"int64_t", "0">:$skip_first,
    OptionalParameter<"::weir::steer::MarkersAttr">:$markers,
    DefaultValuedParameter<"int64_t", "0">:$over,
    OptionalParameter<"::mlir::FloatAttr">:$half);
  let builders = [
    AttrBuilder<(ins "TokenSet":$set, "::mlir::DenseI64ArrayAttr":$positions,
                     "int64_t":$from, "int64_t":$to, "int64_t":$skip_first), [{
      return $_get($_ctxt, set, positions, from, to, skip_first, MarkersAttr(),
                   int64_t(0), ::mlir::FloatAttr());
    }]>];
  let assemblyFormat = "`<` (`>`) : (struct(params)^ `>`)?";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True if every token is meant, padding included.
    bool isEveryToken() const;
    /// What positions and the prompt's length say.
    TokensAttr getPlain() const;
    /// Whether edits are a share of what they are.
    bool isRamped() const { return getOver() || getHalf(); }
    /// The first absolute position that may be in it, by its own numbers.
    int64_t getFirstPosition() const;
  }];
}

def Steer_WhenAttr : Steer_Attr<"When", "when",
    [DeclareAttrInterfaceMethods<Steer_ConditionAttrInterface>]> {
  let summary = "a feature's activation is strictly above or below a number";
  let parameters = (ins
    "::weir::flow::FeatureAttr":$feature,
    OptionalParameter<"::mlir::FloatAttr">:$above,
    OptionalParameter<"::mlir::FloatAttr">:$below);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}
def Steer_WatchAttr : Steer_Attr<"Watch", "watch",
    [DeclareAttrInterfaceMethods<Steer_ConditionAttrInterface>]> {
  let summary = "activations of features are strictly above or below a number";
  let description = [{
    `#steer.watch<features = 0, above = 0.5>`: those of the policy's first list of
    watched features, any of them, or with `all` every one. `steer-expand-policies`
    replaces it by conditions on single features.
  }];
  let parameters = (ins
    "int64_t":$features,
    DefaultValuedParameter<"bool", "false">:$all,
    OptionalParameter<"::mlir::FloatAttr">:$above,
    OptionalParameter<"::mlir::FloatAttr">:$below);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}
class Steer_Combination<string name, string attrMnemonic>
    : Steer_Attr<name, attrMnemonic,
        [DeclareAttrInterfaceMethods<Steer_ConditionAttrInterface>]> {
  let parameters = (ins "::mlir::ArrayAttr":$conditions);
  let assemblyFormat = "`<` $conditions `>`";
  let genVerifyDecl = 1;
}
def Steer_AnyOfAttr : Steer_Combination<"AnyOf", "any_of"> {
  let summary = "at least one of several conditions";
}
def Steer_AllOfAttr : Steer_Combination<"AllOf", "all_of"> {
  let summary = "all of several conditions";
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

def Steer_LoweringAttr : EnumAttr<Steer_Dialect, Steer_Lowering, "lowering"> {
  let summary = "what a patch becomes";
  let description = [{
    `#steer.lowering<aten>`: calls of PyTorch's own operators.
    `#steer.lowering<kernel>`: one call of a function that is compiled for the
    site's shape.
  }];
  let assemblyFormat = "`<` $value `>`";
}

#endif // WEIR_DIALECT_STEER_IR_STEERATTRS_TD
