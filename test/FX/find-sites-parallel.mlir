// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites --split-input-file | FileCheck %s
// Blocks whose halves read the same value: there is nothing between them.

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#gpt_neox_embed_in = #fx.stack<"k." "" : "Model", "k.gpt_neox.embed_in" "gpt_neox.embed_in" : "embed_in">
#gpt_neox_layers_0 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0" "gpt_neox.layers.0" : "0">
#gpt_neox_layers_0_n1 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.n1" "gpt_neox.layers.0.n1" : "n1">
#gpt_neox_layers_0_n2 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.n2" "gpt_neox.layers.0.n2" : "n2">
#gpt_neox_layers_0_attention = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.attention" "gpt_neox.layers.0.attention" : "attention">
#gpt_neox_layers_0_attention_dense = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.attention.dense" "gpt_neox.layers.0.attention.dense" : "dense">
#gpt_neox_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp" "gpt_neox.layers.0.mlp" : "mlp">
#gpt_neox_layers_0_mlp_dense_h_to_4h = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp.dense_h_to_4h" "gpt_neox.layers.0.mlp.dense_h_to_4h" : "dense_h_to_4h">
#gpt_neox_layers_0_mlp_dense_4h_to_h = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp.dense_4h_to_h" "gpt_neox.layers.0.mlp.dense_4h_to_h" : "dense_4h_to_h">

// The halves are added to each other first.
// CHECK-LABEL: fx.program @halves_first
// CHECK-NOT: fx.site mid
fx.program @halves_first(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %[[EMB:.*]] = fx.site 0/emb of %h
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #gpt_neox_embed_in} : (!w, tensor<?x?xi64, #d>) -> !t
  %n1 = fx.call @aten.relu.default(self = %h) {stack = #gpt_neox_layers_0_n1} : (!t) -> !t
  %a = fx.call @aten.tanh.default(self = %n1) {stack = #gpt_neox_layers_0_attention} : (!t) -> !t
  // CHECK: fx.site 0/head of %a
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #gpt_neox_layers_0_attention_dense} : (!t, !w) -> !t
  // CHECK: %[[ATT:.*]] = fx.site 0/att of %o
  %n2 = fx.call @aten.relu.default(self = %h) {stack = #gpt_neox_layers_0_n2} : (!t) -> !t
  %u = fx.call @aten.linear.default(input = %n2, weight = %w) {stack = #gpt_neox_layers_0_mlp_dense_h_to_4h} : (!t, !w) -> !t
  %x = fx.call @aten.gelu.default(self = %u) {stack = #gpt_neox_layers_0_mlp} : (!t) -> !t
  // CHECK: fx.site 0/neuron of %x
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #gpt_neox_layers_0_mlp_dense_4h_to_h} : (!t, !w) -> !t
  // CHECK: %[[MLP:.*]] = fx.site 0/mlp of %y
  // CHECK-NEXT: %s = fx.call @aten.add.Tensor(self = %[[MLP]], other = %[[ATT]])
  %s = fx.call @aten.add.Tensor(self = %y, other = %o) {stack = #gpt_neox_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %r = fx.call @aten.add.Tensor(self = %s, other = %[[EMB]])
  %r = fx.call @aten.add.Tensor(self = %s, other = %h) {stack = #gpt_neox_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %[[RES:.*]] = fx.site 0/res of %r
  // CHECK-NEXT: fx.return %[[RES]]
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#gpt_neox_embed_in = #fx.stack<"k." "" : "Model", "k.gpt_neox.embed_in" "gpt_neox.embed_in" : "embed_in">
#gpt_neox_layers_0 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0" "gpt_neox.layers.0" : "0">
#gpt_neox_layers_0_n1 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.n1" "gpt_neox.layers.0.n1" : "n1">
#gpt_neox_layers_0_n2 = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.n2" "gpt_neox.layers.0.n2" : "n2">
#gpt_neox_layers_0_attention = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.attention" "gpt_neox.layers.0.attention" : "attention">
#gpt_neox_layers_0_attention_dense = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.attention.dense" "gpt_neox.layers.0.attention.dense" : "dense">
#gpt_neox_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp" "gpt_neox.layers.0.mlp" : "mlp">
#gpt_neox_layers_0_mlp_dense_h_to_4h = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp.dense_h_to_4h" "gpt_neox.layers.0.mlp.dense_h_to_4h" : "dense_h_to_4h">
#gpt_neox_layers_0_mlp_dense_4h_to_h = #fx.stack<"k." "" : "Model", "k.gpt_neox.layers.0.mlp.dense_4h_to_h" "gpt_neox.layers.0.mlp.dense_4h_to_h" : "dense_4h_to_h">

// The stream and one half come first, but nobody else reads their sum.
// CHECK-LABEL: fx.program @stream_first
// CHECK-NOT: fx.site mid
fx.program @stream_first(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %[[EMB:.*]] = fx.site 0/emb of %h
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #gpt_neox_embed_in} : (!w, tensor<?x?xi64, #d>) -> !t
  %n1 = fx.call @aten.relu.default(self = %h) {stack = #gpt_neox_layers_0_n1} : (!t) -> !t
  %a = fx.call @aten.tanh.default(self = %n1) {stack = #gpt_neox_layers_0_attention} : (!t) -> !t
  // CHECK: fx.site 0/head of %a
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #gpt_neox_layers_0_attention_dense} : (!t, !w) -> !t
  // CHECK: %[[ATT:.*]] = fx.site 0/att of %o
  %n2 = fx.call @aten.relu.default(self = %h) {stack = #gpt_neox_layers_0_n2} : (!t) -> !t
  %u = fx.call @aten.linear.default(input = %n2, weight = %w) {stack = #gpt_neox_layers_0_mlp_dense_h_to_4h} : (!t, !w) -> !t
  %x = fx.call @aten.gelu.default(self = %u) {stack = #gpt_neox_layers_0_mlp} : (!t) -> !t
  // CHECK: fx.site 0/neuron of %x
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #gpt_neox_layers_0_mlp_dense_4h_to_h} : (!t, !w) -> !t
  // CHECK: %[[MLP:.*]] = fx.site 0/mlp of %y
  // CHECK-NEXT: %s = fx.call @aten.add.Tensor(self = %[[EMB]], other = %[[ATT]])
  %s = fx.call @aten.add.Tensor(self = %h, other = %o) {stack = #gpt_neox_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %r = fx.call @aten.add.Tensor(self = %s, other = %[[MLP]])
  %r = fx.call @aten.add.Tensor(self = %s, other = %y) {stack = #gpt_neox_layers_0} : (!t, !t) -> !t
  // CHECK-NEXT: %[[RES:.*]] = fx.site 0/res of %r
  // CHECK-NEXT: fx.return %[[RES]]
  fx.return %r : !t as [#fx.output<user_output>]
}
