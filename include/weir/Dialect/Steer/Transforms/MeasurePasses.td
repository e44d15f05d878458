//===- MeasurePasses.td - What is measured on texts for policies ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_TD
#define WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_TD

include "mlir/Pass/PassBase.td"

def SteerMeasureDosesPass : Pass<"steer-measure-doses", "::mlir::ModuleOp"> {
  let summary = "Measure the values and directions that doses are shares of";
  let description = [{
    Where a policy that a plan names gives its strength as a dose on a text, runs
    the text through the unsteered model, once for all sites, or finds in the
    cache what an earlier run has measured, and writes into the policy the median
    norm of each site's values beside the length of the direction that the policy
    adds there.

    ```mlir
    steer.policy @more #steer.add<#steer.constant<0.4> dose = "held-out.txt"> on %f
    // becomes
    steer.policy @more #steer.add<#steer.constant<0.4> dose = "held-out.txt"
        measured = [<<12/res>, median = 52.25, length = 1.0>]> on %f
    ```

    Additions without a dose are measured along, on the first text that is named,
    so that the report can say how large they are. A direction of length zero and
    values whose median norm is zero are errors where there is a dose. A dose
    that is above the one at which text falls apart gets a warning.

    Needs resolved features (`flow-resolve`) and sites (`fx-find-sites`). Without
    a dose it does nothing.
  }];
  let statistics = [
    Statistic<"measured", "measured", "Sites whose values were measured">,
    Statistic<"doses", "doses", "Directions measured, counted per site">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

#endif // WEIR_DIALECT_STEER_TRANSFORMS_MEASUREPASSES_TD
