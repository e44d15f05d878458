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
    the dictionaries are opened.
  }];
  let methods = [
    InterfaceMethod<"The collection the selector draws from.",
      "::mlir::FlatSymbolRefAttr", "getCollectionRef">,
    InterfaceMethod<"The kind of the site it draws from.",
      "::weir::fx::SiteKind", "getSiteKind">,
    InterfaceMethod<"The layer of the site it draws from.",
      "int64_t", "getSiteLayer">,
    InterfaceMethod<[{
        Appends the selected feature indices, in a fixed order. Errors, such as an
        index out of range, are emitted with `emitError`.
      }],
      "::llvm::LogicalResult", "select",
      (ins "const ::weir::Dictionary &":$dictionary,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError,
           "::llvm::SmallVectorImpl<int64_t> &":$indices)>,
  ];
}

def Flow_RecipeAttrInterface : AttrInterface<"RecipeAttrInterface"> {
  let cppNamespace = "::weir::flow";
  let description = [{
    A constant that is made from dictionaries' rows when a program is written.
  }];
  let methods = [
    InterfaceMethod<"Number of rows, or -1 for all rows of a dictionary.",
      "int64_t", "getNumRows">,
    InterfaceMethod<[{
        The rows as an f32 matrix: [k, d], or [1, k] for the parts that hold one
        number a feature.
      }],
      "::llvm::Expected<::weir::RowMatrix>", "evaluate",
      (ins "::weir::flow::RowSource &":$source)>,
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
