// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-merge))' | FileCheck %s
// What the edits of a site have in common is made once.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @e of @sae at <mlp, 0> reads <mlp, 0> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// Reads of one dictionary: one matrix of encoder rows, each feature once, in the
// order in which it is named; everyone picks the columns that are his.
// CHECK-LABEL: fx.program @reads(
// CHECK: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @d [4, 2, 7] activation <relu> size 16 : tensor<?x?x8xf32>
// CHECK-NEXT: %[[A:.*]] = steer.pick %[[F]] [0, 1]
// CHECK-NEXT: %[[B:.*]] = steer.pick %[[F]] [2, 0]
// CHECK-NOT: steer.read
// CHECK: steer.record %[[A]] as "a"
// CHECK: steer.record %[[B]] as "b"
fx.program @reads(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.read %h of @d [4, 2] activation <relu> size 16 : !x
    %b = steer.read %h of @d [7, 4] activation <relu> size 16 : !x
    steer.record %a as "a" [#flow.feature<@s, res, 0, 4>, #flow.feature<@s, res, 0, 2>] : !f
    steer.record %b as "b" [#flow.feature<@s, res, 0, 7>, #flow.feature<@s, res, 0, 4>] : !f
    %w = steer.write %h, %a along [#flow.rows<decoder of @d[4, 2]>] : !x, !f
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Of two dictionaries, or of two values: nothing in common.
// CHECK-LABEL: fx.program @reads_apart(
// CHECK: steer.read %{{.*}} of @d [4] {{.*}}
// CHECK: steer.read %{{.*}} of @e [4] {{.*}}
// CHECK: steer.read %z of @d [5] {{.*}}
// CHECK-NOT: steer.pick
// CHECK: fx.return
fx.program @reads_apart(%x: !x = #fx.input<user_input>, %z: !x = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.read %h of @d [4] activation <relu> size 16 : !x
    %b = steer.read %h of @e [4] activation <relu> size 16 : !x
    %c = steer.read %z of @d [5] activation <relu> size 16 : !x
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>] : !x, !s, !s, !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Additions with the same gate and knob: one direction, weighted by their
// strengths, unit rows and sums included.
// CHECK-LABEL: fx.program @additions(
// CHECK: %[[S:.*]] = steer.strength 1.000000e+00 times %k : tensor<?x1x1xf32> where %g
// CHECK-NEXT: steer.write %{{.*}}, %[[S]] along [#flow.sum<[8.000000e+00, 6.000000e+00, -3.000000e+00, 5.000000e-01] * #flow.concat<[#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2, 3]>, #flow.rows<unit_decoder of @d[4]>]>>] : tensor<?x?x8xf32>, tensor<?x1x1xf32>
// CHECK: fx.return
fx.program @additions(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.strength 8.0 times %k : !k where %g : !r
    %b = steer.strength 3.0 times %k : !k where %g : !r
    %c = steer.strength 0.5 times %k : !k where %g : !r
    %w = steer.write %h, %a, %b, %c along [#flow.rows<decoder of @d[1]>, #flow.sum<[2.0, -1.0] * #flow.rows<decoder of @d[2, 3]>>, #flow.rows<unit_decoder of @d[4]>] : !x, !k, !k, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Another gate, another knob or none: apart. Edits stay between them.
// CHECK-LABEL: fx.program @additions_apart(
// CHECK: %[[A:.*]] = steer.strength 8.000000e+00 where %g
// CHECK: %[[B:.*]] = steer.strength 3.000000e+00 where %o
// CHECK: %[[C:.*]] = steer.strength 2.000000e+00 times %k : tensor<?x1x1xf32> where %g
// CHECK: %[[E:.*]] = steer.strength 4.000000e+00{{$}}
// CHECK: steer.write %{{.*}}, %[[A]], %[[B]], %[[C]], %[[E]] along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>, #flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x1x1xf32>, tensor<?x1x1xf32>, tensor<?x1x1xf32>, tensor<1xf32>
fx.program @additions_apart(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.strength 8.0 where %g : !r
    %b = steer.strength 3.0 where %o : !r
    %c = steer.strength 2.0 times %k : !k where %g : !r
    %e = steer.strength 4.0
    %w = steer.write %h, %a, %b, %c, %e along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>, #flow.rows<decoder of @d[4]>] : !x, !k, !k, !k, tensor<1xf32>
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// An edit keeps its place and its rows.
// CHECK-LABEL: fx.program @around_edits(
// CHECK: %[[D:.*]] = steer.delta
// CHECK: %[[S:.*]] = steer.strength 1.000000e+00 where %g
// CHECK: steer.write %{{.*}}, %[[S]], %[[D]] along [#flow.sum<[8.000000e+00, 3.000000e+00] * #flow.concat<[#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>]>>, #flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x1x1xf32>, tensor<?x?x1xf32>
fx.program @around_edits(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.strength 8.0 where %g : !r
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x
    %v = steer.set_to %f [0.0] : !s
    %d = steer.delta %f to %v : !s
    %b = steer.strength 3.0 where %g : !r
    %w = steer.write %h, %a, %d, %b along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[2]>] : !x, !k, !s, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// A strength of zero is not written, and the one left needs no sum.
// CHECK-LABEL: fx.program @zeros(
// CHECK-NOT: steer.strength 0.0
// CHECK: %[[S:.*]] = steer.strength 3.000000e+00 where %g
// CHECK: steer.write %{{.*}}, %[[S]] along [#flow.rows<decoder of @d[2]>] :
fx.program @zeros(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.strength 0.0 where %o : !r
    %b = steer.strength 3.0 where %g : !r
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>] : !x, !k, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// A patch with nothing but zeros is none.
// CHECK-LABEL: fx.program @nothing(
// CHECK-NOT: steer.
// CHECK: fx.return %x :
fx.program @nothing(%x: !x = #fx.input<user_input>, %g: !r = #fx.input<user_input>, %o: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !x):
    %a = steer.strength 0.0 where %o : !r
    %w = steer.write %h, %a along [#flow.rows<decoder of @d[1]>] : !x, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
