// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-slice{from=0/res to=1/res}))' --split-input-file --verify-diagnostics

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// expected-error @+1 {{there is no site '1/res' behind '0/res'}}
fx.program @missing(%positions: !ids = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %a = fx.site 0/res of %x : !t
  fx.return %a : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<?x?x4xf32, #fx.dims<s0 = 2, s1 = 3>>

// expected-error @+1 {{it needs the input `positions`, [batch, sequence] of int64}}
fx.program @nowhere(%x: !t = #fx.input<user_input>) {
  %a = fx.site 0/res of %x : !t
  %y = fx.call @aten.neg.default(self = %a) : (!t) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %b : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<1x?x4xf32, #fx.dims<s1 = 3>>

// expected-error @+1 {{export the model with room for more rows (--max-batch 2)}}
fx.program @one_row(%positions: tensor<1x?xi64, #fx.dims<s1 = 3>> = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %a = fx.site 0/res of %x : !t
  %y = fx.call @aten.neg.default(self = %a) : (!t) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %b : !t as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// expected-error @+1 {{the model cannot be cut at slice: the input 'x' is read behind it}}
fx.program @read_later(%positions: !ids = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %h = fx.call @aten.neg.default(self = %x) : (!t) -> !t
  %a = fx.site 0/res of %h : !t
  %y = fx.call @aten.add.Tensor(self = %a, other = %x) : (!t, !t) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %b : !t as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// expected-error @+1 {{what is asked for does not depend on it}}
fx.program @apart(%positions: !ids = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %a = fx.site 0/res of %x : !t
  %y = fx.call @aten.neg.default(self = %x) : (!t) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %a, %b : !t, !t as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// What is recorded would be what was written over it.
// expected-error @+1 {{what is read behind it is written in place}}
fx.program @overwritten(%positions: !ids = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %h = fx.call @aten.neg.default(self = %x) : (!t) -> !t
  %g = fx.call @aten.exp.default(self = %x) : (!t) -> !t
  %a = fx.site 0/res of %g : !t
  %y = fx.call @aten.add_.Tensor(self = %h, other = %a) : (!t, !t) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %b : !t as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// A sum over all tokens belongs to no token.
// expected-error @+1 {{which has no row and token}}
fx.program @whole(%positions: !ids = #fx.input<user_input>, %x: !t = #fx.input<user_input>) {
  %h = fx.call @aten.sum.dim_IntList(self = %x, dim = [1], keepdim = true) : (!t) -> tensor<?x1x4xf32, #fx.dims<s0 = 2>>
  %a = fx.site 0/res of %x : !t
  %y = fx.call @aten.add.Tensor(self = %a, other = %h) : (!t, tensor<?x1x4xf32, #fx.dims<s0 = 2>>) -> !t
  %b = fx.site 1/res of %y : !t
  fx.return %b : !t as [#fx.output<user_output>]
}
