//===- Passes.td - Lowering of steer to fx ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOFX_PASSES_TD
#define WEIR_CONVERSION_STEERTOFX_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSteerToFXPass : Pass<"convert-steer-to-fx", "::weir::fx::ProgramOp"> {
  let summary = "Lower patches to calls of aten operators";
  let description = [{
    Patches are inlined and every steer op becomes pure `fx.call`s. Rows become
    `fx.constant`s that hold a recipe. Arithmetic is in f32 whatever the model's
    type is; a site's new value is rounded once.

    | op | becomes |
    |---|---|
    | `read` | `linear` over the listed encoder rows, then the activation |
    | `delta`, `strength` | elementwise, `where` the gate holds |
    | `write` | one `matmul` with all decoder rows, or a multiply for one row |
    | `project` | two `matmul`s with an orthonormal basis |
    | `in_plans`, `tokens`, `compare` | comparisons |
  }];
  let statistics = [
    Statistic<"calls", "calls", "Calls added to the program">,
  ];
  let dependentDialects = ["::weir::fx::FXDialect"];
}

#endif // WEIR_CONVERSION_STEERTOFX_PASSES_TD
