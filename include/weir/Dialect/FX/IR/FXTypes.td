//===- FXTypes.td - Types of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FXTYPES_TD
#define WEIR_DIALECT_FX_IR_FXTYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "weir/Dialect/FX/IR/FXDialect.td"

class FX_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<FX_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

class FX_SymType<string name, string typeMnemonic> : FX_Type<name, typeMnemonic> {
  let parameters = (ins OptionalParameter<"::mlir::Attribute">:$value);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FX_SymInt : FX_SymType<"SymInt", "symint"> {
  let summary = "An integer known when the program runs";
  let description = [{
    `!fx.symint<s72 = 2>` says that the value is the symbol s72, and that it was
    2 when the program was traced; `!fx.symint<4>` is a number that tracing
    settled. The bare form says nothing.
  }];
}
def FX_SymFloat : FX_SymType<"SymFloat", "symfloat"> {
  let summary = "A float known when the program runs";
}
def FX_SymBool : FX_SymType<"SymBool", "symbool"> {
  let summary = "A boolean known when the program runs";
}
def FX_Object : FX_Type<"Object", "object"> {
  let summary = "An object of a class that is registered with the runtime";
  let parameters = (ins StringRefParameter<>:$className);
  let assemblyFormat = "`<` $className `>`";
}
def FX_Token : FX_Type<"Token", "token"> {
  let summary = "An ordering token of a call with effects";
}

def FX_AnyTensor : Type<CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">,
                        "ranked tensor", "::mlir::RankedTensorType">;
def FX_Value : AnyTypeOf<[FX_AnyTensor, FX_SymInt, FX_SymFloat, FX_SymBool,
                          FX_Object, FX_Token, NoneType]>;

#endif // WEIR_DIALECT_FX_IR_FXTYPES_TD
