// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx,cse))' | FileCheck %s
// Scopes that follow a row's tokens.

!n = tensor<?x?xi64>
!h = tensor<3x65xi64>
!l = tensor<?xi64>

// The tokens are written into the buffer in place, padding into its last column. Who reads takes what the write gives,
// so that nothing comes before it. `after` and what it is counted from are one search.
// CHECK-LABEL: fx.program @markers(
// CHECK: %[[PAD:.*]] = fx.call pure @aten.lt.Scalar(self: %positions, other: 0)
// CHECK-NEXT: %[[COLUMNS:.*]] = fx.call pure @aten.where.ScalarSelf(condition: %[[PAD]], self: 64, other: %positions) : (tensor<?x?xi1>, tensor<?x?xi64>) -> tensor<?x?xi64>
// CHECK-NEXT: %[[H:.*]] = fx.call @aten.scatter_.src(self: %kept, dim: 1, index: %[[COLUMNS]], src: %ids) : (tensor<3x65xi64>, tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<3x65xi64>
// CHECK-NEXT: %[[IS:.*]] = fx.call pure @aten.eq.Scalar(self: %[[H]], other: 5)
// CHECK-NEXT: %[[OWN:.*]] = fx.call pure @aten.arange.default(end: 65) : () -> tensor<65xi64>
// CHECK-NEXT: %[[WHERE:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[IS]], self: %[[OWN]], other: 65) : (tensor<3x65xi1>, tensor<65xi64>) -> tensor<3x65xi64>
// CHECK-NEXT: %[[SCAN:.*]]:2 = fx.call pure @aten.cummin.default(self: %[[WHERE]], dim: 1)
// CHECK-NEXT: %[[FIRST:.*]] = fx.call pure @aten.gather.default(self: %[[SCAN]]#0, dim: 1, index: %[[COLUMNS]]) : (tensor<3x65xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
// CHECK-NEXT: %[[BEHIND:.*]] = fx.call pure @aten.lt.Tensor(self: %[[FIRST]], other: %positions)
// CHECK: %[[ANY:.*]] = fx.call pure @aten.isin.Tensor_Tensor(elements: %[[H]]
// CHECK-NEXT: %[[WHERE:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[ANY]], self: %[[OWN]], other: -1)
// CHECK-NEXT: %[[SCAN:.*]]:2 = fx.call pure @aten.cummax.default(self: %[[WHERE]], dim: 1)
// CHECK-NEXT: %[[OPENED:.*]] = fx.call pure @aten.gather.default(self: %[[SCAN]]#0
// CHECK-NEXT: %[[IN:.*]] = fx.call pure @aten.lt.Tensor(self: %[[OPENED]], other: %positions)
// CHECK-NEXT: %[[BOTH:.*]] = fx.call pure @aten.logical_and.default(self: %[[BEHIND]], other: %[[IN]])
// CHECK: %[[CLOSED:.*]] = fx.call pure @aten.gather.default
// CHECK-NEXT: %[[OPEN:.*]] = fx.call pure @aten.gt.Tensor(self: %[[OPENED]], other: %[[CLOSED]])
// CHECK-NEXT: %[[ALL:.*]] = fx.call pure @aten.logical_and.default(self: %[[BOTH]], other: %[[OPEN]])
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[ALL]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: %[[SINCE:.*]] = fx.call pure @aten.sub.Tensor(self: %positions, other: %[[FIRST]])
// CHECK-NEXT: %[[N:.*]] = fx.call pure @aten.add.Tensor(self: %[[SINCE]], other: -1)
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.to.dtype(self: %[[N]]
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.clamp_min.default(self: %[[F]], min: 0.000000e+00)
// CHECK-NEXT: %[[M:.*]] = fx.call pure @aten.add.Tensor(self: %[[C]], other: 1)
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.div.Tensor(self: %[[M]], other: 8.000000e+00)
// CHECK-NEXT: %[[S:.*]] = fx.call pure @aten.clamp_max.default(self: %[[D]], max: 1.000000e+00)
// CHECK-NEXT: %[[R:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[S]], dim: 2) : (tensor<?x?xf32>) -> tensor<?x?x1xf32>
// CHECK-NEXT: fx.return %[[G]], %[[R]]
fx.program @markers(%kept: !h = #fx.input<buffer "zeros"::"weir_tokens", transient>, %ids: !n = #fx.input<user_input>,
    %positions: !n = #fx.input<user_input>, %length: !l = #fx.input<user_input>) {
  %h = steer.history %ids at %positions in %kept : !n, !n, !h
  %g = steer.marked %positions in %h <after = [5], opens = [1, 2], closes = [3]> : !n, !h
  %r = steer.ramp %positions, %length in %h <markers = <after = [5]>, over = 8> : !n, !l, !h
  fx.return %g, %r : tensor<?x?x1xi1>, tensor<?x?x1xf32> as [#fx.output<user_output>, #fx.output<user_output>]
}

// Of several beginnings the latest counts.
// CHECK-LABEL: fx.program @decay(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1)
// CHECK-NEXT: %[[S:.*]] = fx.call pure @aten.sub.Tensor(self: %positions, other: %[[L]])
// CHECK-NEXT: %[[LAST:.*]] = fx.call pure @aten.add.Tensor(self: %[[S]], other: 1)
// CHECK-NEXT: %[[FROM:.*]] = fx.call pure @aten.add.Tensor(self: %positions, other: -4)
// CHECK-NEXT: %[[N:.*]] = fx.call pure @aten.minimum.default(self: %[[LAST]], other: %[[FROM]])
// CHECK: %[[C:.*]] = fx.call pure @aten.clamp_min.default
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.div.Tensor(self: %[[C]], other: -6.4
// CHECK-NEXT: fx.call pure @aten.exp2.default(self: %[[D]])
fx.program @decay(%positions: !n = #fx.input<user_input>, %length: !l = #fx.input<user_input>, %knob: tensor<?x1x1xf32> = #fx.input<user_input>) {
  %r = steer.ramp %positions, %length <set = sampled, skip_first = 4, half = 64.0> : !n, !l
  // CHECK: fx.call pure @aten.mul.Tensor(self: %knob, other: %{{.*}}) : (tensor<?x1x1xf32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %p = steer.product %knob, %r : tensor<?x1x1xf32>, tensor<?x?x1xf32>
  fx.return %p : tensor<?x?x1xf32> as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @flat(
// CHECK: %[[N:.*]] = fx.call pure @aten.sub.Tensor(self: %positions, other: %length) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
// CHECK: %[[R:.*]] = fx.call pure @aten.unsqueeze.default(self: %{{.*}}, dim: 1) : (tensor<?xf32>) -> tensor<?x1xf32>
// CHECK-NEXT: fx.return %[[R]]
fx.program @flat(%positions: !l = #fx.input<user_input>, %length: !l = #fx.input<user_input>) {
  %r = steer.ramp %positions, %length <set = generated, over = 2> : !l, !l
  fx.return %r : tensor<?x1xf32> as [#fx.output<user_output>]
}

// The same with ids and numbers of each row: those of the batch are looked through.
// CHECK-LABEL: fx.program @rows(
// CHECK: %[[B:.*]] = fx.call pure @aten.sym_size.int(self: %ids, dim: 0)
// CHECK-NEXT: %[[OWN:.*]] = fx.call pure @aten.slice.Tensor(self: %kept, dim: 0, start: 0, end: %[[B]]) : (tensor<3x65xi64>, !fx.symint) -> tensor<?x65xi64>
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[OWN]], dim: 2) : (tensor<?x65xi64>) -> tensor<?x65x1xi64>
// CHECK-NEXT: %[[EQ:.*]] = fx.call pure @aten.eq.Tensor(self: %[[U]], other: %ids) : (tensor<?x65x1xi64>, tensor<?x1x2xi64>) -> tensor<?x65x2xi1>
// CHECK-NEXT: %[[IS:.*]] = fx.call pure @aten.any.dim(self: %[[EQ]], dim: -1) : (tensor<?x65x2xi1>) -> tensor<?x65xi1>
// CHECK: fx.call pure @aten.cummin.default
// CHECK-SAME: -> (tensor<?x65xi64>, tensor<?x65xi64>)
// CHECK: fx.call pure @aten.minimum.default
// CHECK: fx.call pure @aten.div.Tensor(self: %{{.*}}, other: %{{.*}}) : (tensor<?x?xf32>, tensor<?x1xf32>) -> tensor<?x?xf32>
// CHECK: fx.call pure @aten.exp2.default
// CHECK: fx.return
fx.program @rows(%kept: !h = #fx.input<buffer "zeros"::"weir_tokens", transient>, %positions: !n = #fx.input<user_input>, %length: !l = #fx.input<user_input>,
    %ids: tensor<?x1x2xi64> = #fx.input<user_input>, %at: tensor<?x1x1xi64> = #fx.input<user_input>, %number: tensor<?x1x1xf32> = #fx.input<user_input>) {
  %g = steer.row_marked %positions in %kept until %ids : tensor<?x1x2xi64> : !n, !h
  %r = steer.row_ramp %positions, %length in %kept : !h from %at : tensor<?x1x1xi64> first %at : tensor<?x1x1xi64> after %ids : tensor<?x1x2xi64> over %number : tensor<?x1x1xf32> half %number : tensor<?x1x1xf32> : !n, !l
  fx.return %g, %r : tensor<?x?x1xi1>, tensor<?x?x1xf32> as [#fx.output<user_output>, #fx.output<user_output>]
}
