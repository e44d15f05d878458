// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --canonicalize | FileCheck %s
// What a table says of all plans is known without a row.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
!n = tensor<?x1x1xf32>
!i = tensor<?x1x1xi64>

// CHECK-LABEL: fx.program @ones(
// CHECK: fx.return %f
fx.program @ones(%f: !s = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [1.0], [1.0]]> : tensor<3x1xf32>
  %v = steer.row_scale %f by %n : !s, !n
  fx.return %v : !s as [#fx.output<user_output>]
}

// A knob may be anything, and so may one plan's number.
// CHECK-LABEL: fx.program @scaled(
// CHECK: steer.row_scale
// CHECK: steer.row_scale
fx.program @scaled(%f: !s = #fx.input<user_input>, %k: !n = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [1.0], [1.0]]> : tensor<3x1xf32>
  %m = steer.lookup %s : tensor<?xi64> in dense<[[1.0], [1.0], [2.0]]> : tensor<3x1xf32>
  %v = steer.row_scale %f by %n times %k : !n : !s, !n
  %w = steer.row_scale %v by %m : !s, !n
  fx.return %w : !s as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @boundless(
// CHECK: fx.return %f
fx.program @boundless(%f: !s = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [0xFF800000]]> : tensor<2x1xf32>
  %v = steer.row_clamp %f min %n : !n : !s
  fx.return %v : !s as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @bound(
// CHECK: steer.row_clamp
fx.program @bound(%f: !s = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [0xFF800000], [0.5]]> : tensor<3x1xf32>
  %v = steer.row_clamp %f min %n : !n : !s
  fx.return %v : !s as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @kept(
// CHECK: fx.return %f
fx.program @kept(%f: !s = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<true> : tensor<2x1xi1>
  %v = steer.row_keep %f where %n : !s, tensor<?x1x1xi1>
  fx.return %v : !s as [#fx.output<user_output>]
}

// Rows without a plan are held back by their row of the table.
// CHECK-LABEL: fx.program @held(
// CHECK: steer.row_keep
fx.program @held(%f: !s = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[false], [true]]> : tensor<2x1xi1>
  %v = steer.row_keep %f where %n : !s, tensor<?x1x1xi1>
  fx.return %v : !s as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @no_strength(
// CHECK: fx.return %x
fx.program @no_strength(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>, %s: tensor<?xi64> = #fx.input<user_input>) {
  %n = steer.lookup %s : tensor<?xi64> in dense<[[7.0], [0.0]]> : tensor<2x1xf32>
  %c = steer.row_strength %n : !n
  %y = steer.row_write %x, %c at %i along [#flow.rows<decoder of @d[4]>] : !x, !n, !i
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @from_f_to_f(
// CHECK: fx.return %x
fx.program @from_f_to_f(%x: !x = #fx.input<user_input>, %f: !s = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %c = steer.delta %f to %f : !s
  %y = steer.row_write %x, %c at %i along [#flow.rows<decoder of @d[4]>] : !x, !s, !i
  fx.return %y : !x as [#fx.output<user_output>]
}
