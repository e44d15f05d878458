// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s
// Patches are inlined; a site of a narrow type is rounded once.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @inlined(
// CHECK: %[[CD:.*]] = fx.call pure @aten.mul.Tensor(self: %k,
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[CD]])
// CHECK-NEXT: fx.return %[[Y]]
fx.program @inlined(%x: !x = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: !x):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[4]>] : !x, !k
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @empty(
// CHECK-NEXT: %x:
// CHECK-NEXT: fx.return %x
fx.program @empty(%x: !x = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: !x):
    steer.yield %h : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// Widened before the first edit, rounded after the last; what the norm is
// compared with is the value that came in.
// CHECK-LABEL: fx.program @narrow(
// CHECK: %[[WIDE:.*]] = fx.call pure @aten.to.dtype(self: %b, dtype: dtype<f32>) : (tensor<?x?x8xbf16>) -> tensor<?x?x8xf32>
// CHECK-NOT: aten.to.dtype
// CHECK: %[[W:.*]] = fx.call pure @aten.add.Tensor(self: %[[WIDE]],
// CHECK-NOT: aten.to.dtype
// CHECK: fx.call pure @aten.linear.default(input: %[[W]],
// CHECK-NOT: aten.to.dtype
// CHECK: %[[P:.*]] = fx.call pure @aten.sub.Tensor(self: %[[W]],
// CHECK-NOT: aten.to.dtype
// CHECK: fx.call pure @aten.linalg_vector_norm.default(self: %[[WIDE]],
// CHECK-NOT: aten.to.dtype
// CHECK: %[[R:.*]] = fx.call pure @aten.mul.Tensor(self: %[[P]],
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.to.dtype(self: %[[R]], dtype: dtype<bf16>) : (tensor<?x?x8xf32>) -> tensor<?x?x8xbf16>
// CHECK-NEXT: fx.return %[[Y]]
fx.program @narrow(%k: !k = #fx.input<user_input>, %b: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  %y = steer.patch %b at <res, 3> {
  ^bb0(%h: tensor<?x?x8xbf16>):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xbf16>, !k
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[2]>>] : tensor<?x?x8xbf16>
    %q = steer.rescale %p like %h : tensor<?x?x8xbf16>
    steer.yield %q : tensor<?x?x8xbf16>
  } : tensor<?x?x8xbf16>
  fx.return %y : tensor<?x?x8xbf16> as [#fx.output<user_output>]
}

// Nothing edited, nothing rounded.
// CHECK-LABEL: fx.program @narrow_empty(
// CHECK-NEXT: %b:
// CHECK-NEXT: fx.return %b
fx.program @narrow_empty(%b: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  %y = steer.patch %b at <res, 3> {
  ^bb0(%h: tensor<?x?x8xbf16>):
    steer.yield %h : tensor<?x?x8xbf16>
  } : tensor<?x?x8xbf16>
  fx.return %y : tensor<?x?x8xbf16> as [#fx.output<user_output>]
}
