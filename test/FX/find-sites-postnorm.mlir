// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites | FileCheck %s
// What a half adds is its normed output.

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#lm_head = #fx.stack<"k." "" : "Model", "k.lm_head" "lm_head" : "lm_head">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_post_attention_layernorm = #fx.stack<"k." "" : "Model", "k.model.layers.0.post_attention_layernorm" "model.layers.0.post_attention_layernorm" : "post_attention_layernorm">
#model_layers_0_pre = #fx.stack<"k." "" : "Model", "k.model.layers.0.pre" "model.layers.0.pre" : "pre">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">
#model_layers_0_post_feedforward_layernorm = #fx.stack<"k." "" : "Model", "k.model.layers.0.post_feedforward_layernorm" "model.layers.0.post_feedforward_layernorm" : "post_feedforward_layernorm">

// CHECK-LABEL: fx.program @main
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %[[EMB:.*]] = fx.site 0/emb of %h
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  // CHECK: %n1 = fx.call @aten.rsqrt.default(self = %o)
  // CHECK-NEXT: %n2 = fx.call @aten.mul.Tensor(self = %o, other = %n1)
  // CHECK-NEXT: %[[ATT:.*]] = fx.site 0/att of %n2
  // CHECK-NEXT: %m = fx.call @aten.add.Tensor(self = %[[EMB]], other = %[[ATT]])
  // CHECK-NEXT: %[[MID:.*]] = fx.site 0/mid of %m
  %n1 = fx.call @aten.rsqrt.default(self = %o) {stack = #model_layers_0_post_attention_layernorm} : (!t) -> !t
  %n2 = fx.call @aten.mul.Tensor(self = %o, other = %n1) {stack = #model_layers_0_post_attention_layernorm} : (!t, !t) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %n2) {stack = #model_layers_0} : (!t, !t) -> !t
  %p = fx.call @aten.relu.default(self = %m) {stack = #model_layers_0_pre} : (!t) -> !t
  %g = fx.call @aten.linear.default(input = %p, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %p, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  // CHECK: %q = fx.call @aten.relu.default(self = %y)
  // CHECK-NEXT: %[[MLP:.*]] = fx.site 0/mlp of %q
  // CHECK-NEXT: %r = fx.call @aten.add.Tensor(self = %[[MID]], other = %[[MLP]])
  // CHECK-NEXT: %[[RES:.*]] = fx.site 0/res of %r
  // CHECK-NEXT: fx.return %[[RES]]
  %q = fx.call @aten.relu.default(self = %y) {stack = #model_layers_0_post_feedforward_layernorm} : (!t) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %q) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}
