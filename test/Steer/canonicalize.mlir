// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --canonicalize | FileCheck %s
// One pattern a function: what folds, and what looks like it but does not.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: @empty_patch(
// CHECK-NEXT: %x: tensor
// CHECK-NEXT: fx.return %x :
fx.program @empty_patch(%x: !x = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    steer.yield %h : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// A record stays, and reads the value that the patch would have read.
// CHECK-LABEL: @recording_patch
// CHECK-NEXT: %x: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %x of @d
// CHECK-NEXT: steer.record %[[F]] as "r"
// CHECK-NEXT: fx.return %x :
fx.program @recording_patch(%x: !x = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [1] activation <relu> size 16 : !x
    steer.record %f as "r" [#flow.feature<@sae, res, 0, 1>] : !s
    steer.yield %h : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: @editing_patch
// CHECK: steer.patch %x
// CHECK: steer.write
fx.program @editing_patch(%x: !x = #fx.input<user_input>, %c: !s = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[1]>] : !x, !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Every column in its place is the activations themselves.
// CHECK-LABEL: @pick_all
// CHECK: steer.compare %{{.*}} above 1.0
// CHECK: steer.record %f as "all"
fx.program @pick_all(%f: !f = #fx.input<user_input>) {
  %p = steer.pick %f [0, 1] : !f
  %q = steer.pick %p [1] : !f
  %g = steer.compare %q above 1.0 : !s
  steer.record %p as "all" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] where %g : !g : !f
  fx.return []
}

// CHECK-LABEL: @pick_swapped
// CHECK: %[[P:.*]] = steer.pick %f [1, 0]
// CHECK: steer.record %[[P]]
fx.program @pick_swapped(%f: !f = #fx.input<user_input>) {
  %p = steer.pick %f [1, 0] : !f
  steer.record %p as "swapped" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] : !f
  fx.return []
}

// CHECK-LABEL: @pick_of_pick
// CHECK: %[[P:.*]] = steer.pick %f [4, 3] : tensor<?x?x5xf32>
// CHECK: steer.record %[[P]]
fx.program @pick_of_pick(%f: tensor<?x?x5xf32> = #fx.input<user_input>) {
  %p = steer.pick %f [3, 0, 4] : tensor<?x?x5xf32>
  %q = steer.pick %p [2, 0] : tensor<?x?x3xf32>
  steer.record %q as "picked" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] : !f
  fx.return []
}

// CHECK-LABEL: @scale_by_one
// CHECK: steer.record %s as "one"
// CHECK: %[[KNOB:.*]] = steer.scale_by %s [1.000000e+00] times %k
// CHECK: steer.record %[[KNOB]] as "knob"
// CHECK: %[[TWO:.*]] = steer.scale_by %s [2.000000e+00]
// CHECK: steer.record %[[TWO]] as "two"
fx.program @scale_by_one(%s: !s = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %one = steer.scale_by %s [1.0] : !s
  steer.record %one as "one" [#flow.feature<@sae, res, 0, 1>] : !s
  %knob = steer.scale_by %s [1.0] times %k : !k : !s
  steer.record %knob as "knob" [#flow.feature<@sae, res, 0, 1>] : !s
  %two = steer.scale_by %s [2.0] : !s
  steer.record %two as "two" [#flow.feature<@sae, res, 0, 1>] : !s
  fx.return []
}

// CHECK-LABEL: @scale_each
// CHECK: steer.record %f as "ones"
// CHECK: %[[V:.*]] = steer.scale_by %f [1.000000e+00, 2.000000e+00]
// CHECK: steer.record %[[V]] as "mixed"
fx.program @scale_each(%f: !f = #fx.input<user_input>) {
  %ones = steer.scale_by %f [1.0, 1.0] : !f
  steer.record %ones as "ones" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] : !f
  %mixed = steer.scale_by %f [1.0, 2.0] : !f
  steer.record %mixed as "mixed" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] : !f
  fx.return []
}

// Infinite bounds bound nothing, on their own side only.
// CHECK-LABEL: @clamp_to_nothing
// CHECK: steer.record %s as "both"
// CHECK: steer.record %s as "low"
// CHECK: %[[A:.*]] = steer.clamp_to %s min 0.000000e+00 max 0x7FF0000000000000
// CHECK: steer.record %[[A]] as "half"
// CHECK: %[[B:.*]] = steer.clamp_to %s max 0xFFF0000000000000
// CHECK: steer.record %[[B]] as "wrong side"
fx.program @clamp_to_nothing(%s: !s = #fx.input<user_input>) {
  %both = steer.clamp_to %s min 0xFFF0000000000000 max 0x7FF0000000000000 : !s
  steer.record %both as "both" [#flow.feature<@sae, res, 0, 1>] : !s
  %low = steer.clamp_to %s min 0xFFF0000000000000 : !s
  steer.record %low as "low" [#flow.feature<@sae, res, 0, 1>] : !s
  %half = steer.clamp_to %s min 0.0 max 0x7FF0000000000000 : !s
  steer.record %half as "half" [#flow.feature<@sae, res, 0, 1>] : !s
  %wrong = steer.clamp_to %s max 0xFFF0000000000000 : !s
  steer.record %wrong as "wrong side" [#flow.feature<@sae, res, 0, 1>] : !s
  fx.return []
}

// CHECK-LABEL: @write_nothing
// CHECK-NOT: steer.write
// CHECK: fx.return %x :
fx.program @write_nothing(%x: !x = #fx.input<user_input>) {
  %y = steer.write %x along [] : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// What is zero whatever the token is not written: an edit from f to f, an
// addition of strength 0.
// CHECK-LABEL: @write_zeros
// CHECK-NOT: steer.delta
// CHECK: %[[S:.*]] = steer.strength 2.0
// CHECK: steer.write %x, %[[S]] along [#flow.rows<decoder of @d[3]>] : tensor<?x?x8xf32>, tensor<?x?x1xf32>
fx.program @write_zeros(%x: !x = #fx.input<user_input>, %s: !s = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %same = steer.scale_by %s [1.0] : !s
  %delta = steer.delta %s to %same where %g : !g : !s
  %zero = steer.strength 0.0 times %k : !k where %g : !g
  %two = steer.strength 2.0 where %g : !g
  %y = steer.write %x, %delta, %zero, %two along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>] : !x, !s, !s, !s
  fx.return %y : !x as [#fx.output<user_output>]
}

// An edit that does nothing takes its write, its norm and its patch along.
// CHECK-LABEL: @nothing_left
// CHECK-NOT: steer.
// CHECK: fx.return %x :
fx.program @nothing_left(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [1] activation <relu> size 16 : !x
    %v = steer.scale_by %f [1.0] : !s
    %c = steer.delta %f to %v where %g : !g : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[1]>] : !x, !s
    %r = steer.rescale %w like %h where %g : !g : !x
    steer.yield %r : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: @rescale_edited
// CHECK: %[[R:.*]] = steer.rescale %z like %x
// CHECK: fx.return %[[R]]
fx.program @rescale_edited(%x: !x = #fx.input<user_input>, %z: !x = #fx.input<user_input>) {
  %y = steer.rescale %z like %x : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// One gate is its own conjunction and disjunction.
// CHECK-LABEL: @join_one
// CHECK: steer.strength 1.000000e+00 where %g
// CHECK: steer.strength 2.000000e+00 where %g
fx.program @join_one(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  %all = steer.all %g, %g : !g, !g
  %any = steer.any %g : !g
  %a = steer.strength 1.0 where %all : !g
  %b = steer.strength 2.0 where %any : !g
  %y = steer.write %x, %a, %b along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>] : !x, !s, !s
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: @join_two
// CHECK: %[[ALL:.*]] = steer.all %g, %o :
// CHECK: steer.strength 1.000000e+00 where %[[ALL]]
fx.program @join_two(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %o: !g = #fx.input<user_input>) {
  %all = steer.all %g, %o : !g, !g
  %a = steer.strength 1.0 where %all : !g
  %y = steer.write %x, %a along [#flow.rows<decoder of @d[1]>] : !x, !s
  fx.return %y : !x as [#fx.output<user_output>]
}

// A patch whose value nobody uses goes, with all that is computed for it.
// CHECK-LABEL: @dead_patch
// CHECK-NOT: steer.
// CHECK: fx.return %x :
fx.program @dead_patch(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [1] activation <relu> size 16 : !x
    %v = steer.set_to %f [0.0] : !s
    %c = steer.delta %f to %v where %g : !g : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[1]>] : !x, !s
    steer.yield %w : !x
  } : !x
  fx.return %x : !x as [#fx.output<user_output>]
}

// Not if it records: an output of the program is a use.
// CHECK-LABEL: @dead_recording_patch
// CHECK: steer.patch
// CHECK: steer.record
fx.program @dead_recording_patch(%x: !x = #fx.input<user_input>, %c: !s = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [1] activation <relu> size 16 : !x
    steer.record %f as "r" [#flow.feature<@sae, res, 0, 1>] : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[1]>] : !x, !s
    steer.yield %w : !x
  } : !x
  fx.return %x : !x as [#fx.output<user_output>]
}
