// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites | FileCheck %s
// RUN: weir-opt %s --fx-find-sites --fx-find-sites | FileCheck %s
// RUN: weir-opt %s --fx-find-sites --fx-strip-sites | FileCheck %s --check-prefix=STRIP --implicit-check-not=fx.site
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-find-sites{family=mistral}))' | FileCheck %s
// Two pre-norm blocks below a wrapper. The residual stream of block 0 runs
// through a conversion in the norm that changes nothing, as models that compute
// their norms in f32 export it, and through a dropout that is switched off.

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#wrap_model_embed = #fx.stack<"k." "" : "Model", "k.wrap.model.embed" "wrap.model.embed" : "embed">
#wrap_lm_head = #fx.stack<"k." "" : "Model", "k.wrap.lm_head" "wrap.lm_head" : "lm_head">
#wrap_model_layers_0 = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0" "wrap.model.layers.0" : "0">
#wrap_model_layers_0_norm = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.norm" "wrap.model.layers.0.norm" : "norm">
#wrap_model_layers_0_norm2 = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.norm2" "wrap.model.layers.0.norm2" : "norm2">
#wrap_model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.self_attn" "wrap.model.layers.0.self_attn" : "self_attn">
#wrap_model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.self_attn.o_proj" "wrap.model.layers.0.self_attn.o_proj" : "o_proj">
#wrap_model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.mlp" "wrap.model.layers.0.mlp" : "mlp">
#wrap_model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.mlp.gate_proj" "wrap.model.layers.0.mlp.gate_proj" : "gate_proj">
#wrap_model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.mlp.up_proj" "wrap.model.layers.0.mlp.up_proj" : "up_proj">
#wrap_model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.mlp.down_proj" "wrap.model.layers.0.mlp.down_proj" : "down_proj">
#wrap_model_layers_0_dropout = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.0.dropout" "wrap.model.layers.0.dropout" : "dropout">
#wrap_model_layers_1 = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1" "wrap.model.layers.1" : "1">
#wrap_model_layers_1_norm = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.norm" "wrap.model.layers.1.norm" : "norm">
#wrap_model_layers_1_norm2 = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.norm2" "wrap.model.layers.1.norm2" : "norm2">
#wrap_model_layers_1_self_attn = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.self_attn" "wrap.model.layers.1.self_attn" : "self_attn">
#wrap_model_layers_1_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.self_attn.o_proj" "wrap.model.layers.1.self_attn.o_proj" : "o_proj">
#wrap_model_layers_1_mlp = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.mlp" "wrap.model.layers.1.mlp" : "mlp">
#wrap_model_layers_1_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.mlp.gate_proj" "wrap.model.layers.1.mlp.gate_proj" : "gate_proj">
#wrap_model_layers_1_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.mlp.up_proj" "wrap.model.layers.1.mlp.up_proj" : "up_proj">
#wrap_model_layers_1_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.mlp.down_proj" "wrap.model.layers.1.mlp.down_proj" : "down_proj">
#wrap_model_layers_1_dropout = #fx.stack<"k." "" : "Model", "k.wrap.model.layers.1.dropout" "wrap.model.layers.1.dropout" : "dropout">

// CHECK-LABEL: fx.program @main
// CHECK: weights = #fx.weights<unembedding = <"model"::"embed">, layers = [<up = <"model"::"up.0">, gate = <"model"::"gate.0">, down = <"model"::"down.0">>, <up = <"model"::"up.1">, gate = <"model"::"gate.1">, down = <"model"::"down.1">>]>
fx.program @main(
    %embed: !w = #fx.input<parameter "model"::"embed">,
    %o0: !w = #fx.input<parameter "model"::"o.0">,
    %gate0: !w = #fx.input<parameter "model"::"gate.0">,
    %up0: !w = #fx.input<parameter "model"::"up.0">,
    %down0: !w = #fx.input<parameter "model"::"down.0">,
    %o1: !w = #fx.input<parameter "model"::"o.1">,
    %gate1: !w = #fx.input<parameter "model"::"gate.1">,
    %up1: !w = #fx.input<parameter "model"::"up.1">,
    %down1: !w = #fx.input<parameter "model"::"down.1">,
    %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %embed, indices = %ids) {stack = #wrap_model_embed} : (!w, tensor<?x?xi64, #d>) -> !t

  %to0 = fx.call @aten.to.dtype(self = %h, dtype = dtype<f32>) {stack = #wrap_model_layers_0_norm} : (!t) -> !t
  %n0 = fx.call @aten.relu.default(self = %to0) {stack = #wrap_model_layers_0_norm} : (!t) -> !t
  // CHECK: %a0 = fx.call
  // CHECK-NEXT: %[[HEAD0:.*]] = fx.site 0/head of %a0
  %a0 = fx.call @aten.tanh.default(self = %n0) {stack = #wrap_model_layers_0_self_attn} : (!t) -> !t
  // CHECK-NEXT: %o_0 = fx.call @aten.linear.default(input = %[[HEAD0]]
  %o_0 = fx.call @aten.linear.default(input = %a0, weight = %o0) {stack = #wrap_model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  // The operand of the addition is the site, behind the dropout.
  // CHECK-NEXT: %drop0 = fx.call @aten.dropout.default(input = %o_0
  // CHECK-NEXT: %[[ATT0:.*]] = fx.site 0/att of %drop0
  %drop0 = fx.call @aten.dropout.default(input = %o_0, p = 0.5, train = false) {stack = #wrap_model_layers_0_dropout} : (!t) -> !t
  // CHECK-NEXT: %m0 = fx.call @aten.add.Tensor(self = %to0, other = %[[ATT0]])
  // CHECK-NEXT: %[[MID0:.*]] = fx.site 0/mid of %m0
  %m0 = fx.call @aten.add.Tensor(self = %to0, other = %drop0) {stack = #wrap_model_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %p0 = fx.call @aten.relu.default(self = %[[MID0]])
  %p0 = fx.call @aten.relu.default(self = %m0) {stack = #wrap_model_layers_0_norm2} : (!t) -> !t
  %g0 = fx.call @aten.linear.default(input = %p0, weight = %gate0) {stack = #wrap_model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u0 = fx.call @aten.linear.default(input = %p0, weight = %up0) {stack = #wrap_model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  // CHECK: %x0 = fx.call @aten.mul.Tensor
  // CHECK-NEXT: %[[NEURON0:.*]] = fx.site 0/neuron of %x0
  // CHECK-NEXT: %y0 = fx.call @aten.linear.default(input = %[[NEURON0]]
  // CHECK-NEXT: %[[MLP0:.*]] = fx.site 0/mlp of %y0
  // CHECK-NEXT: %r0 = fx.call @aten.add.Tensor(self = %[[MLP0]], other = %[[MID0]])
  // CHECK-NEXT: %[[RES0:.*]] = fx.site 0/res of %r0
  %x0 = fx.call @aten.mul.Tensor(self = %g0, other = %u0) {stack = #wrap_model_layers_0_mlp} : (!t, !t) -> !t
  %y0 = fx.call @aten.linear.default(input = %x0, weight = %down0) {stack = #wrap_model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  %r0 = fx.call @aten.add.Tensor(self = %y0, other = %m0) {stack = #wrap_model_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %to1 = fx.call @aten.to.dtype(self = %[[RES0]]

  %to1 = fx.call @aten.to.dtype(self = %r0, dtype = dtype<f32>) {stack = #wrap_model_layers_1_norm} : (!t) -> !t
  %n1 = fx.call @aten.relu.default(self = %to1) {stack = #wrap_model_layers_1_norm} : (!t) -> !t
  // CHECK: %a1 = fx.call
  // CHECK-NEXT: %[[HEAD1:.*]] = fx.site 1/head of %a1
  %a1 = fx.call @aten.tanh.default(self = %n1) {stack = #wrap_model_layers_1_self_attn} : (!t) -> !t
  // CHECK-NEXT: %o_1 = fx.call @aten.linear.default(input = %[[HEAD1]]
  // CHECK-NEXT: %[[ATT1:.*]] = fx.site 1/att of %o_1
  %o_1 = fx.call @aten.linear.default(input = %a1, weight = %o1) {stack = #wrap_model_layers_1_self_attn_o_proj} : (!t, !w) -> !t
  // CHECK-NEXT: %m1 = fx.call @aten.add.Tensor(self = %to1, other = %[[ATT1]])
  // CHECK-NEXT: %[[MID1:.*]] = fx.site 1/mid of %m1
  %m1 = fx.call @aten.add.Tensor(self = %to1, other = %o_1) {stack = #wrap_model_layers_1} : (!t, !t) -> !t
  // CHECK-NEXT: %p1 = fx.call @aten.relu.default(self = %[[MID1]])
  %p1 = fx.call @aten.relu.default(self = %m1) {stack = #wrap_model_layers_1_norm2} : (!t) -> !t
  %g1 = fx.call @aten.linear.default(input = %p1, weight = %gate1) {stack = #wrap_model_layers_1_mlp_gate_proj} : (!t, !w) -> !t
  %u1 = fx.call @aten.linear.default(input = %p1, weight = %up1) {stack = #wrap_model_layers_1_mlp_up_proj} : (!t, !w) -> !t
  // CHECK: %x1 = fx.call @aten.mul.Tensor
  // CHECK-NEXT: %[[NEURON1:.*]] = fx.site 1/neuron of %x1
  // CHECK-NEXT: %y1 = fx.call @aten.linear.default(input = %[[NEURON1]]
  // CHECK-NEXT: %[[MLP1:.*]] = fx.site 1/mlp of %y1
  // CHECK-NEXT: %r1 = fx.call @aten.add.Tensor(self = %[[MLP1]], other = %[[MID1]])
  // CHECK-NEXT: %[[RES1:.*]] = fx.site 1/res of %r1
  %x1 = fx.call @aten.mul.Tensor(self = %g1, other = %u1) {stack = #wrap_model_layers_1_mlp} : (!t, !t) -> !t
  %y1 = fx.call @aten.linear.default(input = %x1, weight = %down1) {stack = #wrap_model_layers_1_mlp_down_proj} : (!t, !w) -> !t
  %r1 = fx.call @aten.add.Tensor(self = %y1, other = %m1) {stack = #wrap_model_layers_1} : (!t, !t) -> !t

  // CHECK-NEXT: %logits = fx.call @aten.linear.default(input = %[[RES1]], weight = %embed)
  %logits = fx.call @aten.linear.default(input = %r1, weight = %embed) {stack = #wrap_lm_head} : (!t, !w) -> !t
  // STRIP: fx.return %logits
  fx.return %logits : !t as [#fx.output<user_output>]
}
