// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// The rules of a site.

// A read after a write.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %w = steer.write %h, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %e = steer.read %w of @d [1] activation <relu> size 16 : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A read after a project.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %w = steer.project %h out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf32>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %e = steer.read %w of @d [1] activation <relu> size 16 : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A read after a rescale.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %w = steer.rescale %h like %h : tensor<?x?x8xf32>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %e = steer.read %w of @d [1] activation <relu> size 16 : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A write after a projection.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %p = steer.project %h out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf32>
    // expected-error @below {{is out of order: a site writes, then projects, then rescales}}
    %w = steer.write %p, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A write after a norm.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %p = steer.rescale %h like %h : tensor<?x?x8xf32>
    // expected-error @below {{is out of order: a site writes, then projects, then rescales}}
    %w = steer.write %p, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A projection after a norm.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %p = steer.rescale %h like %h : tensor<?x?x8xf32>
    // expected-error @below {{is out of order: a site writes, then projects, then rescales}}
    %w = steer.project %p out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Two norms.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %p = steer.rescale %h like %h : tensor<?x?x8xf32>
    // expected-error @below {{is out of order: a site writes, then projects, then rescales}}
    %w = steer.rescale %p like %h : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Two writes.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %p = steer.write %h, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    // expected-error @below {{is out of order: a site writes, then projects, then rescales}}
    %w = steer.write %p, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Several projections are fine.
flow.dictionary @d of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %w = steer.write %h, %f along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf32>
    %q = steer.project %p out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : tensor<?x?x8xf32>
    %r = steer.rescale %q like %h : tensor<?x?x8xf32>
    steer.yield %r : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Two edits of feature 2, without gates.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @d [2, 3] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %vf : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %b = steer.delta %e to %ve : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// In plans they share.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  %i = steer.in_plans %plan [0, 1] : tensor<?xi64>
  %j = steer.in_plans %plan [1, 2] : tensor<?xi64>
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @d [2, 3] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %vf where %i : tensor<?x1x1xi1> : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %b = steer.delta %e to %ve where %j : tensor<?x1x1xi1> : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// In plans of their own: fine.
flow.dictionary @d of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <relu>
steer.plan @a []
steer.plan @b []
steer.plan @c []
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  %i = steer.in_plans %plan [0, 1] : tensor<?xi64>
  %j = steer.in_plans %plan [2] : tensor<?xi64>
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @d [2, 3] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    %a = steer.delta %f to %vf where %i : tensor<?x1x1xi1> : tensor<?x?x2xf32>
    %b = steer.delta %e to %ve where %j : tensor<?x1x1xi1> : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Conjunctions are looked through: fine.
flow.dictionary @d of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <relu>
steer.plan @a []
steer.plan @b []
steer.plan @c []
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  %i = steer.in_plans %plan [0] : tensor<?xi64>
  %j = steer.in_plans %plan [2] : tensor<?xi64>
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @d [2, 3] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    %k = steer.all %i, %g : tensor<?x1x1xi1>, tensor<?x?x1xi1>
    %m = steer.all %k, %g : tensor<?x?x1xi1>, tensor<?x?x1xi1>
    %l = steer.all %j, %g : tensor<?x1x1xi1>, tensor<?x?x1xi1>
    %a = steer.delta %f to %vf where %m : tensor<?x?x1xi1> : tensor<?x?x2xf32>
    %b = steer.delta %e to %ve where %l : tensor<?x?x1xi1> : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Conjunctions do not separate plans.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>, %g: tensor<?x?x1xi1> = #fx.input<user_input>) {
  %i = steer.in_plans %plan [0, 2] : tensor<?xi64>
  %j = steer.in_plans %plan [2] : tensor<?xi64>
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @d [2, 3] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    %k = steer.all %i, %g : tensor<?x1x1xi1>, tensor<?x?x1xi1>
    %l = steer.all %j, %g : tensor<?x1x1xi1>, tensor<?x?x1xi1>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %vf where %k : tensor<?x?x1xi1> : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %b = steer.delta %e to %ve where %l : tensor<?x?x1xi1> : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// The same index of another dictionary: fine.
flow.dictionary @d of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <relu>
flow.dictionary @other of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <relu>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %e = steer.read %h of @other [2, 4] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x2xf32>
    %a = steer.delta %f to %vf : tensor<?x?x2xf32>
    %b = steer.delta %e to %ve : tensor<?x?x2xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Columns are followed to their features.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %e = steer.pick %f [1] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x1xf32>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %vf : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %b = steer.delta %e to %ve : tensor<?x?x1xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x1xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// One edit with a feature in two columns.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [2, 2] activation <relu> size 16 : tensor<?x?x8xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d twice}}
    %a = steer.delta %f to %vf : tensor<?x?x2xf32>
    %w = steer.write %h, %a along [#flow.rows<decoder of @d[4, 2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects one block argument of the site's type}}
  %y = steer.patch %x at <res, 3> {
  ^bb0:
    steer.yield %x : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %z: tensor<?x?x4xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects to yield a value of the site's type}}
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    steer.yield %z : tensor<?x?x4xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  // expected-error @below {{expects parent op 'steer.patch'}}
  steer.yield %x : tensor<?x?x8xf32>
}

// -----

// A norm that is taken of an edited value.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.write %h, %s along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[2]>>] : tensor<?x?x8xf32>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %r = steer.rescale %p like %w : tensor<?x?x8xf32>
    steer.yield %r : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A scale of an edited value.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.write %h, %s along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %n = steer.input_scale %w <layer_norm> : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Rounding and widening hide no edit, nor do the steps of a read.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %s: tensor<?x?x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.write %h, %s along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
    %n = steer.round %w to bf16 : tensor<?x?x8xf32>
    %v = steer.widen %n : tensor<?x?x8xbf16>
    // expected-error @below {{sees a value that this site has edited; all reads come before any edit}}
    %z = steer.encode %v of @d [4] size 16 : tensor<?x?x8xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Two edits of a feature whose reads are decomposed; of a TopK dictionary, whose
// activations are picked from all.
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %z = steer.encode %h of @d [] size 16 : tensor<?x?x8xf32>
    %all = steer.activate %z <topk, 3> of @d [] : tensor<?x?x16xf32>
    %f = steer.pick %all [4, 2] : tensor<?x?x16xf32>
    %e = steer.pick %all [2] : tensor<?x?x16xf32>
    %vf = steer.set_to %f [0.0] : tensor<?x?x2xf32>
    %ve = steer.set_to %e [0.0] : tensor<?x?x1xf32>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %vf : tensor<?x?x2xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %b = steer.delta %e to %ve : tensor<?x?x1xf32>
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[2]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x1xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// The second edit holds in one of the first one's plans, the third in a plan of
// its own.
steer.plan @a []
steer.plan @b []
steer.plan @c []
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %i = steer.in_plans %plan [0, 1] : tensor<?xi64>
  %j = steer.in_plans %plan [2] : tensor<?xi64>
  %k = steer.in_plans %plan [1] : tensor<?xi64>
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %f = steer.read %h of @d [2] activation <relu> size 16 : tensor<?x?x8xf32>
    %v = steer.set_to %f [0.0] : tensor<?x?x1xf32>
    // expected-note @below {{the first edit is here}}
    %a = steer.delta %f to %v where %i : tensor<?x1x1xi1> : tensor<?x?x1xf32>
    %b = steer.delta %f to %v where %j : tensor<?x1x1xi1> : tensor<?x?x1xf32>
    // expected-error @below {{edits feature 2 of @d a second time}}
    %c = steer.delta %f to %v where %k : tensor<?x1x1xi1> : tensor<?x?x1xf32>
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[2]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %y : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
