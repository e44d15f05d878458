//===- FXDialect.td - The fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FXDIALECT_TD
#define WEIR_DIALECT_FX_IR_FXDIALECT_TD

include "mlir/IR/OpBase.td"

def FX_Dialect : Dialect {
  let name = "fx";
  let cppNamespace = "::weir::fx";
  let summary = "A model's exported graph, without loss";
  let description = [{
    The graph of a `torch.export` program. One op, `fx.call`, stands for every
    operator: its target is a name, its arguments keep the operator's own
    argument names, and what this dialect does not model is carried along as
    JSON text. Importing a program and exporting it again gives the same
    program.

    Tensors are builtin ranked tensors. A dynamic size carries its symbolic
    expression in the type's encoding, `#fx.dims`. Weights are names,
    `#fx.weight<"scope"::"key">`; the IR never holds their bytes.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

#endif // WEIR_DIALECT_FX_IR_FXDIALECT_TD
