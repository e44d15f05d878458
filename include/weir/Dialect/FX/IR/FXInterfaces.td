//===- FXInterfaces.td - Interfaces of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FXINTERFACES_TD
#define WEIR_DIALECT_FX_IR_FXINTERFACES_TD

include "mlir/IR/OpBase.td"

def FX_ConstantAttrInterface : AttrInterface<"ConstantAttrInterface"> {
  let cppNamespace = "::weir::fx";
  let description = [{
    A recipe for a constant tensor, such as rows of a dictionary's decoder. The
    IR holds the recipe; whoever exports the program computes the numbers.
  }];
  let methods = [
    InterfaceMethod<[{
        A short word for what the constant is, such as "decoder". It becomes a
        part of the name that the constant gets in the exported program.
      }],
      "::llvm::StringRef", "getConstantName">,
    InterfaceMethod<[{
        Checks that the recipe makes a tensor of `type`; explains through
        `emitError` what does not fit.
      }],
      "::llvm::LogicalResult", "verifyConstantType",
      (ins "::mlir::RankedTensorType":$type,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError)>,
  ];
}

def FX_WholeValueAttrInterface : AttrInterface<"WholeValueAttrInterface"> {
  let cppNamespace = "::weir::fx";
  let description = [{
    Names a value of the model, all of whose columns a record holds.
  }];
}

#endif // WEIR_DIALECT_FX_IR_FXINTERFACES_TD
