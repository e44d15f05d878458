// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// What the operations of a patch may not be.

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{reads no feature}}
  %0 = steer.read %x of @d [] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x2xf32>' are incompatible with return type(s) of operation 'tensor<?x?x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.read"(%x) <{dictionary = @d, features = array<i64: 4, 2>, activation = #flow.activation<relu>, dictionary_size = 16 : i64}> : (tensor<?x?x8xf32>) -> tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{reads feature 16 of a dictionary of 16}}
  %0 = steer.read %x of @d [4, 16] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{reads feature -1 of a dictionary of 16}}
  %0 = steer.read %x of @d [-1, 3] activation <relu> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%dyn: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.read %dyn of @d [1, 3] activation <relu> size 16 : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{keeps 17 features of 16}}
  %0 = steer.read %x of @d [1, 3] activation <topk, 17> size 16 : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{gathers activations, which nothing is done to}}
  %0 = steer.read %x of @d [1, 3] activation <relu> size 8 gather : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{gathers activations, which nothing is done to}}
  %0 = steer.read %x of @d [1, 3] activation <identity> normalization <layer_norm> size 8 gather : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{gathers from 8 columns for a dictionary of 16}}
  %0 = steer.read %x of @d [1, 3] activation <identity> size 16 gather : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x2xf32>' are incompatible with return type(s) of operation 'tensor<?x?x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.pick"(%f) <{columns = array<i64: 0, 1>}> : (tensor<?x?x2xf32>) -> tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{picks column 2 of 2}}
  %0 = steer.pick %f [2] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{picks column -1 of 2}}
  %0 = steer.pick %f [-1] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{is for normalised dictionaries}}
  %0 = steer.input_scale %x <none> : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 3 numbers for 2 features}}
  %0 = steer.set_to %f [1.0, 2.0, 3.0] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a number that is not finite}}
  %0 = steer.set_to %f [0x7FF0000000000000] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 0 numbers for 2 features}}
  %0 = steer.scale_by %f [] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a number that is not finite}}
  %0 = steer.scale_by %f [0x7FF8000000000000] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has no bound}}
  %0 = steer.clamp_to %f : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a min above its max}}
  %0 = steer.clamp_to %f min 2.0 max 1.0 : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a bound that is no number}}
  %0 = steer.clamp_to %f min 0x7FF8000000000000 : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{has a number that is not finite}}
  %0 = steer.strength 0x7FF0000000000000 where %g : tensor<?x?x1xi1>
  fx.return []
}

// -----

fx.program @main(%g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{inferred type(s) 'tensor<?x?x1xf32>' are incompatible with return type(s) of operation 'tensor<?x?x2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "steer.strength"(%g) <{value = 1.0 : f64, operandSegmentSizes = array<i32: 0, 1>}> : (tensor<?x?x1xi1>) -> tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %wide: tensor<?x?x2xi1> = #fx.input<user_input>) {
  // expected-error @below {{must be 2D/3D tensor of 1-bit signless integer values, one a token, but got 'tensor<?x?x2xi1>'}}
  %0 = steer.delta %f to %f where %wide : tensor<?x?x2xi1> : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{must be 2D/3D tensor of 32-bit float values, one a token, but got 'tensor<?x?x2xf32>'}}
  %0 = steer.compare %f above 1.0 : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has nothing to compare with}}
  %0 = steer.compare %s : tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 1 coefficients along 0 sets of rows}}
  %0 = steer.write %x, %f along [] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 1 coefficients along 2 rows}}
  %0 = steer.write %x, %s along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects recipes with a known number of rows, got 3 : i64}}
  %0 = steer.write %x, %s along [3] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects recipes with a known number of rows, got #flow.rows<decoder of @d[]>}}
  %0 = steer.write %x, %f along [#flow.rows<decoder of @d[]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %dyn: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.write %dyn, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x?xf32>, tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects an orthonormal basis, got #flow.rows<decoder of @d[]>}}
  %0 = steer.project %x out of [#flow.rows<decoder of @d[]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects an orthonormal basis, got #flow.rows<decoder of @d[4]>}}
  %0 = steer.project %x out of [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>
  fx.return []
}

// -----

fx.program @main(%dyn: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.project %dyn out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%double: tensor<?x?x8xf64> = #fx.input<user_input>) {
  // expected-error @below {{must be 2D/3D tensor of 16-bit float or bfloat16 type or 32-bit float values, but got 'tensor<?x?x8xf64>'}}
  %0 = steer.project %double out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf64>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{names 1 features for 2 columns}}
  steer.record %f as "r" [#flow.feature<@sae:1/res/4>] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{names 1 policies for 2 edits}}
  steer.count %f, %g as ["a"] at <1/res> in %g : tensor<?x?x1xi1> : tensor<?x?x2xf32>, tensor<?x?x1xi1>
  fx.return []
}

// -----

fx.program @main(%g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  // expected-error @below {{counts no edit}}
  "steer.count"(%g) <{policies = [], site = #flow.site<1/res>}> : (tensor<?x?x1xi1>) -> ()
  fx.return []
}

// -----

fx.program @main(%s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects features, got 3 : i64}}
  steer.record %s as "r" [3] : tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{expects plans from 0 on}}
  %0 = steer.in_plans %plan [-1, 0] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{expects plans in ascending order, each once}}
  %0 = steer.in_plans %plan [1, 0] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{expects plans in ascending order, each once}}
  %0 = steer.in_plans %plan [1, 1] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{joins no gate}}
  %0 = "steer.all"() : () -> tensor<?x?x1xi1>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{joins no gate}}
  %0 = "steer.any"() : () -> tensor<?x?x1xi1>
  fx.return []
}

// -----

fx.program @main(%knobs: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{takes column 2 of 2 knobs}}
  %0 = steer.knob_value %knobs 2 : tensor<?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{picks no column}}
  %0 = steer.pick %f [] : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @main(%f: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a static number of columns}}
  %0 = steer.pick %f [0] : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  %0 = steer.input_scale %x <layer_norm> : tensor<?x?x?xf32>
  fx.return []
}

// -----

fx.program @main(%s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{compares with what is no number}}
  %0 = steer.compare %s below 0x7FF8000000000000 : tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x?x?xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects a value of static width}}
  steer.record_value %x of <1/res> as "r" : tensor<?x?x?xf32>
  fx.return []
}

// -----

// expected-error@below {{fixes knob 'k' at 2 : i32, which is no number of f32}}
steer.plan @one [] fixed {k = 2 : i32}

// -----

fx.program @main() {
  // expected-error@below {{expects true or false for gates and a number of f32 for knobs, not true for 'tensor<?x1x1xf32>'}}
  %0 = steer.constant true -> tensor<?x1x1xf32>
  fx.return [] 
}

// -----

fx.program @main() {
  // expected-error@below {{is not a finite number}}
  %0 = steer.constant 0x7F800000 : f32 -> tensor<?x1x1xf32>
  fx.return []
}
