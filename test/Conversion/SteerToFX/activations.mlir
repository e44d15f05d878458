// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s
// New activations and coefficients: elementwise, in f32.

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// The numbers alone: deltas broadcast them.
// CHECK-LABEL: fx.program @set_to(
// CHECK: %[[V:.*]] = fx.constant dense<[1.000000e+00, -2.000000e+00]> : tensor<2xf32>
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.sub.Tensor(self: %[[V]], other: %f) : (tensor<2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[D]]
fx.program @set_to(%f: !f = #fx.input<user_input>) {
  %0 = steer.set_to %f [1.0, -2.0] : !f
  %1 = steer.delta %f to %0 : !f
  fx.return %1 : !f as [#fx.output<user_output>]
}

// Who does not broadcast gets them whole.
// CHECK-LABEL: fx.program @set_to_whole(
// CHECK: %[[V:.*]] = fx.constant dense<3.000000e+00> : tensor<1xf32>
// CHECK-NEXT: %[[W:.*]] = fx.call pure @aten.expand_as.default(self: %[[V]], other: %f) : (tensor<1xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.slice.Tensor(self: %[[W]], dim: -1, start: 1, end: 2)
// CHECK-NEXT: fx.return %[[P]]
fx.program @set_to_whole(%f: !f = #fx.input<user_input>) {
  %0 = steer.set_to %f [3.0] : !f
  %1 = steer.pick %0 [1] : !f
  fx.return %1 : !s as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @set_to_times(
// CHECK: %[[V:.*]] = fx.constant dense<3.000000e+00> : tensor<1xf32>
// CHECK-NEXT: %[[K:.*]] = fx.call pure @aten.mul.Tensor(self: %k, other: %[[V]]) : (tensor<?x1x1xf32>, tensor<1xf32>) -> tensor<?x1x1xf32>
// CHECK-NEXT: fx.call pure @aten.sub.Tensor(self: %[[K]], other: %f) : (tensor<?x1x1xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
fx.program @set_to_times(%f: !f = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %0 = steer.set_to %f [3.0] times %k : !k : !f
  %1 = steer.delta %f to %0 : !f
  fx.return %1 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @scale_by(
// CHECK-NEXT: %f:
// CHECK: %[[ONE:.*]] = fx.call pure @aten.mul.Tensor(self: %f, other: -1.000000e+00)
// CHECK: %[[TWO:.*]] = fx.call pure @aten.mul.Tensor(self: %f, other: 2.000000e+00)
// CHECK-NEXT: %[[TIMES:.*]] = fx.call pure @aten.mul.Tensor(self: %[[TWO]], other: %k)
// CHECK: %[[N:.*]] = fx.constant dense<[1.000000e+00, 2.000000e+00]>
// CHECK-NEXT: %[[EACH:.*]] = fx.call pure @aten.mul.Tensor(self: %f, other: %[[N]])
// CHECK-NEXT: fx.return %[[ONE]], %[[TIMES]], %[[EACH]]
fx.program @scale_by(%f: !f = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %0 = steer.scale_by %f [-1.0] : !f
  %1 = steer.scale_by %f [2.0, 2.0] times %k : !k : !f
  %2 = steer.scale_by %f [1.0, 2.0] : !f
  fx.return %0, %1, %2 : !f, !f, !f as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: fx.program @clamp_to(
// CHECK-NEXT: %f:
// CHECK-NEXT: %[[LOW:.*]] = fx.call pure @aten.clamp_min.default(self: %f, min: 5.000000e-01)
// CHECK-NEXT: %[[BOTH:.*]] = fx.call pure @aten.clamp_max.default(self: %[[LOW]], max: 2.000000e+00)
// CHECK-NEXT: %[[HIGH:.*]] = fx.call pure @aten.clamp_max.default(self: %f, max: 2.000000e+00)
// CHECK-NEXT: fx.return %[[BOTH]], %[[HIGH]]
fx.program @clamp_to(%f: !f = #fx.input<user_input>) {
  %0 = steer.clamp_to %f min 0.5 max 2.0 : !f
  %1 = steer.clamp_to %f max 2.0 : !f
  fx.return %0, %1 : !f, !f as [#fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: fx.program @sum(
// CHECK: %[[S:.*]] = fx.call pure @aten.add.Tensor(self: %f, other: %o)
// CHECK-NEXT: fx.return %[[S]]
fx.program @sum(%f: !f = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.sum %f, %o : !f
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Where the gate holds: where, not a product, so that no NaN gets through.
// CHECK-LABEL: fx.program @delta(
// CHECK: %[[D:.*]] = fx.call pure @aten.sub.Tensor(self: %o, other: %f)
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.where.ScalarOther(condition: %r, self: %[[D]], other: 0.000000e+00) : (tensor<?x1x1xi1>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[C]]
fx.program @delta(%f: !f = #fx.input<user_input>, %r: !r = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.delta %f to %o where %r : !r : !f
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @delta_active(
// CHECK: %[[D:.*]] = fx.call pure @aten.sub.Tensor(self: %o, other: %f)
// CHECK-NEXT: %[[A:.*]] = fx.call pure @aten.gt.Scalar(self: %f, other: 0.000000e+00)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %r, other: %[[A]]) : (tensor<?x1x1xi1>, tensor<?x?x2xi1>) -> tensor<?x?x2xi1>
// CHECK-NEXT: fx.call pure @aten.where.ScalarOther(condition: %[[G]], self: %[[D]], other: 0.000000e+00)
fx.program @delta_active(%f: !f = #fx.input<user_input>, %r: !r = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.delta %f to %o only_active where %r : !r : !f
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @delta_active_alone(
// CHECK: %[[D:.*]] = fx.call pure @aten.sub.Tensor(self: %o, other: %f)
// CHECK-NEXT: %[[A:.*]] = fx.call pure @aten.gt.Scalar(self: %f, other: 0.000000e+00)
// CHECK-NEXT: fx.call pure @aten.where.ScalarOther(condition: %[[A]], self: %[[D]], other: 0.000000e+00)
fx.program @delta_active_alone(%f: !f = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.delta %f to %o only_active : !f
  fx.return %0 : !f as [#fx.output<user_output>]
}

// The gate comes after the scale.
// CHECK-LABEL: fx.program @delta_scaled(
// CHECK: %[[D:.*]] = fx.call pure @aten.sub.Tensor(self: %o, other: %f)
// CHECK-NEXT: %[[S:.*]] = fx.call pure @aten.mul.Tensor(self: %[[D]], other: %s) : (tensor<?x?x2xf32>, tensor<?x?x1xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.call pure @aten.where.ScalarOther(condition: %g, self: %[[S]], other: 0.000000e+00)
fx.program @delta_scaled(%f: !f = #fx.input<user_input>, %s: !s = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.delta %f to %o where %g : !g scaled by %s : !s : !f
  fx.return %0 : !f as [#fx.output<user_output>]
}

// A number of a row stays one number a row.
// CHECK-LABEL: fx.program @strength(
// CHECK: %[[C:.*]] = fx.constant dense<8.000000e+00> : tensor<1xf32>
// CHECK-NEXT: %[[A:.*]] = fx.call pure @aten.where.ScalarOther(condition: %r, self: %[[C]], other: 0.000000e+00) : (tensor<?x1x1xi1>, tensor<1xf32>) -> tensor<?x1x1xf32>
// CHECK-NEXT: %[[K:.*]] = fx.call pure @aten.mul.Tensor(self: %k, other: 8.000000e+00) : (tensor<?x1x1xf32>) -> tensor<?x1x1xf32>
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.where.ScalarOther(condition: %g, self: %[[K]], other: 0.000000e+00) : (tensor<?x?x1xi1>, tensor<?x1x1xf32>) -> tensor<?x?x1xf32>
// CHECK-NEXT: fx.return %[[A]], %[[B]]
fx.program @strength(%g: !g = #fx.input<user_input>, %r: !r = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %0 = steer.strength 8.0 where %r : !r
  %1 = steer.strength 8.0 times %k : !k where %g : !g
  fx.return %0, %1 : !k, !s as [#fx.output<user_output>, #fx.output<user_output>]
}
