// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites | FileCheck %s
// Projections that flatten their input and store [in, out]: the sites are the
// values before the flattening and after its inverse.

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
!f = tensor<?x4xf32, #fx.dims<"s0*s1" = 6>>
#transformer_wte = #fx.stack<"k." "" : "Model", "k.transformer.wte" "transformer.wte" : "wte">
#transformer_h_0 = #fx.stack<"k." "" : "Model", "k.transformer.h.0" "transformer.h.0" : "0">
#transformer_h_0_ln_1 = #fx.stack<"k." "" : "Model", "k.transformer.h.0.ln_1" "transformer.h.0.ln_1" : "ln_1">
#transformer_h_0_ln_2 = #fx.stack<"k." "" : "Model", "k.transformer.h.0.ln_2" "transformer.h.0.ln_2" : "ln_2">
#transformer_h_0_attn = #fx.stack<"k." "" : "Model", "k.transformer.h.0.attn" "transformer.h.0.attn" : "attn">
#transformer_h_0_attn_c_proj = #fx.stack<"k." "" : "Model", "k.transformer.h.0.attn.c_proj" "transformer.h.0.attn.c_proj" : "c_proj">
#transformer_h_0_mlp = #fx.stack<"k." "" : "Model", "k.transformer.h.0.mlp" "transformer.h.0.mlp" : "mlp">
#transformer_h_0_mlp_c_fc = #fx.stack<"k." "" : "Model", "k.transformer.h.0.mlp.c_fc" "transformer.h.0.mlp.c_fc" : "c_fc">
#transformer_h_0_mlp_c_proj = #fx.stack<"k." "" : "Model", "k.transformer.h.0.mlp.c_proj" "transformer.h.0.mlp.c_proj" : "c_proj">

// CHECK-LABEL: fx.program @main
// CHECK: weights = #fx.weights<layers = [<up = <"model"::"up">, down = <"model"::"down">, in_out>]>
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %up: !w = #fx.input<parameter "model"::"up">,
                 %down: !w = #fx.input<parameter "model"::"down">,
                 %bias: tensor<4xf32> = #fx.input<parameter "model"::"bias">,
                 %b: !fx.symint<s0 = 2> = #fx.input<user_input>,
                 %s: !fx.symint<s1 = 3> = #fx.input<user_input>,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %[[EMB:.*]] = fx.site 0/emb of %h
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #transformer_wte} : (!w, tensor<?x?xi64, #d>) -> !t
  %n1 = fx.call @aten.relu.default(self = %h) {stack = #transformer_h_0_ln_1} : (!t) -> !t
  %a = fx.call @aten.tanh.default(self = %n1) {stack = #transformer_h_0_attn} : (!t) -> !t
  // CHECK: %[[HEAD:.*]] = fx.site 0/head of %a
  // CHECK-NEXT: fx.call @aten.view.default(self = %[[HEAD]]
  %o_1 = fx.call @aten.view.default(self = %a, size = [-1, 4]) {stack = #transformer_h_0_attn_c_proj} : (!t) -> !f
  %o_2 = fx.call @aten.addmm.default(self = %bias, mat1 = %o_1, mat2 = %w) {stack = #transformer_h_0_attn_c_proj} : (tensor<4xf32>, !f, !w) -> !f
  %o = fx.call @aten.view.default(self = %o_2, size = [%b, %s, 4]) {stack = #transformer_h_0_attn_c_proj} : (!f, !fx.symint<s0 = 2>, !fx.symint<s1 = 3>) -> !t
  // CHECK: %[[ATT:.*]] = fx.site 0/att of %o
  // CHECK-NEXT: %m = fx.call @aten.add.Tensor(self = %[[ATT]], other = %[[EMB]])
  // CHECK-NEXT: %[[MID:.*]] = fx.site 0/mid of %m
  %m = fx.call @aten.add.Tensor(self = %o, other = %h) {stack = #transformer_h_0} : (!t, !t) -> !t
  %n2 = fx.call @aten.relu.default(self = %m) {stack = #transformer_h_0_ln_2} : (!t) -> !t
  %u_1 = fx.call @aten.view.default(self = %n2, size = [-1, 4]) {stack = #transformer_h_0_mlp_c_fc} : (!t) -> !f
  %u_2 = fx.call @aten.addmm.default(self = %bias, mat1 = %u_1, mat2 = %up) {stack = #transformer_h_0_mlp_c_fc} : (tensor<4xf32>, !f, !w) -> !f
  %u = fx.call @aten.view.default(self = %u_2, size = [%b, %s, 4]) {stack = #transformer_h_0_mlp_c_fc} : (!f, !fx.symint<s0 = 2>, !fx.symint<s1 = 3>) -> !t
  %x = fx.call @aten.gelu.default(self = %u) {stack = #transformer_h_0_mlp} : (!t) -> !t
  // CHECK: %[[NEURON:.*]] = fx.site 0/neuron of %x
  // CHECK-NEXT: fx.call @aten.view.default(self = %[[NEURON]]
  %y_1 = fx.call @aten.view.default(self = %x, size = [-1, 4]) {stack = #transformer_h_0_mlp_c_proj} : (!t) -> !f
  %y_2 = fx.call @aten.addmm.default(self = %bias, mat1 = %y_1, mat2 = %down) {stack = #transformer_h_0_mlp_c_proj} : (tensor<4xf32>, !f, !w) -> !f
  %y = fx.call @aten.view.default(self = %y_2, size = [%b, %s, 4]) {stack = #transformer_h_0_mlp_c_proj} : (!f, !fx.symint<s0 = 2>, !fx.symint<s1 = 3>) -> !t
  // CHECK: %[[MLP:.*]] = fx.site 0/mlp of %y
  // CHECK-NEXT: %r = fx.call @aten.add.Tensor(self = %[[MID]], other = %[[MLP]])
  // CHECK-NEXT: %[[RES:.*]] = fx.site 0/res of %r
  // CHECK-NEXT: fx.return %[[RES]]
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #transformer_h_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}
