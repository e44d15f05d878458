// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --canonicalize | FileCheck %s
// What becomes of gates and knobs that are known.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// Inputs that always hold say nothing, and one that never does decides.
// CHECK-LABEL: @joins
// CHECK-DAG: %[[NO:.*]] = steer.constant false -> tensor<?x?x1xi1>
// CHECK-DAG: %[[YES:.*]] = steer.constant true -> tensor<?x1x1xi1>
// CHECK: %[[THREE:.*]] = steer.any %a, %b : tensor<?x?x1xi1>, tensor<?x?x1xi1>
// The others have fewer tokens: the whole has to keep its own.
// CHECK: %[[ALL:.*]] = steer.all %{{.*}}, %c : tensor<?x?x1xi1>, tensor<?x1x1xi1>
// CHECK: fx.return %a, %[[NO]], %[[YES]], %[[THREE]], %[[ALL]]
fx.program @joins(%a: !g = #fx.input<user_input>, %b: !g = #fx.input<user_input>, %c: !r = #fx.input<user_input>) {
  %yes = steer.constant true -> !r
  %no = steer.constant false -> !r
  %wide = steer.constant true -> !g
  %0 = steer.all %yes, %a : !r, !g
  %1 = steer.all %no, %a : !r, !g
  %2 = steer.any %no, %yes : !r, !r
  %3 = steer.any %a, %no, %b : !g, !r, !g
  %4 = steer.all %wide, %c : !g, !r
  fx.return %0, %1, %2, %3, %4 : !g, !g, !r, !g, !g as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: @gates
// CHECK-NOT: steer.constant
// CHECK: steer.delta %f to %v : tensor
// CHECK: steer.write %{{.*}}, %{{.*}} along [#flow.rows<decoder of @d[1, 2]>] :
// CHECK: steer.project %{{.*}} out of [#flow.basis<#flow.rows<decoder of @d[1]>>] : tensor
// CHECK-NOT: steer.project
// CHECK: steer.rescale %{{.*}} like %{{[^ ]*}} : tensor
// CHECK: steer.yield
// CHECK: steer.record_value %x of <0/res> as "raw.res.0" : tensor
fx.program @gates(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>, %v: !f = #fx.input<user_input>) {
  %yes = steer.constant true -> !r
  %no = steer.constant false -> !r
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %c = steer.delta %f to %v where %yes : !r : !f
    %never = steer.delta %v to %f where %no : !r : !f
    %w = steer.write %h, %c, %never along [#flow.rows<decoder of @d[1, 2]>, #flow.rows<decoder of @d[3, 4]>] : !x, !f, !f
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[1]>>] where %yes : !r : !x
    %q = steer.project %p out of [#flow.basis<#flow.rows<decoder of @d[2]>>] where %no : !r : !x
    %n = steer.rescale %q like %h where %yes : !r : !x
    steer.yield %n : !x
  } : !x
  steer.record_value %x of <0/res> as "raw.res.0" where %yes : !r : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// A knob is a part of the number that it multiplies, in f32 as at run time.
// CHECK-LABEL: @knobs
// CHECK: steer.scale_by %f [1.500000e+00, 3.000000e+00] : tensor
// CHECK: steer.set_to %f [5.000000e-01] : tensor
// CHECK: steer.strength 2.500000e+00 where %g : tensor<?x?x1xi1>
// CHECK: steer.strength 2.500000e+00{{$}}
fx.program @knobs(%f: !f = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %x: !x = #fx.input<user_input>) {
  %k = steer.constant 0.5 : f32 -> !k
  %yes = steer.constant true -> !r
  %0 = steer.scale_by %f [3.0, 6.0] times %k : !k : !f
  %1 = steer.set_to %f [1.0] times %k : !k : !f
  %2 = steer.strength 5.0 times %k : !k where %g : !g
  %3 = steer.strength 5.0 times %k : !k where %yes : !r
  %d = steer.delta %f to %0 : !f
  %e = steer.delta %f to %1 : !f
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %w = steer.write %h, %d, %e, %2, %3 along [#flow.rows<decoder of @d[1, 2]>, #flow.rows<decoder of @d[3, 4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !x, !f, !f, tensor<?x?x1xf32>, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// An addition that is the same for every token is counted at every one, or at
// none.
// CHECK-LABEL: @counts
// CHECK-DAG: %[[YES:.*]] = steer.constant true -> tensor<?x1x1xi1>
// CHECK-DAG: %[[NO:.*]] = steer.constant false -> tensor<?x1x1xi1>
// CHECK: steer.count %[[YES]], %[[NO]] as ["more", "none"]
fx.program @counts(%x: !x = #fx.input<user_input>, %t: !g = #fx.input<user_input>) {
  %yes = steer.constant true -> !r
  %zero = steer.constant 0.0 : f32 -> !k
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %s = steer.strength 5.0 where %yes : !r
    %z = steer.strength 5.0 times %zero : !k where %yes : !r
    %w = steer.write %h, %s, %z along [#flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !x, tensor<?x1x1xf32>, tensor<?x1x1xf32>
    steer.count %s, %z as ["more", "none"] at <0/res> in %t : !g : tensor<?x1x1xf32>, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
