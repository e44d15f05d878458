// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a decoder row for every feature, got #flow.rows<decoder of @a[1]>}}
  %0 = steer.reconstruct %x of @a activation <relu> size 16 along [#flow.rows<decoder of @a[1]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects the bias of a decoder, got #flow.rows<encoder_bias of @a[]>}}
  %0 = steer.reconstruct %x of @a activation <relu> size 16 along [#flow.rows<decoder of @a[]>] plus [#flow.rows<encoder_bias of @a[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{does not encode as @a does: activation #flow.activation<relu>, normalization none}}
  %0 = steer.reconstruct %x of @a activation <jumprelu> size 16 along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @b of @sae at <2/res> reads <2/res> features 12 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 16 activations for the 12 features of @b}}
  %0 = steer.reconstruct %x of @a activation <relu> size 16 along [#flow.rows<decoder of @b[]>] plus [#flow.rows<decoder_bias of @b[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @w of @sae at <2/res> reads <2/res> features 16 width 6 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a value of width 8, but rows of @w have 6 numbers}}
  %0 = steer.reconstruct %x of @a activation <relu> size 16 along [#flow.carried<@a -> @w by <"sha256:0000000000000000000000000000000000000000000000000000000000000000">>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @a}}
  %0 = steer.reconstruct %x of @a activation <relu> size 16 along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
fx.program @main(%f: tensor<?x?x12xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 12 activations for the 16 features of @a}}
  %0 = steer.decode %f along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x12xf32> -> tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
fx.program @main(%f: tensor<?x?x16xf32> = #fx.input<user_input>) {
  // expected-error @below {{which has other tokens}}
  %0 = steer.decode %f along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x16xf32> -> tensor<?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{is for normalised dictionaries}}
  %0 = steer.denormalize %x like %x <none> : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x4x8xf32> = #fx.input<user_input>, %g: tensor<?x5x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{gate}}
  %0 = steer.choose %x where %g : tensor<?x5x1xi1> else %x at <2/res> : tensor<?x4x8xf32>
  fx.return []
}

// -----

%n = flow.select []
// expected-error @below {{expects layers in ascending order from 1 on, got 0 to 3}}
steer.policy @p #steer.substitute<0 to 3> on %n

// -----

%n = flow.select []
// expected-error @below {{a quantile is one of a match, which a bridge has}}
steer.policy @p #steer.substitute<1 to 3 quantile = 0.5> on %n
