//===- Passes.td - Passes of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD
#define WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FXStripSites : Pass<"fx-strip-sites", "::weir::fx::ProgramOp"> {
  let summary = "Remove the marks of sites that nothing was done to";
  let description = [{
    Every `fx.site` that is left gives way to its input.
  }];
  let statistics = [
    Statistic<"numStripped", "stripped", "Number of marks removed">];
}

#endif // WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD
