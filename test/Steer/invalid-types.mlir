// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// Types that do not follow from what an operation is made of, and operands that
// are not of the same tokens.

// A gate of 3x1x1 made from two of ?x1x1.
fx.program @main(%g: tensor<?x1x1xi1> = #fx.input<user_input>, %o: tensor<?x1x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x1x1xi1>' are incompatible with return type(s) of operation 'tensor<3x1x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.all"(%g, %o) : (tensor<?x1x1xi1>, tensor<?x1x1xi1>) -> tensor<3x1x1xi1>
  fx.return []
}

// -----

// A gate that is broadcast is another gate.
fx.program @main(%g: tensor<?x1x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x1x1xi1>' are incompatible with return type(s) of operation 'tensor<?x?x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.any"(%g) : (tensor<?x1x1xi1>) -> tensor<?x?x1xi1>
  fx.return []
}

// -----

// Tokens of 9x9x1.
fx.program @main(%p: tensor<?x?xi64> = #fx.input<user_input>, %l: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x1xi1>' are incompatible with return type(s) of operation 'tensor<9x9x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.tokens"(%p, %l) <{scope = #steer.scope<>}> : (tensor<?x?xi64>, tensor<?xi64>) -> tensor<9x9x1xi1>
  fx.return []
}

// -----

// A read of two features typed ?x?x5.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x2xf32>' are incompatible with return type(s) of operation 'tensor<?x?x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.read"(%x) <{dictionary = @d, features = array<i64: 4, 2>, activation = #flow.activation<relu>, dictionary_size = 16 : i64}> : (tensor<?x?x8xf32>) -> tensor<?x?x5xf32>
  fx.return []
}

// -----

// Activations of other tokens.
fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x2xf32>' are incompatible with return type(s) of operation 'tensor<1x?x2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.pick"(%f) <{columns = array<i64: 0, 1>}> : (tensor<?x?x2xf32>) -> tensor<1x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x1xf32>' are incompatible with return type(s) of operation 'tensor<?x1x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.input_scale"(%x) <{normalization = #flow.normalization<layer_norm>}> : (tensor<?x?x8xf32>) -> tensor<?x1x1xf32>
  fx.return []
}

// -----

fx.program @main(%s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x1xi1>' are incompatible with return type(s) of operation 'tensor<?x1x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.compare"(%s) <{above = 1.0 : f64}> : (tensor<?x?x1xf32>) -> tensor<?x1x1xi1>
  fx.return []
}

// -----

fx.program @main(%p: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x1x1xi1>' are incompatible with return type(s) of operation 'tensor<4x1x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.in_plans"(%p) <{plans = array<i64>}> : (tensor<?xi64>) -> tensor<4x1x1xi1>
  fx.return []
}

// -----

// Flattened tokens have no sequence.
fx.program @main(%p: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x1xi1>' are incompatible with return type(s) of operation 'tensor<?x1x1xi1>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.in_plans"(%p) <{plans = array<i64>, flattened}> : (tensor<?xi64>) -> tensor<?x1x1xi1>
  fx.return []
}

// -----

fx.program @main(%k: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x1x1xf32>' are incompatible with return type(s) of operation 'tensor<?x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.knob_value"(%k) <{index = 1 : i64}> : (tensor<?x2xf32>) -> tensor<?x1xf32>
  fx.return []
}

// -----

fx.program @main(%g: tensor<?x?x1xi1> = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x1xf32>' are incompatible with return type(s) of operation 'tensor<?x1x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.strength"(%k, %g) <{value = 1.0 : f64, operandSegmentSizes = array<i32: 1, 1>}> : (tensor<?x1x1xf32>, tensor<?x?x1xi1>) -> tensor<?x1x1xf32>
  fx.return []
}

// -----

// The same for every token: no dimension for them.
fx.program @main() {
  // expected-error @below {{inferred type(s) 'tensor<1xf32>' are incompatible with return type(s) of operation 'tensor<?x?x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.strength"() <{value = 1.0 : f64, operandSegmentSizes = array<i32: 0, 0>}> : () -> tensor<?x?x1xf32>
  fx.return []
}

// -----

// Gates of rows and gates of flattened tokens.
fx.program @main(%g: tensor<?x1x1xi1> = #fx.input<user_input>, %o: tensor<?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{joins 'tensor<?x1x1xi1>' and 'tensor<?x1xi1>', which have different ranks}}
  %0 = steer.all %g, %o : tensor<?x1x1xi1>, tensor<?x1xi1>
  fx.return []
}

// -----

// Gates of two batches.
fx.program @main(%g: tensor<3x1x1xi1> = #fx.input<user_input>, %o: tensor<4x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{joins 'tensor<3x1x1xi1>' and 'tensor<4x?x1xi1>', which cannot be broadcast together}}
  %0 = steer.any %g, %o : tensor<3x1x1xi1>, tensor<4x?x1xi1>
  fx.return []
}

// -----

fx.program @main(%g: tensor<3x1x1xi1> = #fx.input<user_input>, %k: tensor<4x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{joins 'tensor<3x1x1xi1>' and 'tensor<4x1x1xf32>', which cannot be broadcast together}}
  %0 = steer.strength 1.0 times %k : tensor<4x1x1xf32> where %g : tensor<3x1x1xi1>
  fx.return []
}

// -----

fx.program @main(%p: tensor<3x?xi64> = #fx.input<user_input>, %l: tensor<4xi64> = #fx.input<user_input>) {
  // expected-error @below {{has 4 prompt lengths for positions of 3 rows}}
  %0 = steer.tokens %p, %l <> : tensor<3x?xi64>, tensor<4xi64>
  fx.return []
}

// -----

// Gates, knobs and scales of other tokens than what they are for.
fx.program @main(%f: tensor<4x?x2xf32> = #fx.input<user_input>, %g: tensor<3x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a gate of type 'tensor<3x?x1xi1>' that does not fit the tokens of 'tensor<4x?x2xf32>'}}
  %0 = steer.delta %f to %f where %g : tensor<3x?x1xi1> : tensor<4x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x2xf32> = #fx.input<user_input>, %g: tensor<?x1x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a gate of type 'tensor<?x1x1xi1>' that does not fit the tokens of 'tensor<?x2xf32>'}}
  %0 = steer.delta %f to %f where %g : tensor<?x1x1xi1> : tensor<?x2xf32>
  fx.return []
}

// -----

// One row of activations, gates for many.
fx.program @main(%f: tensor<1x5x2xf32> = #fx.input<user_input>, %g: tensor<1x7x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a scale of type 'tensor<1x7x1xf32>' that does not fit the tokens of 'tensor<1x5x2xf32>'}}
  %0 = steer.delta %f to %f scaled by %g : tensor<1x7x1xf32> : tensor<1x5x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %k: tensor<?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a knob of type 'tensor<?x1xf32>' that does not fit the tokens of 'tensor<?x?x2xf32>'}}
  %0 = steer.set_to %f [1.0] times %k : tensor<?x1xf32> : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<3x?x2xf32> = #fx.input<user_input>, %k: tensor<4x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a knob of type 'tensor<4x1x1xf32>' that does not fit the tokens of 'tensor<3x?x2xf32>'}}
  %0 = steer.scale_by %f [1.0] times %k : tensor<4x1x1xf32> : tensor<3x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x8xf32> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a gate of type 'tensor<?x?x1xi1>' that does not fit the tokens of 'tensor<?x8xf32>'}}
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4]>>] where %g : tensor<?x?x1xi1> : tensor<?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<3x?x8xf32> = #fx.input<user_input>, %z: tensor<3x?x8xf32> = #fx.input<user_input>, %g: tensor<4x1x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a gate of type 'tensor<4x1x1xi1>' that does not fit the tokens of 'tensor<3x?x8xf32>'}}
  %0 = steer.rescale %x like %z where %g : tensor<4x1x1xi1> : tensor<3x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<3x?x1xf32> = #fx.input<user_input>, %g: tensor<4x1x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a gate of type 'tensor<4x1x1xi1>' that does not fit the tokens of 'tensor<3x?x1xf32>'}}
  steer.record %f as "r" [#flow.feature<@sae, res, 1, 4>] where %g : tensor<4x1x1xi1> : tensor<3x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<3x?x8xf32> = #fx.input<user_input>, %c: tensor<4x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a coefficient of type 'tensor<4x?x1xf32>' that does not fit the tokens of 'tensor<3x?x8xf32>'}}
  %0 = steer.write %x, %c along [#flow.rows<decoder of @d[4]>] : tensor<3x?x8xf32>, tensor<4x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a coefficient of type 'tensor<?x1xf32>' that does not fit the tokens of 'tensor<?x?x8xf32>'}}
  %0 = steer.write %x, %c along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<2xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects one coefficient where there is no token, got 2}}
  %0 = steer.write %x, %c along [#flow.rows<decoder of @d[4, 5]>] : tensor<?x?x8xf32>, tensor<2xf32>
  fx.return []
}

// -----

// What is no tensor of tokens at all.
fx.program @main(%x: tensor<8xf32> = #fx.input<user_input>) {
  // expected-error @below {{operand #0 must be 2D/3D tensor of 16-bit float or bfloat16 type or 32-bit float values, but got 'tensor<8xf32>'}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<f32> = #fx.input<user_input>) {
  // expected-error @below {{expects a tensor with a last dimension, got 'tensor<f32>'}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<f32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<*xf32> = #fx.input<user_input>) {
  // expected-error @below {{invalid kind of type specified: expected builtin.tensor, but found 'tensor<*xf32>'}}
  %0 = steer.pick %x [4] : tensor<*xf32>
  fx.return []
}

// -----

fx.program @main(%g: tensor<i1> = #fx.input<user_input>) {
  // expected-error @below {{expects a tensor with one number a token, got 'tensor<i1>'}}
  %0 = steer.all %g : tensor<i1>
  fx.return []
}
