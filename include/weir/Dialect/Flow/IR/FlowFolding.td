//===- FlowFolding.td - Weights with edits inside ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWFOLDING_TD
#define WEIR_DIALECT_FLOW_IR_FLOWFOLDING_TD

include "weir/Dialect/Flow/IR/FlowAttrs.td"

// What a linear map y = W x + b becomes when what it reads and what it gives is
// edited. An edit is a recipe: of a `#flow.basis` the span is taken out, the one
// row of any other recipe is added.
class Flow_FoldedAttr<string name, string attrMnemonic>
    : Flow_RecipeAttr<name, attrMnemonic> {
  let genVerifyDecl = 1;
}

def Flow_FoldedWeightAttr : Flow_FoldedAttr<"FoldedWeight", "folded_weight"> {
  let summary = "a stored weight with edits inside";
  let description = [{
    `#flow.folded_weight<<"model"::"down.weight"> out_in reads [] gives [#flow.basis<…>]>`:
    the weight [out, in] (`in_out`: stored [in, out]) of the map that first edits
    what it reads by `reads` and then what it gives by `gives`, each in its order,
    in the type of the stored weight: for one projection that is W - Qᵀ Q W behind
    the map and W - W Qᵀ Q in front of it. Additions leave a weight as it is. A
    table of rows that are looked up is a weight `in_out`.
  }];
  let parameters = (ins
    "::weir::fx::WeightAttr":$weight,
    "::weir::WeightLayout":$layout,
    "::mlir::ArrayAttr":$reads,
    "::mlir::ArrayAttr":$gives);
  let assemblyFormat = [{
    `<` $weight custom<Layout>($layout) `reads` $reads `gives` $gives `>`
  }];
}

def Flow_FoldedBiasAttr : Flow_FoldedAttr<"FoldedBias", "folded_bias"> {
  let summary = "the bias of a linear map with edits inside";
  let description = [{
    `#flow.folded_bias<<"model"::"down.weight"> out_in bias <"model"::"down.bias">
    reads [] gives [#flow.sum<…>]>`, shape [out]: what that map gives for x = 0.
    Without `bias` the map had none. In the type of the stored weight.
  }];
  let parameters = (ins
    "::weir::fx::WeightAttr":$weight,
    "::weir::WeightLayout":$layout,
    OptionalParameter<"::weir::fx::WeightAttr">:$bias,
    "::mlir::ArrayAttr":$reads,
    "::mlir::ArrayAttr":$gives);
  let assemblyFormat = [{
    `<` $weight custom<Layout>($layout) (`bias` $bias^)? `reads` $reads `gives` $gives `>`
  }];
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWFOLDING_TD
