//===- SteerDialect.td - The steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERDIALECT_TD
#define WEIR_DIALECT_STEER_IR_STEERDIALECT_TD

include "mlir/IR/DialectBase.td"

def Steer_Dialect : Dialect {
  let name = "steer";
  let cppNamespace = "::weir::steer";
  let summary = "Policies, plans, knobs and the patches they become";
  let description = [{
    The `steer` dialect has two levels. Policies, plans and knobs are symbols
    that say what a spec says. A `steer.patch` is what they become at one site of
    a model: a region from the site's value to its new value.

    Inside a patch everything is in delta form, x' = x + sum_i (v_i - f_i) d_i
    over the edited features only, so the part of x that a dictionary does not
    reconstruct is kept exactly. The order is fixed: all reads see the value
    before any edit at the site, then one `steer.write` sums every edit, then
    projections in the order written, then norms.

    Activations and coefficients are [batch, sequence, k], or [tokens, k] where
    tokens are flattened. Gates are booleans and knob values numbers, both of a
    shape that broadcasts to [batch, sequence, 1] or [tokens, 1].
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
  let dependentDialects = ["::weir::flow::FlowDialect", "::weir::fx::FXDialect"];
}

#endif // WEIR_DIALECT_STEER_IR_STEERDIALECT_TD
