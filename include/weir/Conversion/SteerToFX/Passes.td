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
    Patches are inlined and every steer op becomes pure `fx.call`s, one pattern an
    op. Rows become `fx.constant`s that hold a recipe.

    What the calls compute in is decided before: `steer-widen-patches` puts values
    into f32, `steer-decompose-reads` takes reads apart. A narrow value that is
    edited, or a read that is still whole, is an error.

    | op | becomes |
    |---|---|
    | `encode` | `linear` over the listed encoder rows |
    | `activate` | elementwise, or a `topk` |
    | `delta`, `strength` | elementwise, `where` the gate holds |
    | `write` | one `matmul` with all decoder rows, or a multiply for one row |
    | `project` | two `matmul`s with an orthonormal basis |
    | `in_plans`, `tokens`, `compare` | comparisons |
    | `widen`, `round` | `to` |
  }];
  let statistics = [
    Statistic<"calls", "calls", "Calls added to the program">,
  ];
  let dependentDialects = ["::weir::fx::FXDialect"];
}

#endif // WEIR_CONVERSION_STEERTOFX_PASSES_TD
