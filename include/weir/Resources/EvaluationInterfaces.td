//===- EvaluationInterfaces.td - What needs the numbers of dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_EVALUATIONINTERFACES_TD
#define WEIR_RESOURCES_EVALUATIONINTERFACES_TD

include "mlir/IR/OpBase.td"

def Weir_SelectableAttrInterface : AttrInterface<"SelectableAttrInterface"> {
  let cppNamespace = "::weir";
  let description = [{
    A selector that an opened dictionary can be asked about. Attached to the
    selectors of the flow dialect by `registerEvaluation`.
  }];
  let methods = [
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

def Weir_ComputableAttrInterface : AttrInterface<"ComputableAttrInterface"> {
  let cppNamespace = "::weir";
  let description = [{
    A recipe whose numbers can be computed. Attached to the recipes of the flow
    dialect by `registerEvaluation`.
  }];
  let methods = [
    InterfaceMethod<[{
        The rows as an f32 matrix: [k, d], or [1, k] for the parts that hold one
        number a feature.
      }],
      "::llvm::Expected<::weir::RowMatrix>", "evaluate",
      (ins "::weir::RowSource &":$source)>,
  ];
}

#endif // WEIR_RESOURCES_EVALUATIONINTERFACES_TD
