// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(steer-tabulate-plans{min-policies=3},fx.program(cse))' | FileCheck %s
// Markers and ramps of policies of one form are data of the row's plan.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
steer.plan @plan0 []
steer.plan @plan1 []
steer.plan @plan2 []
steer.knob @knob0 default 1.0

!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>
!p = tensor<?xi64>
!n = tensor<?x?xi64>
!h = tensor<3x65xi64>

// Each has markers of the same kinds and a ramp; begins, ids and numbers differ. What nobody has is left out: no table
// says where spans close a scope, and only those that decay do.
// CHECK-LABEL: fx.program @different(
// CHECK: %[[S:.*]] = steer.slot %plan in [1, 2, 3]
// CHECK: %[[AFTER:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}-2, -2], [5, -2], [6, 7], [5, -2]]> : tensor<4x2xi64>
// CHECK-NEXT: %[[FROM:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0], [0], [2], [0]]> : tensor<4x1xi64>
// CHECK-NEXT: %[[FIRST:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}-1099511627776], [-1099511627776], [-1], [0]]> : tensor<4x1xi64>
// CHECK-NEXT: %[[OVER:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}1.000000e+00], [8.000000e+00], [1.000000e+00], [1.000000e+00]]> : tensor<4x1xf32>
// CHECK-NEXT: %[[HALF:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0x7F800000], [0x7F800000], [4.000000e+00], [2.000000e+00]]> : tensor<4x1xf32>
// CHECK-NEXT: %[[RAMP:.*]] = steer.row_ramp %positions, %length in %h : tensor<3x65xi64> from %[[FROM]] : tensor<?x1x1xi64> first %[[FIRST]] : tensor<?x1x1xi64> after %[[AFTER]] : tensor<?x1x2xi64> over %[[OVER]] : tensor<?x1x1xf32> half %[[HALF]] : tensor<?x1x1xf32>
// CHECK-NEXT: %[[TIMES:.*]] = steer.product %k, %[[RAMP]] : tensor<?x1x1xf32>, tensor<?x?x1xf32>
// CHECK: %[[M:.*]] = steer.row_marked %positions in %h after %[[AFTER]] : tensor<?x1x2xi64>
// CHECK: steer.patch
// CHECK-NEXT: ^bb0
// CHECK-NEXT: %[[G:.*]] = steer.all %{{.*}}, %[[M]]
// CHECK: steer.row_strength %{{.*}} times %[[TIMES]] : tensor<?x?x1xf32> where %[[G]]
fx.program @different(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %positions: !n = #fx.input<user_input>,
    %length: !p = #fx.input<user_input>, %h: !h = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %m5 = steer.marked %positions in %h <after = [5]> : !n, !h
  %m67 = steer.marked %positions in %h <after = [6, 7]> : !n, !h
  %g0 = steer.all %p0, %m5 : !r, !g
  %g1 = steer.all %p1, %m67 : !r, !g
  %g2 = steer.all %p2, %m5 : !r, !g
  %r0 = steer.ramp %positions, %length in %h <markers = <after = [5]>, over = 8> : !n, !p, !h
  %r1 = steer.ramp %positions, %length in %h <set = sampled, from = 2, markers = <after = [6, 7]>, half = 4.0> : !n, !p, !h
  %r2 = steer.ramp %positions, %length in %h <set = generated, markers = <after = [5]>, half = 2.0> : !n, !p, !h
  %t0 = steer.product %k, %r0 : !k, !s
  %t1 = steer.product %k, %r1 : !k, !s
  %t2 = steer.product %k, %r2 : !k, !s
  %y = steer.patch %x at <0/res> {
  ^bb0(%b: !x):
    %s0 = steer.strength 1.0 times %t0 : !s where %g0 : !g
    %s1 = steer.strength 2.0 times %t1 : !s where %g1 : !g
    %s2 = steer.strength 3.0 times %t2 : !s where %g2 : !g
    %z = steer.write %b, %s0, %s1, %s2 along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>] : !x, !s, !s, !s
    steer.yield %z : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Edits of activations: the share is of what they change, beside the scale of a normalised dictionary. What all plans
// have in common is looked up by nobody.
// CHECK-LABEL: fx.program @same(
// CHECK-NOT: steer.row_marked
// CHECK-NOT: steer.row_ramp
// CHECK: steer.patch
// CHECK: %[[SCALE:.*]] = steer.input_scale
// CHECK: %[[BOTH:.*]] = steer.product %[[SCALE]], %{{.*}} : tensor<?x?x1xf32>, tensor<?x?x1xf32>
// CHECK: steer.row_set
// CHECK: steer.delta %{{.*}} where %{{.*}} scaled by %[[BOTH]]
fx.program @same(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %positions: !n = #fx.input<user_input>,
    %length: !p = #fx.input<user_input>, %h: !h = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %m = steer.marked %positions in %h <opens = [5], closes = [6]> : !n, !h
  %g0 = steer.all %p0, %m : !r, !g
  %g1 = steer.all %p1, %m : !r, !g
  %g2 = steer.all %p2, %m : !r, !g
  %r = steer.ramp %positions, %length in %h <markers = <opens = [5], closes = [6]>, over = 8> : !n, !p, !h
  %y = steer.patch %x at <0/res> {
  ^bb0(%b: !x):
    %scale = steer.input_scale %b <constant_norm> : !x
    %both = steer.product %scale, %r : !s, !s
    %f0 = steer.read %b of @d [1] activation <relu> size 16 : !x
    %f1 = steer.read %b of @d [2] activation <relu> size 16 : !x
    %f2 = steer.read %b of @d [3] activation <relu> size 16 : !x
    %v0 = steer.set_to %f0 [1.0] : !s
    %v1 = steer.set_to %f1 [2.0] : !s
    %v2 = steer.set_to %f2 [3.0] : !s
    %d0 = steer.delta %f0 to %v0 where %g0 : !g scaled by %both : !s : !s
    %d1 = steer.delta %f1 to %v1 where %g1 : !g scaled by %both : !s : !s
    %d2 = steer.delta %f2 to %v2 where %g2 : !g scaled by %both : !s : !s
    %z = steer.write %b, %d0, %d1, %d2 along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>] : !x, !s, !s, !s
    steer.yield %z : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Scopes that begin in other ways are of other forms, and so are markers of other kinds.
// CHECK-LABEL: fx.program @other(
// CHECK-NOT: steer.slot
// CHECK: fx.return
fx.program @other(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %positions: !n = #fx.input<user_input>,
    %length: !p = #fx.input<user_input>, %h: !h = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %m0 = steer.marked %positions in %h <after = [5]> : !n, !h
  %m1 = steer.marked %positions in %h <until = [5]> : !n, !h
  %g0 = steer.all %p0, %m0 : !r, !g
  %g1 = steer.all %p1, %m1 : !r, !g
  %g2 = steer.all %p2, %m0 : !r, !g
  %r = steer.ramp %positions, %length <over = 8> : !n, !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%b: !x):
    %s0 = steer.strength 1.0 where %g0 : !g
    %s1 = steer.strength 2.0 where %g1 : !g
    %s2 = steer.strength 3.0 times %r : !s where %g2 : !g
    %z = steer.write %b, %s0, %s1, %s2 along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>] : !x, !s, !s, !s
    steer.yield %z : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
