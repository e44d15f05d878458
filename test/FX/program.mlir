// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// Inputs of every kind, and names that differ from those in the text.

// CHECK-LABEL: fx.program @main(
// CHECK-NEXT: %p_w: tensor<8x4xf32> = #fx.input<parameter "model"::"layers.0.weight"> {requires_grad = true},
// CHECK-NEXT: %b_k: tensor<4x4xf32> = #fx.input<buffer "model"::"k">,
// CHECK-NEXT: %b_t: tensor<4x4xf32> = #fx.input<buffer "model"::"t", transient>,
// CHECK-NEXT: %c_0: tensor<f32> = #fx.input<tensor_constant "model"::"lifted 0", extra = "{\22later\22:1}">,
// CHECK-NEXT: %o: !fx.object<"a.B"> = #fx.input<custom_obj "model"::"o">,
// CHECK-NEXT: %n: none = #fx.input<raw, extra = "{\22spec\22:{}}">,
// CHECK-NEXT: %ids: tensor<?x?xi64, #{{.*}}> = #fx.input<user_input>,
// CHECK-NEXT: %{{.*}}: !fx.symint<s9> = #fx.input<user_input> {name = "a b"}) attributes {
// CHECK-SAME: device = #fx.device<"cuda", 0>
// CHECK-SAME: envelope = "{}"
// CHECK-SAME: weights = #fx.weights<unembedding = <"model"::"layers.0.weight">, layers = []>
fx.program @main(
    %p_w: tensor<8x4xf32> = #fx.input<parameter "model"::"layers.0.weight"> {requires_grad = true},
    %b_k: tensor<4x4xf32> = #fx.input<buffer "model"::"k">,
    %b_t: tensor<4x4xf32> = #fx.input<buffer "model"::"t", transient>,
    %c_0: tensor<f32> = #fx.input<tensor_constant "model"::"lifted 0", extra = "{\22later\22:1}">,
    %o: !fx.object<"a.B"> = #fx.input<custom_obj "model"::"o">,
    %n: none = #fx.input<raw, extra = "{\22spec\22:{}}">,
    %ids: tensor<?x?xi64, #fx.dims<s0 = 2, s1 = 3>> = #fx.input<user_input>,
    %x: !fx.symint<s9> = #fx.input<user_input> {name = "a b"})
    attributes {envelope = "{}", device = #fx.device<"cuda", 0>,
                weights = #fx.weights<unembedding = <"model"::"layers.0.weight">, layers = []>} {
  // CHECK: fx.return [#fx.output<raw, literal = unit, extra = "{}">]
  fx.return [#fx.output<raw, literal = unit, extra = "{}">]
}
