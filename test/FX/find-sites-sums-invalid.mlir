// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s '--fx-find-sites=sites=res=b.{layer},att=b.{layer}.a,mlp=b.{layer}.m' --split-input-file --verify-diagnostics
// Sums that are not what a block's output is.

// A summand that is broadcast is none of the stream.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#m0 = #fx.stack<"k." "" : "Model", "k.b.0.m" "b.0.m" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %a) {stack = #b0} : (!t, !t) -> !t
  // expected-note@+1 {{with the given map: the sum of module 'b.0' adds values of different types: 'aten.mean.dim' in module 'b.0.m'}}
  %m = fx.call @aten.mean.dim(self = %s, dim = [1], keepdim = true) {stack = #m0} : (!t) -> tensor<?x1x4xf32, #fx.dims<s0 = 2>>
  %r = fx.call @aten.add.Tensor(self = %s, other = %m) {stack = #b0} : (!t, tensor<?x1x4xf32, #fx.dims<s0 = 2>>) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// The second block begins with the embedding again.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#m0 = #fx.stack<"k." "" : "Model", "k.b.0.m" "b.0.m" : "x">
#b1 = #fx.stack<"k." "" : "Model", "k.b.1" "b.1" : "x">
#a1 = #fx.stack<"k." "" : "Model", "k.b.1.a" "b.1.a" : "x">
#m1 = #fx.stack<"k." "" : "Model", "k.b.1.m" "b.1.m" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %a) {stack = #b0} : (!t, !t) -> !t
  %m = fx.call @aten.relu.default(self = %s) {stack = #m0} : (!t) -> !t
  %t = fx.call @aten.add.Tensor(self = %s, other = %m) {stack = #b0} : (!t, !t) -> !t
  %c = fx.call @aten.tanh.default(self = %t) {stack = #a1} : (!t) -> !t
  %u = fx.call @aten.add.Tensor(self = %h, other = %c) {stack = #b1} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %u) {stack = #m1} : (!t) -> !t
  // expected-note@+1 {{with the given map: the sum of module 'b.1' should add the output of the block before; it adds 'aten.embedding.default' in module 'e' and 'aten.tanh.default' in module 'b.1.a' and 'aten.relu.default' in module 'b.1.m'}}
  %r = fx.call @aten.add.Tensor(self = %u, other = %n) {stack = #b1} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// Both halves are named, and something else is added too.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#m0 = #fx.stack<"k." "" : "Model", "k.b.0.m" "b.0.m" : "x">
#x0 = #fx.stack<"k." "" : "Model", "k.b.0.x" "b.0.x" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %a) {stack = #b0} : (!t, !t) -> !t
  %m = fx.call @aten.relu.default(self = %s) {stack = #m0} : (!t) -> !t
  %u = fx.call @aten.add.Tensor(self = %s, other = %m) {stack = #b0} : (!t, !t) -> !t
  %x = fx.call @aten.exp.default(self = %h) {stack = #x0} : (!t) -> !t
  // expected-note@+1 {{with the given map: the sum of module 'b.0' should add only what its halves make; it adds 'aten.embedding.default' in module 'e' and 'aten.tanh.default' in module 'b.0.a' and 'aten.relu.default' in module 'b.0.m' and 'aten.exp.default' in module 'b.0.x'}}
  %r = fx.call @aten.add.Tensor(self = %u, other = %x) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}
