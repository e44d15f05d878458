//===- SteerEnums.td - Enumerations of the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERENUMS_TD
#define WEIR_DIALECT_STEER_IR_STEERENUMS_TD

include "mlir/IR/EnumAttr.td"

def Steer_LayersKind : I32Enum<"LayersKind", "where a policy is written", [
    I32EnumCase<"Own", 0, "own">,
    I32EnumCase<"Cumulative", 1, "cumulative">,
    I32EnumCase<"Range", 2, "range">,
    I32EnumCase<"All", 3, "all">]> {
  let cppNamespace = "::weir::steer";
}

def Steer_TokenSet : I32Enum<"TokenSet", "a part of a row's tokens", [
    I32EnumCase<"All", 0, "all">,
    I32EnumCase<"Prompt", 1, "prompt">,
    I32EnumCase<"Generated", 2, "generated">,
    I32EnumCase<"Last", 3, "last">,
    I32EnumCase<"Sampled", 4, "sampled">]> {
  let cppNamespace = "::weir::steer";
}

def Steer_Lowering : I32Enum<"Lowering", "what a patch becomes", [
    I32EnumCase<"Aten", 0, "aten">,
    I32EnumCase<"Kernel", 1, "kernel">]> {
  let cppNamespace = "::weir::steer";
}

#endif // WEIR_DIALECT_STEER_IR_STEERENUMS_TD
