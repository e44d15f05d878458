// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s '--fx-find-sites=sites=res=b.{layer},att=b.{layer}.mixer,mlp=b.{layer}.ff,head=b.{layer}.mixer.out,down=b.{layer}.ff.out,mid=b.{layer}.pre2' | FileCheck %s
// RUN: weir-opt %s '--fx-find-sites=sites=res=b.{layer},mlp=b.{layer}.ff' | FileCheck %s --check-prefix=PART
// RUN: not weir-opt %s --fx-find-sites 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// Modules with names of their own, given as a spec's model.sites gives them. The
// first half is scaled and normed before it is added; a given map need not say so.

// UNKNOWN: error: the sites of the model were not found; a map of module paths ('sites' of the spec's model) can help
// UNKNOWN: note: looked for modules 'model.layers.{layer}', 'transformer.h.{layer}', 'gpt_neox.layers.{layer}'; found 'net', 'net.b', 'net.emb', 'net.b.0', 'net.b.0.ff',

#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#net_emb = #fx.stack<"k." "" : "Model", "k.net.emb" "net.emb" : "emb">
#net_b_0 = #fx.stack<"k." "" : "Model", "k.net.b.0" "net.b.0" : "0">
#net_b_0_pre1 = #fx.stack<"k." "" : "Model", "k.net.b.0.pre1" "net.b.0.pre1" : "pre1">
#net_b_0_post1 = #fx.stack<"k." "" : "Model", "k.net.b.0.post1" "net.b.0.post1" : "post1">
#net_b_0_mixer = #fx.stack<"k." "" : "Model", "k.net.b.0.mixer" "net.b.0.mixer" : "mixer">
#net_b_0_mixer_out = #fx.stack<"k." "" : "Model", "k.net.b.0.mixer.out" "net.b.0.mixer.out" : "out">
#net_b_0_pre2 = #fx.stack<"k." "" : "Model", "k.net.b.0.pre2" "net.b.0.pre2" : "pre2">
#net_b_0_ff = #fx.stack<"k." "" : "Model", "k.net.b.0.ff" "net.b.0.ff" : "ff">
#net_b_0_ff_out = #fx.stack<"k." "" : "Model", "k.net.b.0.ff.out" "net.b.0.ff.out" : "out">

// CHECK-LABEL: fx.program @main
// PART-LABEL: fx.program @main
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #net_emb} : (!w, tensor<?x?xi64, #d>) -> !t
  // CHECK: fx.site 0/emb of %h
  // PART: fx.site 0/emb of %h
  %n1 = fx.call @aten.relu.default(self = %h) {stack = #net_b_0_pre1} : (!t) -> !t
  %a = fx.call @aten.tanh.default(self = %n1) {stack = #net_b_0_mixer} : (!t) -> !t
  // CHECK: fx.site 0/head of %a
  // PART-NOT: fx.site
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #net_b_0_mixer_out} : (!t, !w) -> !t
  %q = fx.call @aten.relu.default(self = %o) {stack = #net_b_0_post1} : (!t) -> !t
  // CHECK: fx.site 0/att of %z
  %z = fx.call @aten.mul.Tensor(self = %q, other = 0.5) {stack = #net_b_0} : (!t) -> !t
  // CHECK: fx.site 0/mid of %m
  // PART: fx.site 0/mid of %m
  %m = fx.call @aten.add.Tensor(self = %h, other = %z, alpha = 1) {stack = #net_b_0} : (!t, !t) -> !t
  %n2 = fx.call @aten.relu.default(self = %m) {stack = #net_b_0_pre2} : (!t) -> !t
  // CHECK: fx.site 0/mlp_in of %n2
  // PART: fx.site 0/mlp_in of %n2
  %x = fx.call @aten.gelu.default(self = %n2) {stack = #net_b_0_ff} : (!t) -> !t
  // CHECK: fx.site 0/neuron of %x
  // PART-NOT: fx.site
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #net_b_0_ff_out} : (!t, !w) -> !t
  // CHECK: fx.site 0/mlp of %y
  // PART: fx.site 0/mlp of %y
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #net_b_0} : (!t, !t) -> !t
  // CHECK: fx.site 0/res of %r
  // PART: fx.site 0/res of %r
  fx.return %r : !t as [#fx.output<user_output>]
}
