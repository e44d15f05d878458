// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// Names that stand for nothing, or for something else.

// expected-error @below {{there is no policy @q}}
steer.plan @a [@q]

// -----

// A name that is something else.
steer.knob @k default 1.0
// expected-error @below {{there is no policy @k}}
steer.plan @a [@k]

// -----

// expected-error @below {{there is no knob @k}}
steer.policy @p #steer.set<1.0> on @f times @k

// -----

// expected-error @below {{there is no knob @p}}
steer.policy @p #steer.set<1.0> on @f times @p

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

steer.plan @d []
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 4 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a size of 16, but @d has 4 features}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x9xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a value of width 9, but @d encodes 8}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x9xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <jumprelu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{does not encode as @d does: activation #flow.activation<jumprelu>, normalization none}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu> normalization <layer_norm>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{does not encode as @d does: activation #flow.activation<relu>, normalization layer_norm}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.write %x, %s along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

// Recipes are looked through.
flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @e}}
  %0 = steer.write %x, %s along [#flow.sum<[1.0, 2.0] * #flow.concat<[#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @e[4]>]>>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{uses feature 16 of @d, which has 16}}
  %0 = steer.write %x, %s along [#flow.rows<decoder of @d[16]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x9xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a value of width 9, but rows of @d have 8 numbers}}
  %0 = steer.write %x, %s along [#flow.rows<decoder of @d[1]>] : tensor<?x?x9xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4]>>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x9xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a value of width 9, but rows of @d have 8 numbers}}
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4]>>] : tensor<?x?x9xf32>
  fx.return []
}

// -----

// Plans and knobs are counted in the order of their declaration.
steer.plan @a []
steer.plan @b []
fx.program @main(%p: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{holds in plan 2 of a module that declares 2}}
  %0 = steer.in_plans %p [0, 2] : tensor<?xi64>
  fx.return []
}

// -----

steer.plan @a []
fx.program @main(%p: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.in_plans %p [0] : tensor<?xi64>
  // expected-error @below {{holds in plan 1 of a module that declares 1}}
  %1 = steer.in_plans %p [0, 1] : tensor<?xi64>
  %2 = steer.in_plans %p [] : tensor<?xi64>
  fx.return []
}

// -----

steer.knob @k default 1.0
fx.program @main(%k: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{takes knob 1 of a module that declares 1}}
  %0 = steer.knob_value %k 1 : tensor<?x2xf32>
  fx.return []
}

// -----

fx.program @main(%k: tensor<?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{takes knob 0 of a module that declares 0}}
  %0 = steer.knob_value %k 0 : tensor<?x?xf32>
  fx.return []
}
