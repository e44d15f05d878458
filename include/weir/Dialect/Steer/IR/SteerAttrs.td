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

def Steer_AddAttr
    : Steer_Action<"Add", "add", ["canWriteElsewhere", "takesKnob"]> {
  let summary = "x + s d";
  let parameters = (ins
    "::weir::steer::ScheduleAttrInterface":$schedule,
    DefaultValuedParameter<"bool", "false">:$normalize);
  let assemblyFormat = "`<` $schedule (`normalize` `=` $normalize^)? `>`";
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
def Steer_ProjectOutAttr : Steer_Action<"ProjectOut", "project_out"> {
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
  let summary = "the layers at which an addition is written";
  let description = [{
    `#steer.layers<own>`: each feature at its own layer.
    `#steer.layers<cumulative>`: its own layer and every one before it that its
    collection covers. `#steer.layers<range, 8, 12>`: these layers, both
    included.
  }];
  let parameters = (ins
    EnumParameter<Steer_LayersKind>:$kind,
    DefaultValuedParameter<"int64_t", "-1">:$first,
    DefaultValuedParameter<"int64_t", "-1">:$last);
  let assemblyFormat = "`<` $kind (`,` $first^ `,` $last)? `>`";
  let genVerifyDecl = 1;
}

def Steer_TokensAttr : Steer_Attr<"Tokens", "scope"> {
  let summary = "the tokens a policy acts on";
  let description = [{
    All parts hold together: `set` (by the row's prompt length: `prompt` is
    position < length, `generated` the rest, `last` is position = length - 1),
    `positions` (some absolute positions), `from` and `to` (absolute positions,
    both included), `skip_first` (position >= n). A scope that says anything,
    `#steer.scope<>` included, leaves out padding, whose position is -1.

    Defined by absolute position, so that prefill, decoding with a cache and a
    full recomputation agree.
  }];
  let parameters = (ins
    DefaultValuedParameter<"TokenSet", "::weir::steer::TokenSet::All">:$set,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$positions,
    DefaultValuedParameter<"int64_t", "-1">:$from,
    DefaultValuedParameter<"int64_t", "-1">:$to,
    DefaultValuedParameter<"int64_t", "0">:$skip_first);
  let assemblyFormat = "`<` (`>`) : (struct(params)^ `>`)?";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True if every token is meant.
    bool isEveryToken() const;
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
  }];
  let assemblyFormat = "`<` $value `>`";
}

#endif // WEIR_DIALECT_STEER_IR_STEERATTRS_TD
