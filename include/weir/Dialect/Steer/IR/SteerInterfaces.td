//===- SteerInterfaces.td - Interfaces of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERINTERFACES_TD
#define WEIR_DIALECT_STEER_IR_STEERINTERFACES_TD

include "mlir/IR/OpBase.td"

def Steer_ActionAttrInterface : AttrInterface<"ActionAttrInterface"> {
  let cppNamespace = "::weir::steer";
  let description = [{
    What a policy does with its features. An action writes itself into a patch
    through a `PatchEmitter`, so that a new action is one attribute and its
    `emit`.
  }];
  let methods = [
    InterfaceMethod<"The keyword of the action in a spec.",
      "::llvm::StringRef", "getKeyword">,
    InterfaceMethod<[{
        True for actions that say what a feature's activation becomes. A feature
        takes at most one of them in a plan.
      }],
      "bool", "isAbsolute", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
        True for actions that need nothing of the site but its value, and can
        therefore be written at layers other than the feature's own.
      }],
      "bool", "canWriteElsewhere", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
        True for actions that can be written at every value of the residual stream
        at once (`#steer.layers<all>`).
      }],
      "bool", "canWriteStream", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"True for actions that have a number a knob can multiply.",
      "bool", "takesKnob", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
        True for actions that can be done by a share, as a ramp of a scope asks.
      }],
      "bool", "takesShare", (ins), [{}], [{ return !$_attr.leavesValue(); }]>,
    InterfaceMethod<"True for actions that only look.",
      "bool", "leavesValue", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
        True for actions that look at what a site has become after all edits, so
        that they stand behind its patch.
      }],
      "bool", "readsAfterEdits", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
        The policy whose gate is recorded in place of features, or null. Such an
        action has no place of its own in a model.
      }],
      "::mlir::FlatSymbolRefAttr", "getRecordedPolicy", (ins), [{}],
      [{ return {}; }]>,
    InterfaceMethod<[{
        The sites whose values are recorded in place of features. An action that
        has some does nothing within a patch.
      }],
      "::llvm::ArrayRef<::weir::flow::SiteAttr>", "getRecordedSites", (ins), [{}],
      [{ return {}; }]>,
    InterfaceMethod<[{
        The first and the last layer whose blocks the action replaces, for one that
        replaces any. Such an action has no features of its own, and what it makes
        is the value of the last layer's residual stream, before any edit there.
      }],
      "::std::optional<::std::pair<int64_t, int64_t>>", "getReplacedLayers",
      (ins), [{}], [{ return ::std::nullopt; }]>,
    InterfaceMethod<"Writes the action into a patch.",
      "::llvm::LogicalResult", "emit", (ins "::weir::steer::PatchEmitter &":$patch)>,
    InterfaceMethod<[{
        True for actions that write a second list of features: the target of a
        transfer.
      }],
      "bool", "hasTarget", (ins), [{}], [{ return false; }]>,
  ];
}

def Steer_ScheduleAttrInterface : AttrInterface<"ScheduleAttrInterface"> {
  let cppNamespace = "::weir::steer";
  let description = [{
    The strength of an additive policy as a function of the layer it is written
    at ("Analyze Feature Flow", arXiv 2502.03032; the Gaussian from arXiv
    2512.07667).
  }];
  let methods = [
    InterfaceMethod<[{
        Strength at `layer`; `first` and `last` are the lowest and highest layer
        the policy writes at.
      }],
      "double", "strengthAt",
      (ins "int64_t":$layer, "int64_t":$first, "int64_t":$last)>,
  ];
}

def Steer_ConditionAttrInterface : AttrInterface<"ConditionAttrInterface"> {
  let cppNamespace = "::weir::steer";
  let description = "A condition on features of the same token.";
  let methods = [
    InterfaceMethod<"Appends the features it depends on.",
      "void", "collectFeatures",
      (ins "::llvm::SmallVectorImpl<::weir::flow::FeatureAttr> &":$features)>,
    InterfaceMethod<"Builds the gate of the condition.",
      "::mlir::Value", "emit", (ins "::weir::steer::ConditionEmitter &":$emitter)>,
  ];
}

def Steer_CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::weir::steer";
  let description = "What an operation of a patch costs for one token.";
  let methods = [
    InterfaceMethod<"Bytes of weights read for one token.",
      "int64_t", "getBytesPerToken">,
    InterfaceMethod<"Floating-point operations for one token.",
      "int64_t", "getOperationsPerToken">,
  ];
}

def Steer_EditOpInterface : OpInterface<"EditOpInterface"> {
  let cppNamespace = "::weir::steer";
  let description = [{
    An operation of a patch that makes a new value of the site's value, its first
    operand. The order of the stages is the order in which a patch edits.
  }];
  let methods = [
    InterfaceMethod<"When it comes among the edits of a site.",
      "::weir::steer::EditStage", "getStage">,
    InterfaceMethod<"True if a site may have several in a row.",
      "bool", "mayRepeat", (ins), [{}], [{ return false; }]>,
  ];
}

#endif // WEIR_DIALECT_STEER_IR_STEERINTERFACES_TD
