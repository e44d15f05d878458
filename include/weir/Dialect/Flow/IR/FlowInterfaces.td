//===- FlowInterfaces.td - Attribute interfaces of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWINTERFACES_TD
#define WEIR_DIALECT_FLOW_IR_FLOWINTERFACES_TD

include "mlir/IR/OpBase.td"

def Flow_SelectorAttrInterface : AttrInterface<"SelectorAttrInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    A way to name features. Selectors are expanded into single features when
    the dictionaries are opened (`SelectableAttrInterface` of
    Resources/Evaluation.h, which is attached to them).
  }];
  let methods = [
    InterfaceMethod<"The collection the selector draws from.",
      "::mlir::FlatSymbolRefAttr", "getCollectionRef">,
    InterfaceMethod<"The kind of the site it draws from.",
      "::weir::fx::SiteKind", "getSiteKind">,
    InterfaceMethod<"The layer of the site it draws from.",
      "int64_t", "getSiteLayer">,
  ];
}

def Flow_RecipeAttrInterface : AttrInterface<"RecipeAttrInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    A constant that is made from dictionaries' rows when a program is written
    (`ComputableAttrInterface` of Resources/Evaluation.h).
  }];
  let methods = [
    InterfaceMethod<"Number of rows, or -1 for all rows of a dictionary.",
      "int64_t", "getNumRows">,
  ];
}

def Flow_MethodAttrInterface : AttrInterface<"MethodAttrInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    A method of matching: which dictionaries it compares, and by what operation.
  }];
  let methods = [
    InterfaceMethod<[{
        The pairs of sites that are matched, from the features that are looked up
        to those that are found, in the order of the layers. Only sites that
        `covers` accepts.
      }],
      "void", "collectLinks",
      (ins "::llvm::ArrayRef<::weir::fx::SiteKind>":$kinds,
           "int64_t":$first, "int64_t":$last,
           "::llvm::SmallVectorImpl<::weir::flow::Link> &":$links)>,
    InterfaceMethod<[{
        True if a match leads from a feature to its predecessors, false if to its
        successors.
      }],
      "bool", "leadsBackward">,
    InterfaceMethod<"What is compared.",
      "::weir::flow::Similarity", "getSimilarityKind", (ins),
      [{ return $_attr.getSimilarity(); }]>,
    InterfaceMethod<"The number of matches of a feature, where it is a choice.",
      "::std::optional<int64_t>", "getNumBest">,
    InterfaceMethod<"What has to be there for anything to match, for messages.",
      "::llvm::StringRef", "getNeeds">,
    InterfaceMethod<[{
        Creates the operation that matches one pair: a `flow.matching` and two
        `flow.dictionary`.
      }],
      "::mlir::Operation *", "createMatch",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "::mlir::Operation *":$matching, "::mlir::Operation *":$source,
           "::mlir::Operation *":$target)>,
    InterfaceMethod<[{
        Creates the operation that composes matches of this method, each from
        where the one before leads to; null where that has no meaning.
      }],
      "::mlir::Operation *", "createCompose",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "::mlir::ValueRange":$maps)>,
  ];
}

def Flow_ComputedOpInterface : OpInterface<"ComputedOpInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    An op whose result is a map that is computed once and kept in the cache. The
    IR holds the hash that the result is found under.
  }];
  let methods = [
    InterfaceMethod<"The hash of the result, or null before it is computed.",
      "::weir::flow::ResultAttr", "getComputed", (ins), "",
      [{ return $_op.getResultAttr(); }]>,
    InterfaceMethod<"Says what the result's hash is.",
      "void", "setComputed", (ins "::weir::flow::ResultAttr":$result), "",
      [{ $_op.setResultAttr(result); }]>,
    InterfaceMethod<"The map.", "::mlir::Value", "getMapValue", (ins), "",
      [{ return $_op.getMap(); }]>,
  ];
}

def Flow_PairOpInterface : OpInterface<"PairOpInterface",
    [Flow_ComputedOpInterface]> {
  let cppNamespace = "::weir::flow";
  let description = [{
    An op that matches the features of one dictionary with those of another.
  }];
  let methods = [
    InterfaceMethod<"The dictionary whose features are looked up.",
      "::mlir::FlatSymbolRefAttr", "getSourceRef", (ins), "",
      [{ return $_op.getSourceAttr(); }]>,
    InterfaceMethod<"The dictionary whose features are found.",
      "::mlir::FlatSymbolRefAttr", "getTargetRef", (ins), "",
      [{ return $_op.getTargetAttr(); }]>,
    InterfaceMethod<"The declaration the op was made for, or null.",
      "::mlir::FlatSymbolRefAttr", "getMatchingRef", (ins), "",
      [{ return $_op.getMatchingAttr(); }]>,
    InterfaceMethod<"How features are compared.",
      "::weir::flow::Similarity", "getSimilarityKind", (ins), "",
      [{ return $_op.getSimilarity(); }]>,
    InterfaceMethod<"The rows that are compared.",
      "::weir::flow::WeightPart", "getWeightParts", (ins), "",
      [{ return $_op.getWeights(); }]>,
    InterfaceMethod<"What is folded before.",
      "::weir::flow::Fold", "getFoldKind", (ins), "",
      [{ return $_op.getFold(); }]>,
    InterfaceMethod<"The text that activations are compared on, or null.",
      "::mlir::StringAttr", "getTextRef", (ins), "",
      [{ return $_op.getTextAttr(); }]>,
    InterfaceMethod<[{
        How many matches a feature gets; none for a permutation, which gives one
        and takes none twice.
      }],
      "::std::optional<int64_t>", "getNumBest", (ins), "",
      [{ return ::std::nullopt; }]>,
  ];
}

def Flow_WalkOpInterface : OpInterface<"WalkOpInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    An op whose result is a graph that is found by following the maps of a matching.
    It is built once and kept in the cache.
  }];
  let methods = [
    InterfaceMethod<"The matching that is followed.",
      "::mlir::FlatSymbolRefAttr", "getMatchingRef", (ins), "",
      [{ return $_op.getMatchingAttr(); }]>,
    InterfaceMethod<"Its maps, as far as they are needed.",
      "::mlir::OperandRange", "getMapValues", (ins), "",
      [{ return $_op.getMaps(); }]>,
    InterfaceMethod<"Says which maps are needed.",
      "void", "setMapValues", (ins "::mlir::ValueRange":$maps), "",
      [{ $_op.getMapsMutable().assign(maps); }]>,
    InterfaceMethod<"The text that effects were measured on, or null.",
      "::mlir::StringAttr", "getTextRef", (ins), "",
      [{ return $_op.getTextAttr(); }]>,
    InterfaceMethod<"Says on which text effects were measured.",
      "void", "setTextRef", (ins "::mlir::StringAttr":$text), "",
      [{ $_op.setTextAttr(text); }]>,
    InterfaceMethod<"The hash of the result, or null before it is built.",
      "::weir::flow::ResultAttr", "getBuilt", (ins), "",
      [{ return $_op.getResultAttr(); }]>,
    InterfaceMethod<"Says what the result's hash is.",
      "void", "setBuilt", (ins "::weir::flow::ResultAttr":$result), "",
      [{ $_op.setResultAttr(result); }]>,
    InterfaceMethod<"The graph.", "::mlir::Value", "getGraphValue", (ins), "",
      [{ return $_op.getGraph(); }]>,
  ];
}

def Flow_CombineOpInterface : OpInterface<"CombineOpInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    An op that makes features of those of its operands, and of nothing else.
  }];
  let methods = [
    InterfaceMethod<"The result, given the features of every operand.",
      "::weir::flow::FeatureList", "combine",
      (ins "::llvm::ArrayRef<::weir::flow::FeatureList>":$operands)>,
  ];
}

def Flow_FeatureUserOpInterface : OpInterface<"FeatureUserOpInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    An op that names single features, whose dictionaries have to be opened.
  }];
  let methods = [
    InterfaceMethod<"Appends the features that the op names.",
      "void", "collectFeatures",
      (ins "::llvm::SmallVectorImpl<::weir::flow::FeatureAttr> &":$features)>,
  ];
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWINTERFACES_TD
