//===- Passes.td - Edits become weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOWEIGHTS_PASSES_TD
#define WEIR_CONVERSION_STEERTOWEIGHTS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSteerToWeightsPass
    : Pass<"convert-steer-to-weights", "::mlir::ModuleOp"> {
  let summary = "Fold the edits of a fixed plan into the model's weights";
  let description = [{
    A patch that does the same to every token is no operation any more: what makes
    the site's value makes the edited one at once. A vector that is added goes into
    the bias of a linear map, a span that is taken out into its weight. What is
    exact is done, anything else is an error at its policy.

    - Backward from a site's value, an edit passes what is linear and read by
      nobody else: reshapes of the leading sizes, products with a number (a vector
      that is added is divided by it), and sums. An addition goes into one of the
      summands, a projection into each of them that is not in the complement of
      the span already. It ends in `gives` of linear maps and, for projections, of
      tables of embeddings.
    - Forward, where all who read the value are linear maps, it ends in their
      `reads`: this is how `head` is edited.

    So a projection at the sum of a residual connection folds only where the stream
    that comes in has been projected as well, which `#steer.layers<all>` sees to. A
    norm between a half and its addition is not linear.

    Changed weights are `fx.constant`s with `#flow.folded_weight` and
    `#flow.folded_bias`, in the places of the model's own. A weight that something
    else reads as well, such as a tied head, stays for that reader as it was.
  }];
  let options = [
    ListOption<"knobs", "knobs", "std::string",
               "Names of knobs whose value is meant to be folded in">,
  ];
  let statistics = [
    Statistic<"patches", "patches", "Patches folded into weights">,
    Statistic<"weights", "weights", "Weights that are changed">,
    Statistic<"biases", "biases", "Biases that are changed or new">,
  ];
  let dependentDialects = ["::weir::fx::FXDialect", "::weir::flow::FlowDialect"];
}

def SteerToControlVectorPass
    : Pass<"steer-to-control-vector", "::mlir::ModuleOp"> {
  let summary = "Bring additions to the ends of blocks";
  let description = [{
    A control vector of llama.cpp is one vector for each block but the first, which
    is added behind it. Additions to what a block adds to the stream last (`mlp`,
    and in parallel blocks `att`) are additions behind it; everything else is an
    error at its policy. What is left are patches at `res` with one addition each.
  }];
  let options = [
    ListOption<"knobs", "knobs", "std::string",
               "Names of knobs whose value is meant to be folded in">,
  ];
  let dependentDialects = ["::weir::fx::FXDialect", "::weir::flow::FlowDialect"];
}

#endif // WEIR_CONVERSION_STEERTOWEIGHTS_PASSES_TD
