// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites | FileCheck %s
// A block of no known family: what attention adds is multiplied, the MLP's gate
// is a part of one product, and its last projection has another name. What the
// MLP adds goes through a norm.

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!wide = tensor<?x?x8xf32, #d>
!w = tensor<4x4xf32>
!w2 = tensor<8x4xf32>
#embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#head = #fx.stack<"k." "" : "Model", "k.lm_head" "lm_head" : "lm_head">
#block = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#norm = #fx.stack<"k." "" : "Model", "k.model.layers.0.norm" "model.layers.0.norm" : "norm">
#after = #fx.stack<"k." "" : "Model", "k.model.layers.0.after" "model.layers.0.after" : "after">
#attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#out = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.out" "model.layers.0.self_attn.out" : "out">
#mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#both = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.both" "model.layers.0.mlp.both" : "both">
#last = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.last" "model.layers.0.mlp.last" : "last">

// The product that holds gate and neurons is neither.
// CHECK: weights = #fx.weights<unembedding = <"model"::"embed">, layers = [<down = <"model"::"last">>]>
fx.program @main(
    %embed: !w = #fx.input<parameter "model"::"embed">,
    %o: !w = #fx.input<parameter "model"::"o">,
    %both: !w2 = #fx.input<parameter "model"::"both">,
    %last: !w = #fx.input<parameter "model"::"last">,
    %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %[[EMB:.*]] = fx.site 0/emb of %h
  %h = fx.call @aten.embedding.default(weight = %embed, indices = %ids) {stack = #embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %n = fx.call @aten.relu.default(self = %h) {stack = #norm} : (!t) -> !t
  // CHECK: %a = fx.call
  // CHECK-NEXT: %[[HEAD:.*]] = fx.site 0/head of %a
  %a = fx.call @aten.tanh.default(self = %n) {stack = #attn} : (!t) -> !t
  %y = fx.call @aten.linear.default(input = %a, weight = %o) {stack = #out} : (!t, !w) -> !t
  // CHECK: %scaled = fx.call @aten.mul.Tensor
  // CHECK-NEXT: %[[ATT:.*]] = fx.site 0/att of %scaled
  %scaled = fx.call @aten.mul.Tensor(self = %y, other = 0.25) {stack = #block} : (!t) -> !t
  // CHECK-NEXT: %m = fx.call @aten.add.Tensor(self = %[[EMB]], other = %[[ATT]])
  // CHECK-NEXT: fx.site 0/mid of %m
  %m = fx.call @aten.add.Tensor(self = %h, other = %scaled) {stack = #block} : (!t, !t) -> !t
  %p = fx.call @aten.relu.default(self = %m) {stack = #norm} : (!t) -> !t
  %g = fx.call @aten.linear.default(input = %p, weight = %both) {stack = #both} : (!t, !w2) -> !wide
  // CHECK: %x = fx.call @aten.glu.default
  // CHECK-NEXT: %[[NEURON:.*]] = fx.site 0/neuron of %x
  %x = fx.call @aten.glu.default(self = %g) {stack = #mlp} : (!wide) -> !t
  // CHECK-NEXT: fx.call @aten.linear.default(input = %[[NEURON]]
  %z = fx.call @aten.linear.default(input = %x, weight = %last) {stack = #last} : (!t, !w) -> !t
  // CHECK: %normed = fx.call
  // CHECK-NEXT: %[[MLP:.*]] = fx.site 0/mlp of %normed
  %normed = fx.call @aten.relu.default(self = %z) {stack = #after} : (!t) -> !t
  // CHECK-NEXT: %r = fx.call
  // CHECK-NEXT: fx.site 0/res of %r
  %r = fx.call @aten.add.Tensor(self = %m, other = %normed) {stack = #block} : (!t, !t) -> !t
  %logits = fx.call @aten.linear.default(input = %r, weight = %embed) {stack = #head} : (!t, !w) -> !t
  fx.return %logits : !t as [#fx.output<user_output>]
}
