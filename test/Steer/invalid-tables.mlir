// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics
// What the verifiers of operations on tables reject.

// One more, or one fewer, would be another plan's.
steer.plan @one []
fx.program @other_plans(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.slot' op has 2 entries for a module that declares 1 plans}}
  %s = steer.slot %plan in [0, 1] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @no_plan(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.slot' op has no plan}}
  %s = steer.slot %plan in [] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @negative(%plan: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.slot' op expects rows of tables, from 0 on, got -1}}
  %s = steer.slot %plan in [0, -1] : tensor<?xi64>
  fx.return []
}

// -----

fx.program @short_table(%plan: tensor<?xi64> = #fx.input<user_input>) {
  %s = steer.slot %plan in [1, 2] : tensor<?xi64>
  // expected-error@+1 {{'steer.lookup' op looks up row 2 of 2}}
  %t = steer.lookup %s : tensor<?xi64> in dense<[[0], [1]]> : tensor<2x1xi64>
  fx.return []
}

// -----

fx.program @list(%s: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.lookup' op expects a table of rows and columns}}
  %t = steer.lookup %s : tensor<?xi64> in dense<[0, 1]> : tensor<2xi64>
  fx.return []
}

// -----

fx.program @small_numbers(%s: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.lookup' op result #0 must be 3D tensor}}
  %t = steer.lookup %s : tensor<?xi64> in dense<[[0], [1]]> : tensor<2x1xi32>
  fx.return []
}

// -----

fx.program @feature_of_none(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %r = steer.lookup %s : tensor<?xi64> in dense<[[0], [2]]> : tensor<2x1xi64>
  // expected-error@+1 {{'steer.row_read' op takes feature 2 of 2}}
  %f = steer.row_read %x at %r of @d [3, 4] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @outside(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op reads feature 16 of a dictionary of 16}}
  %f = steer.row_read %x at %r of @d [16] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @nothing_read(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op reads no feature}}
  %f = steer.row_read %x at %r of @d [] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @gathered(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op gathers from 8 columns for a dictionary of 16}}
  %f = steer.row_read %x at %r of @d [3] activation <identity> size 16 gather : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @top(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op keeps 32 features of 16}}
  %f = steer.row_read %x at %r of @d [3] activation <topk, 32> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @too_many(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x17xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op reads 17 features a row of 16}}
  %f = steer.row_read %x at %r of @d [3] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x17xi64>
  fx.return []
}

// -----

fx.program @other_batch(%x: tensor<3x?x8xf32> = #fx.input<user_input>, %r: tensor<4x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op has a lookup of type 'tensor<4x1x1xi64>' that does not fit the tokens of 'tensor<3x?x8xf32>'}}
  %f = steer.row_read %x at %r of @d [3] activation <relu> size 16 : tensor<3x?x8xf32>, tensor<4x1x1xi64>
  fx.return []
}

// -----

fx.program @per_token(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x?x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op operand #1 must be 3D tensor of 64-bit signless integer values, some a row}}
  %f = steer.row_read %x at %r of @d [3] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x?x1xi64>
  fx.return []
}

// -----

fx.program @few_numbers(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %n: tensor<?x1x3xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_set' op has 3 numbers for 2 features}}
  %v = steer.row_set %f to %n : tensor<?x?x2xf32>, tensor<?x1x3xf32>
  fx.return []
}

// -----

fx.program @infinite(%f: tensor<?x?x1xf32> = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [0x7F800000]]> : tensor<2x1xf32>
  // expected-error@+1 {{'steer.row_scale' op has a number that is not finite}}
  %v = steer.row_scale %f by %n : tensor<?x?x1xf32>, tensor<?x1x1xf32>
  fx.return []
}

// -----

fx.program @boundless(%f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_clamp' op has no bound}}
  %v = steer.row_clamp %f : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @few_bounds(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %n: tensor<?x1x1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_clamp' op has 1 bounds for 2 features}}
  %v = steer.row_clamp %f max %n : tensor<?x1x1xf32> : tensor<?x?x2xf32>
  fx.return []
}

// -----

fx.program @few_flags(%f: tensor<?x?x2xf32> = #fx.input<user_input>, %n: tensor<?x1x1xi1> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_keep' op has 1 flags for 2 features}}
  %v = steer.row_keep %f where %n : tensor<?x?x2xf32>, tensor<?x1x1xi1>
  fx.return []
}

// -----

fx.program @two_strengths(%n: tensor<?x1x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_strength' op has 2 numbers a row}}
  %v = steer.row_strength %n : tensor<?x1x2xf32>
  fx.return []
}

// -----

fx.program @directions(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x2xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_write' op has 2 coefficients along 1 directions}}
  %y = steer.row_write %x, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @unknown_directions(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x1xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_write' op expects a known number of directions}}
  %y = steer.row_write %x, %c at %r along [#flow.rows<decoder of @d[]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @missing_direction(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x1xf32> = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %r = steer.lookup %s : tensor<?xi64> in dense<[[0], [1]]> : tensor<2x1xi64>
  // expected-error@+1 {{'steer.row_write' op takes direction 1 of 1}}
  %y = steer.row_write %x, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @projected_flags(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>, %n: tensor<?x1x2xi1> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_project' op has 2 flags for 1 directions}}
  %y = steer.row_project %x out of [#flow.basis<#flow.rows<decoder of @d[3]>>] at %r columns %n : tensor<?x1x2xi1> : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @no_tokens(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_tokens' op says nothing about tokens}}
  %t = steer.row_tokens %positions, %length : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @two_ends(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %b: tensor<?x1x2xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_tokens' op has 2 bounds a row}}
  %t = steer.row_tokens %positions, %length to %b : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @no_threshold(%f: tensor<?x?x1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_compare' op has nothing to compare with}}
  %g = steer.row_compare %f : tensor<?x?x1xf32>
  fx.return []
}

// -----

fx.program @no_knob(%knobs: tensor<?x2xf32> = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %c = steer.lookup %s : tensor<?xi64> in dense<[[0], [2]]> : tensor<2x1xi64>
  // expected-error@+1 {{'steer.row_knob' op takes knob 2 of 2}}
  %k = steer.row_knob %knobs at %c : tensor<?x2xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

// Rows of tables are written before projections, and read before they are written.
fx.program @order(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x1xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %p = steer.row_project %h out of [#flow.basis<#flow.rows<decoder of @d[3]>>] at %r : tensor<?x?x8xf32>, tensor<?x1x1xi64>
    // expected-error@+1 {{'steer.row_write' op is out of order: a site writes, then projects, then rescales}}
    %w = steer.row_write %p, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x1x1xi64>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

fx.program @late_read(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x1xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.row_write %h, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x1x1xi64>
    // expected-error@+1 {{'steer.row_read' op sees a value that this site has edited}}
    %f = steer.row_read %w at %r of @d [3] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

fx.program @no_dictionary(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{there is no dictionary @d}}
  %f = steer.row_read %x at %r of @d [3] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu>
fx.program @other_activation(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_read' op does not encode as @d does}}
  %f = steer.row_read %x at %r of @d [3] activation <relu> size 16 : tensor<?x?x8xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 9 activation <relu>
fx.program @other_width(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %c: tensor<?x?x1xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_write' op has a value of width 8, but rows of @d have 9 numbers}}
  %y = steer.row_write %x, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x1x1xi64>
  fx.return []
}

// -----

fx.program @flattened(%x: tensor<?x8xf32> = #fx.input<user_input>, %c: tensor<?x1xf32> = #fx.input<user_input>, %r: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{'steer.row_write' op has a lookup of type 'tensor<?x1x1xi64>' that does not fit the tokens of 'tensor<?x8xf32>'}}
  %y = steer.row_write %x, %c at %r along [#flow.rows<decoder of @d[3]>] : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1x1xi64>
  fx.return []
}
