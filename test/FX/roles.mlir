// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file | FileCheck %s
// RUN: weir-opt %s --split-input-file | weir-opt --split-input-file | FileCheck %s
// RUN: weir-opt %s --split-input-file --mlir-print-op-generic | weir-opt --split-input-file | FileCheck %s
// What inputs, outputs and weights are for.

!ids = tensor<?x?xi64>
!row = tensor<?xi64>
!f = tensor<?x?x2xf32>

// CHECK-LABEL: fx.program @steered(
// CHECK-NEXT: %a: tensor<?x?xi64> = #fx.input<user_input, role = input_ids>,
// CHECK-NEXT: %b: tensor<?x?xi64> = #fx.input<user_input, role = positions>,
// CHECK-NEXT: %c: tensor<?xi64> = #fx.input<user_input, role = prompt_length>,
// CHECK-NEXT: %d: tensor<?xi64> = #fx.input<user_input, role = plan, extra = "{\22later\22:1}">,
// CHECK-NEXT: %e: tensor<?x3xf32> = #fx.input<user_input, role = knobs>,
// CHECK-NEXT: %x: tensor<?x?x2xf32> = #fx.input<user_input>)
// CHECK-SAME: edited = [#fx.edited<res, 12>, #fx.edited<neuron, 0>]
fx.program @steered(
    %a: !ids = #fx.input<user_input, role = input_ids>,
    %b: !ids = #fx.input<user_input, role = positions>,
    %c: !row = #fx.input<user_input, role = prompt_length>,
    %d: !row = #fx.input<user_input, role = plan, extra = "{\22later\22:1}">,
    %e: tensor<?x3xf32> = #fx.input<user_input, role = knobs>,
    %x: !f = #fx.input<user_input>)
    attributes {edited = [#fx.edited<res, 12>, #fx.edited<neuron, 0>]} {
  // CHECK: fx.return {{.*}} as [#fx.output<user_output, role = #fx.logits>, #fx.output<user_output, role = #fx.record<"two", [#flow.feature<@sae:12/res/4>, #flow.feature<@sae:12/res/5>]>>, #fx.output<user_output>, #fx.output<buffer_mutation "k">]
  fx.return %x, %x, %x, %x : !f, !f, !f, !f as [
      #fx.output<user_output, role = #fx.logits>,
      #fx.output<user_output, role = #fx.record<"two", [#flow.feature<@sae:12/res/4>, #flow.feature<@sae:12/res/5>]>>,
      #fx.output<user_output>, #fx.output<buffer_mutation "k">]
}

// -----

// Tokens of all rows in one flat row.
// CHECK-LABEL: fx.program @flat(
// CHECK-NEXT: %ids: tensor<?xi64> = #fx.input<user_input, role = input_ids>)
fx.program @flat(%ids: tensor<?xi64> = #fx.input<user_input, role = input_ids>) {
  fx.return []
}

// -----

// CHECK-LABEL: fx.program @weights()
// CHECK-SAME: weights = #fx.weights<unembedding = <"model"::"head">, layers = [<up = <"model"::"up">, gate = <"model"::"gate">, down = <"model"::"down">>, <down = <"model"::"d">, in_out>, <>]>
fx.program @weights() attributes {weights = #fx.weights<unembedding = <"model"::"head">, layers = [
    <gate = <"model"::"gate">, down = <"model"::"down">, up = <"model"::"up">>, <in_out, down = <"model"::"d">>, <>]>} {
  fx.return []
}

// -----

// CHECK-LABEL: fx.program @none()
// CHECK-SAME: weights = #fx.weights<layers = []>
fx.program @none() attributes {weights = #fx.weights<layers = []>} {
  fx.return []
}
