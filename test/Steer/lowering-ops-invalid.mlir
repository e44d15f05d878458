// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// What the operations that patches are lowered by may not be.

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{operand #0 must be 2D/3D tensor of 16-bit float or bfloat16 type values, but got 'tensor<?x?x8xf32>'}}
  %0 = steer.widen %x : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{operand #0 must be 2D/3D tensor of 16-bit float or bfloat16 type values, but got 'tensor<8xbf16>'}}
  %0 = steer.widen %x : tensor<8xbf16>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x8xf32>' are incompatible with return type(s) of operation 'tensor<?x4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.widen"(%x) : (tensor<?x?x8xbf16>) -> tensor<?x4x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{attribute 'to' failed to satisfy constraint: type attribute of 16-bit float or bfloat16 type}}
  %0 = steer.round %x to f64 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{operand #0 must be 2D/3D tensor of 32-bit float values, but got 'tensor<?x?x8xbf16>'}}
  %0 = steer.round %x to bf16 : tensor<?x?x8xbf16>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{is for normalised dictionaries}}
  %0 = steer.normalize %x <none> : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.normalize %x <layer_norm> : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{operand #0 must be 2D/3D tensor of 32-bit float values, but got 'tensor<?x?x8xbf16>'}}
  %0 = steer.encode %x of @d [1] size 16 : tensor<?x?x8xbf16>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{encodes feature 16 of a dictionary of 16}}
  %0 = steer.encode %x of @d [4, 16] size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{encodes feature -1 of a dictionary of 16}}
  %0 = steer.encode %x of @d [-1] size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a dictionary of one feature at least}}
  %0 = steer.encode %x of @d [] size 0 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.encode %x of @d [1] size 16 : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.encode %x of @d [1] size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 4 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a size of 16, but @d has 4 features}}
  %0 = steer.encode %x of @d [1] size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x9xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a value of width 9, but @d encodes 8}}
  %0 = steer.encode %x of @d [1] size 16 : tensor<?x?x9xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 2 columns for 1 features}}
  %0 = steer.activate %f <relu> of @d [1] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{keeps the largest of all features, so it lists none}}
  %0 = steer.activate %f <topk, 1> of @d [1, 2] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{keeps 3 features of 2}}
  %0 = steer.activate %f <topk, 3> of @d [] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a static number of columns}}
  %0 = steer.activate %f <relu> of @d [1] : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{there is no dictionary @d}}
  %0 = steer.activate %f <relu> of @d [1, 2] : tensor<?x?x2xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{uses feature 16 of @d, which has 16}}
  %0 = steer.activate %f <relu> of @d [1, 16] : tensor<?x?x2xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <topk, 1>
fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 2 columns for the 16 features of @d}}
  %0 = steer.activate %f <topk, 1> of @d [] : tensor<?x?x2xf32>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu>
fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{does not activate as @d does: #flow.activation<jumprelu>}}
  %0 = steer.activate %f <relu> of @d [1, 2] : tensor<?x?x2xf32>
  fx.return []
}

// -----

func.func @other_width(%y: tensor<?x?x8xf32>, %row: memref<9xf32, strided<[1], offset: ?>>) {
  // expected-error @+1 {{delivers rows of 'tensor<?x?x8xf32>' to a row of another kind, 'memref<9xf32, strided<[1], offset: ?>>'}}
  steer.deliver %y to %row : tensor<?x?x8xf32>, memref<9xf32, strided<[1], offset: ?>>
  return
}

// -----

func.func @other_type(%y: tensor<?x?x8xbf16>, %row: memref<8xf32, strided<[1], offset: ?>>) {
  // expected-error @+1 {{delivers rows of 'tensor<?x?x8xbf16>' to a row of another kind}}
  steer.deliver %y to %row : tensor<?x?x8xbf16>, memref<8xf32, strided<[1], offset: ?>>
  return
}

// -----

func.func @gate_as_bytes(%g: tensor<?x?x1xi1>, %row: memref<1xi8, strided<[1], offset: ?>>) {
  // expected-error @+1 {{delivers rows of 'tensor<?x?x1xi1>' to a row of another kind}}
  steer.deliver %g to %row : tensor<?x?x1xi1>, memref<1xi8, strided<[1], offset: ?>>
  return
}
