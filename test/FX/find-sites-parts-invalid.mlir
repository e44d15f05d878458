// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s '--fx-find-sites=sites=res=b.{layer},att=b.{layer}.a,att_norm=b.{layer}.p,head=b.{layer}.o,mid=b.{layer}.n' --split-input-file --verify-diagnostics
// Sums that are right, of parts that are not where the map says.

// Nothing of the model goes into the projection.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#o0 = #fx.stack<"k." "" : "Model", "k.b.0.o" "b.0.o" : "x">
#p0 = #fx.stack<"k." "" : "Model", "k.b.0.p" "b.0.p" : "x">
#n0 = #fx.stack<"k." "" : "Model", "k.b.0.n" "b.0.n" : "x">

// expected-note@+2 {{with the given map: no value enters module 'b.0.o'}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %o = fx.call @aten.neg.default(self = %w) {stack = #o0} : (!w) -> !w
  %p = fx.call @aten.neg.default(self = %a) {stack = #p0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %p) {stack = #b0} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %s) {stack = #n0} : (!t) -> !t
  %r = fx.call @aten.add.Tensor(self = %s, other = %n) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// The norm before the second half reads the stream that enters.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#o0 = #fx.stack<"k." "" : "Model", "k.b.0.o" "b.0.o" : "x">
#p0 = #fx.stack<"k." "" : "Model", "k.b.0.p" "b.0.p" : "x">
#n0 = #fx.stack<"k." "" : "Model", "k.b.0.n" "b.0.n" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // expected-note@+1 {{with the given map: module 'b.0.n' should read the stream between the halves of 'b.0'; it reads 'aten.embedding.default' in module 'e'}}
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #o0} : (!t, !w) -> !t
  %p = fx.call @aten.neg.default(self = %o) {stack = #p0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %p) {stack = #b0} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %h) {stack = #n0} : (!t) -> !t
  %r = fx.call @aten.add.Tensor(self = %s, other = %n) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// The projection reads what the half did not make.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#o0 = #fx.stack<"k." "" : "Model", "k.b.0.o" "b.0.o" : "x">
#p0 = #fx.stack<"k." "" : "Model", "k.b.0.p" "b.0.p" : "x">
#n0 = #fx.stack<"k." "" : "Model", "k.b.0.n" "b.0.n" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // expected-note@+1 {{with the given map: 'head' should be made in module 'b.0.a', found 'aten.embedding.default' in module 'e'}}
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %h, weight = %w) {stack = #o0} : (!t, !w) -> !t
  %p = fx.call @aten.neg.default(self = %a) {stack = #p0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %p) {stack = #b0} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %s) {stack = #n0} : (!t) -> !t
  %r = fx.call @aten.add.Tensor(self = %s, other = %n) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// What is added does not come out of the projection.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#o0 = #fx.stack<"k." "" : "Model", "k.b.0.o" "b.0.o" : "x">
#p0 = #fx.stack<"k." "" : "Model", "k.b.0.p" "b.0.p" : "x">
#n0 = #fx.stack<"k." "" : "Model", "k.b.0.n" "b.0.n" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #o0} : (!t, !w) -> !t
  // expected-note@+1 {{with the given map: what layer 0 adds does not come from module 'b.0.o'}}
  %p = fx.call @aten.neg.default(self = %a) {stack = #p0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %p) {stack = #b0} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %s) {stack = #n0} : (!t) -> !t
  %r = fx.call @aten.add.Tensor(self = %s, other = %n) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// The norm behind the half is not what is added.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#e = #fx.stack<"k." "" : "Model", "k.e" "e" : "x">
#b0 = #fx.stack<"k." "" : "Model", "k.b.0" "b.0" : "x">
#a0 = #fx.stack<"k." "" : "Model", "k.b.0.a" "b.0.a" : "x">
#o0 = #fx.stack<"k." "" : "Model", "k.b.0.o" "b.0.o" : "x">
#p0 = #fx.stack<"k." "" : "Model", "k.b.0.p" "b.0.p" : "x">
#n0 = #fx.stack<"k." "" : "Model", "k.b.0.n" "b.0.n" : "x">

// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #e} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #a0} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #o0} : (!t, !w) -> !t
  %q = fx.call @aten.neg.default(self = %a) {stack = #p0} : (!t) -> !t
  %s = fx.call @aten.add.Tensor(self = %h, other = %o) {stack = #b0} : (!t, !t) -> !t
  %n = fx.call @aten.relu.default(self = %s) {stack = #n0} : (!t) -> !t
  // expected-note@+1 {{with the given map: the sum of module 'b.0' should add the output of module 'b.0.a' after 'b.0.p'; it adds 'aten.embedding.default' in module 'e' and 'aten.linear.default' in module 'b.0.o' and 'aten.relu.default' in module 'b.0.n'}}
  %r = fx.call @aten.add.Tensor(self = %s, other = %n) {stack = #b0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}
