// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx))' -verify-diagnostics -split-input-file
// What earlier passes have to do is not done here.

// Reads are decomposed first.
flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{failed to legalize operation 'steer.read'}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

// Values are widened first.
flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{failed to legalize operation 'steer.write'}}
  %0 = steer.write %x, %s along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xbf16>, tensor<?x?x1xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{failed to legalize operation 'steer.project'}}
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4]>>] : tensor<?x?x8xbf16>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>, %z: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{failed to legalize operation 'steer.rescale'}}
  %0 = steer.rescale %x like %z : tensor<?x?x8xbf16>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf16> = #fx.input<user_input>) {
  // expected-error @below {{failed to legalize operation 'steer.input_scale'}}
  %0 = steer.input_scale %x <layer_norm> : tensor<?x?x8xf16>
  fx.return []
}
