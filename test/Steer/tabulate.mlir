// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(steer-tabulate-plans{min-policies=3},fx.program(cse))' | FileCheck %s
// RUN: weir-opt %s --steer-tabulate-plans | FileCheck %s --check-prefix=FEW
// Policies of one form in different plans become rows of tables.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @e of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu>
steer.plan @plan0 []
steer.plan @plan1 []
steer.plan @plan2 []
steer.plan @plan3 []
steer.plan @plan4 []
steer.knob @knob0 default 1.0
steer.knob @knob1 default 1.0

!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
!f = tensor<?x?x2xf32>
!r = tensor<?x1x1xi1>
!g = tensor<?x?x1xi1>
!k = tensor<?x1x1xf32>
!p = tensor<?xi64>

// Fewer than 8 stay as they are, unless more are asked for.
// FEW-NOT: steer.lookup

// Values of features, padded to the widest; a feature of two plans is stored once.
// A policy in two plans is one row. What is of another form stays.
// CHECK-LABEL: fx.program @values(
// CHECK: %[[P1:.*]] = steer.in_plans %plan [1]
// CHECK-NEXT: %[[S:.*]] = steer.slot %plan in [1, 2, 0, 3, 1]
// CHECK-NEXT: %[[ROWS:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0, 0], [0, 0], [1, 0], [2, 0]]> : tensor<4x2xi64>
// CHECK-NEXT: %[[N:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0.000000e+00, 0.000000e+00], [1.000000e+00, 0.000000e+00], [2.000000e+00, 3.000000e+00], [4.000000e+00, 0.000000e+00]]> : tensor<4x2xf32>
// CHECK-NEXT: %[[ON:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}false], [true], [true], [true]]> : tensor<4x1xi1>
// CHECK-NEXT: %[[HAS:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}false, false], [true, false], [true, true], [true, false]]> : tensor<4x2xi1>
// CHECK-NEXT: steer.patch
// CHECK: %[[E:.*]] = steer.delta %{{.*}} to %{{.*}} where %[[P1]]
// CHECK-NEXT: %[[X:.*]] = steer.write %[[H:.*]], %[[E]] along [#flow.rows<decoder of @d[5]>]
// CHECK-NEXT: %[[F:.*]] = steer.row_read %[[H]] at %[[ROWS]] of @d [4, 7, 5] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.row_set %[[F]] to %[[N]]
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where %[[ON]]
// CHECK-NEXT: %[[C:.*]] = steer.row_keep %[[D]] where %[[HAS]]
// CHECK-NEXT: %[[Y:.*]] = steer.row_write %[[X]], %[[C]] at %[[ROWS]] along [#flow.rows<decoder of @d[4, 7, 5]>]
// CHECK-NEXT: steer.yield %[[Y]]
fx.program @values(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0, 4] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [3] : !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %a = steer.read %h of @d [4] activation <relu> size 16 : !x
    %av = steer.set_to %a [1.0] : !s
    %ad = steer.delta %a to %av where %p0 : !r : !s
    %b = steer.read %h of @d [7, 4] activation <relu> size 16 : !x
    %bv = steer.set_to %b [2.0, 3.0] : !f
    %bd = steer.delta %b to %bv where %p1 : !r : !f
    %c = steer.read %h of @d [5] activation <relu> size 16 : !x
    %cv = steer.set_to %c [4.0] : !s
    %cd = steer.delta %c to %cv where %p2 : !r : !s
    %e = steer.scale_by %c [0.5] : !s
    %ed = steer.delta %c to %e where %p1 : !r : !s
    %w = steer.write %h, %ad, %bd, %cd, %ed along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[7, 4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[5]>] : !x, !s, !f, !s, !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Additions: one direction a plan. Two of one plan are summed as steer-merge sums
// them; one alone keeps its strength, so that plans share its direction.
// CHECK-LABEL: fx.program @additions(
// CHECK: %[[S:.*]] = steer.slot %plan in [1, 2, 3, 0, 0]
// CHECK-NEXT: %[[COLUMN:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0], [0], [1], [0]]>
// CHECK-NEXT: %[[K:.*]] = steer.row_knob %knobs at %[[COLUMN]]
// CHECK-NEXT: %[[ON:.*]] = steer.lookup %[[S]]
// CHECK-NEXT: %[[FROM:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}-9223372036854775808], [0], [0], [2]]>
// CHECK-NEXT: %[[TO:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}9223372036854775807], [9223372036854775807], [9], [9223372036854775807]]>
// CHECK-NEXT: %[[FIRST:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{.*}}, [-1], {{.*}}]>
// CHECK-NEXT: %[[LAST:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}9223372036854775807], [-1], [-1], [9223372036854775807]]>
// CHECK-NEXT: %[[TOKENS:.*]] = steer.row_tokens %positions, %length from %[[FROM]] : tensor<?x1x1xi64> to %[[TO]] : tensor<?x1x1xi64> first %[[FIRST]] : tensor<?x1x1xi64> last %[[LAST]] : tensor<?x1x1xi64>
// CHECK-NEXT: %[[N:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0.000000e+00], [2.000000e+00], [3.000000e+00], [1.000000e+00]]>
// CHECK-NEXT: %[[ROWS:.*]] = steer.lookup %[[S]] : tensor<?xi64> in dense<{{\[\[}}0], [0], [0], [1]]>
// CHECK: %[[G:.*]] = steer.all %[[ON]], %[[TOKENS]]
// CHECK-NEXT: %[[C:.*]] = steer.row_strength %[[N]] times %[[K]] : tensor<?x1x1xf32> where %[[G]]
// CHECK-NEXT: steer.row_write %{{.*}}, %[[C]] at %[[ROWS]] along [#flow.concat<[#flow.rows<decoder of @d[4]>, #flow.sum<[4.000000e+00, 5.000000e+00] * #flow.concat<[#flow.rows<decoder of @d[6]>, #flow.rows<unit_decoder of @d[7]>]>>]>]
fx.program @additions(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %knobs: tensor<?x2xf32> = #fx.input<user_input>,
    %positions: tensor<?x?xi64> = #fx.input<user_input>, %length: !p = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %k0 = steer.knob_value %knobs 0 : tensor<?x2xf32>
  %k1 = steer.knob_value %knobs 1 : tensor<?x2xf32>
  %t0 = steer.tokens %positions, %length <set = prompt> : tensor<?x?xi64>, !p
  %t1 = steer.tokens %positions, %length <set = last, to = 9> : tensor<?x?xi64>, !p
  %t2 = steer.tokens %positions, %length <skip_first = 2> : tensor<?x?xi64>, !p
  %g0 = steer.all %p0, %t0 : !r, !g
  %g1 = steer.all %p1, %t1 : !r, !g
  %g2 = steer.all %p2, %t2 : !r, !g
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %a = steer.strength 2.0 times %k0 : !k where %g0 : !g
    %b = steer.strength 3.0 times %k1 : !k where %g1 : !g
    %c = steer.strength 4.0 times %k0 : !k where %g2 : !g
    %d = steer.strength 5.0 times %k0 : !k where %g2 : !g
    %w = steer.write %h, %a, %b, %c, %d along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[6]>, #flow.rows<unit_decoder of @d[7]>] : !x, !s, !s, !s, !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Conditions of one shape: features and thresholds are looked up, here and at an
// earlier site, where other sites share it. What all have is not.
// CHECK-LABEL: fx.program @conditions(
// CHECK: %[[ON:.*]] = steer.lookup {{.*}} : tensor<4x1xi1>
// CHECK-NEXT: %[[AT:.*]] = steer.lookup %{{.*}} in dense<{{\[\[}}0], [0], [1], [1]]>
// CHECK-NEXT: %[[Z:.*]] = steer.row_read %z at %[[AT]] of @e [1, 2] activation <jumprelu>
// CHECK-NEXT: %[[T:.*]] = steer.lookup %{{.*}} in dense<{{\[\[}}0.000000e+00], [5.000000e-01], [2.500000e-01], [2.000000e+00]]>
// CHECK-NEXT: %[[ABOVE:.*]] = steer.row_compare %[[Z]] above %[[T]]
// CHECK: steer.patch
// CHECK: %[[O:.*]] = steer.read %{{.*}} of @d [9]
// CHECK-NEXT: %[[SHARED:.*]] = steer.compare %[[O]] below
// CHECK-NEXT: %[[ANY:.*]] = steer.any %[[ABOVE]], %[[SHARED]]
// CHECK-NEXT: %[[G:.*]] = steer.all %[[ON]], %[[ANY]]
// CHECK-NEXT: steer.row_strength %{{.*}} where %[[G]]
// CHECK-NEXT: steer.row_write
// CHECK-NEXT: steer.yield
fx.program @conditions(%x: !x = #fx.input<user_input>, %z: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %z0 = steer.read %z of @e [1] activation <jumprelu> size 16 : !x
  %z1 = steer.read %z of @e [2] activation <jumprelu> size 16 : !x
  %y = steer.patch %x at <1/res> {
  ^bb0(%h: !x):
    %o = steer.read %h of @d [9] activation <relu> size 16 : !x
    %shared = steer.compare %o below 1.0 : !s
    %c0 = steer.compare %z0 above 0.5 : !s
    %c1 = steer.compare %z1 above 0.25 : !s
    %c2 = steer.compare %z1 above 2.0 : !s
    %w0 = steer.any %c0, %shared : !g, !g
    %w1 = steer.any %c1, %shared : !g, !g
    %w2 = steer.any %c2, %shared : !g, !g
    %g0 = steer.all %p0, %w0 : !r, !g
    %g1 = steer.all %p1, %w1 : !r, !g
    %g2 = steer.all %p2, %w2 : !r, !g
    %a = steer.strength 2.0 where %g0 : !g
    %b = steer.strength 3.0 where %g1 : !g
    %c = steer.strength 4.0 where %g2 : !g
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !x, !s, !s, !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Projections of different plans commute, those of one keep their order: plan 0
// takes out 4 and then 5, so there are two steps. Norms get one gate.
// CHECK-LABEL: fx.program @projections(
// CHECK: %[[P0:.*]] = steer.in_plans %plan [0]
// CHECK: %[[ON:.*]] = steer.lookup {{.*}} : tensor<4x1xi1>
// CHECK-NEXT: %[[HAS:.*]] = steer.lookup {{.*}} : tensor<4x2xi1>
// CHECK-NEXT: %[[ROWS:.*]] = steer.lookup %{{.*}} in dense<{{\[\[}}0, 0], [0, 0], [1, 2], [0, 0]]>
// CHECK: %[[A:.*]] = steer.row_project %[[H:.*]] out of [#flow.concat<[#flow.basis<#flow.rows<decoder of @d[4]>>, #flow.basis<#flow.rows<decoder of @d[6, 7]>>]>] at %[[ROWS]] columns %[[HAS]] : tensor<?x1x2xi1> where %[[ON]]
// CHECK-NEXT: %[[B:.*]] = steer.project %[[A]] out of [#flow.basis<#flow.rows<decoder of @d[5]>>] where %[[P0]]
// CHECK-NEXT: %[[C:.*]] = steer.rescale %[[B]] like %[[H]] where %[[ON]]
// CHECK-NEXT: steer.yield %[[C]]
fx.program @projections(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %a = steer.project %h out of [#flow.basis<#flow.rows<decoder of @d[4]>>] where %p0 : !r : !x
    %b = steer.project %a out of [#flow.basis<#flow.rows<decoder of @d[5]>>] where %p0 : !r : !x
    %c = steer.project %b out of [#flow.basis<#flow.rows<decoder of @d[6, 7]>>] where %p1 : !r : !x
    %d = steer.project %c out of [#flow.basis<#flow.rows<decoder of @d[4]>>] where %p2 : !r : !x
    %any = steer.any %p0, %p1, %p2 : !r, !r, !r
    %n = steer.rescale %d like %h where %any : !r : !x
    steer.yield %n : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// One policy too few has this form, a plan is not known there, and records are
// outputs of their own.
// CHECK-LABEL: fx.program @kept(
// CHECK-NOT: steer.lookup
// CHECK: steer.record
// CHECK: steer.write
// CHECK-NOT: steer.lookup
// CHECK: fx.return
fx.program @kept(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %other: !r = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %a = steer.strength 2.0 where %p0 : !r
    %b = steer.strength 3.0 where %p1 : !r
    %c = steer.strength 4.0 where %other : !r
    %u = steer.read %h of @d [1] activation <relu> size 16 : !x
    steer.record %u as "u" [#flow.feature<@s:0/res/1>] where %p2 : !r : !s
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !x, !k, !k, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// What each policy edits is counted here, so that it is worked out for every row
// in any case.
// CHECK-LABEL: fx.program @counted(
// CHECK-NOT: steer.lookup
// CHECK: steer.write
// CHECK-NOT: steer.lookup
// CHECK: steer.count
// CHECK: fx.return
fx.program @counted(%x: !x = #fx.input<user_input>, %plan: !p = #fx.input<user_input>, %tokens: !g = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : !p
  %p1 = steer.in_plans %plan [1] : !p
  %p2 = steer.in_plans %plan [2] : !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %a = steer.strength 2.0 where %p0 : !r
    %b = steer.strength 3.0 where %p1 : !r
    %c = steer.strength 4.0 where %p2 : !r
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !x, !k, !k, !k
    steer.count %a, %b, %c as ["a", "b", "c"] at <0/res> in %tokens : !g : !k, !k, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Where tokens are flattened a row of the batch is no dimension to gather for.
// CHECK-LABEL: fx.program @flattened(
// CHECK-NOT: steer.lookup
// CHECK: steer.write
// CHECK: fx.return
fx.program @flattened(%x: tensor<?x8xf32> = #fx.input<user_input>, %plan: !p = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] flattened : !p
  %p1 = steer.in_plans %plan [1] flattened : !p
  %p2 = steer.in_plans %plan [2] flattened : !p
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: tensor<?x8xf32>):
    %a = steer.strength 2.0 where %p0 : tensor<?x1xi1>
    %b = steer.strength 3.0 where %p1 : tensor<?x1xi1>
    %c = steer.strength 4.0 where %p2 : tensor<?x1xi1>
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>
    steer.yield %w : tensor<?x8xf32>
  } : tensor<?x8xf32>
  fx.return %y : tensor<?x8xf32> as [#fx.output<user_output>]
}
