//===- Passes.td - Passes over the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD
#define WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlowResolvePass : Pass<"flow-resolve", "::mlir::ModuleOp"> {
  let summary = "Open dictionaries and expand selectors";
  let description = [{
    Opens every dictionary that a set of features or a condition names, checks
    indices against it, adds a `flow.dictionary` for it, and replaces selectors
    by single features, each once. Only headers are read, except for selectors
    that need rows (`antagonists`).

    Paths are relative to `base`. Dictionaries made from the model's own weights
    (`neurons`, `unembedding`) need the archive `model` and the sites that
    `fx-find-sites` found.

    ```mlir
    flow.features @science [#flow.whole_site<@sae, res, 10>]
    // becomes
    flow.features @science [#flow.feature<@sae, res, 10, 0>, …]
    flow.dictionary @sae.res.10 of @sae at <res, 10> reads <res, 10> …
    ```
  }];
  let options = [
    Option<"base", "base", "std::string", /*default=*/"\".\"",
           "Folder that dictionary paths are relative to">,
    Option<"model", "model", "std::string", /*default=*/"",
           "Archive of the model, for dictionaries made from its weights">,
  ];
  let statistics = [
    Statistic<"opened", "opened", "Dictionaries opened">,
    Statistic<"selected", "selected", "Features selected">,
  ];
  let dependentDialects = ["::weir::flow::FlowDialect"];
}

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_PASSES_TD
