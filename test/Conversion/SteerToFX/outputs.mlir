// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx))' | FileCheck %s
// Gates and counts leave the program as f32 of 0 and 1, a number a token.

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @gate(
// CHECK: %[[A:.*]] = fx.call pure @aten.logical_and.default(self: %g, other: %o)
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.to.dtype(self: %[[A]], dtype: dtype<f32>)
// CHECK-NEXT: fx.return %x, %[[B]] : {{.*}} as [#fx.output<user_output>, #fx.output<user_output, role = #fx.record<"gate", [@calm]>>]
fx.program @gate(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %o: !g = #fx.input<user_input>) {
  steer.record_gate %g of @calm as "gate" where %o : !g : !g
  fx.return %x : !x as [#fx.output<user_output>]
}

// A site's numbers leave it as f32, and 0 outside of the gate.
// CHECK-LABEL: fx.program @value(
// CHECK: %[[A:.*]] = fx.call pure @aten.to.dtype(self: %h, dtype: dtype<f32>) : (tensor<?x?x8xbf16>) -> tensor<?x?x8xf32>
// CHECK: %[[B:.*]] = fx.call pure @aten.where.ScalarOther(condition: %g, self: %[[A]], other: 0.000000e+00)
// CHECK-NEXT: fx.return %x, %[[B]] : {{.*}} as [#fx.output<user_output>, #fx.output<user_output, role = #fx.record<"raw.res.3", [#flow.site<3/res>]>>]
fx.program @value(%x: !x = #fx.input<user_input>, %h: tensor<?x?x8xbf16> = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  steer.record_value %h of <3/res> as "raw.res.3" where %g : !g : tensor<?x?x8xbf16>
  fx.return %x : !x as [#fx.output<user_output>]
}

// Two edits of one policy are one column: a coefficient of several features, and
// one that is the same for all tokens. A gate stands for itself. Padding is out.
// CHECK-LABEL: fx.program @count(
// CHECK: %[[A:.*]] = fx.call pure @aten.ne.Scalar(self: %f, other: 0.000000e+00) : (tensor<?x?x2xf32>) -> tensor<?x?x2xi1>
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.any.dim(self: %[[A]], dim: -1, keepdim: true) : (tensor<?x?x2xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.ne.Scalar(self: %k, other: 0.000000e+00) : (tensor<?x1x1xf32>) -> tensor<?x1x1xi1>
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.logical_or.default(self: %[[B]], other: %[[C]])
// CHECK-NEXT: %[[E:.*]] = fx.call pure @aten.logical_and.default(self: %[[D]], other: %t)
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.to.dtype(self: %[[E]], dtype: dtype<f32>)
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.logical_and.default(self: %r, other: %t) : (tensor<?x1x1xi1>, tensor<?x?x1xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: %[[Q:.*]] = fx.call pure @aten.to.dtype(self: %[[F]], dtype: dtype<f32>)
// CHECK-NEXT: %[[H:.*]] = fx.call pure @aten.cat.default(tensors: [%[[P]], %[[Q]]], dim: -1) : (tensor<?x?x1xf32>, tensor<?x?x1xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %x, %[[H]] : {{.*}} as [#fx.output<user_output>, #fx.output<user_output, role = #fx.count<res, 3, ["push", "clear"]>>]
fx.program @count(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>, %k: !k = #fx.input<user_input>, %r: !r = #fx.input<user_input>, %t: !g = #fx.input<user_input>) {
  steer.count %f, %r, %k as ["push", "clear", "push"] at <3/res> in %t : !g : !f, !r, !k
  fx.return %x : !x as [#fx.output<user_output>]
}
