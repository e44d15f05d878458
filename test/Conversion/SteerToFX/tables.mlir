// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx))' | FileCheck %s
// Operations on tables: what a row's own plan needs is gathered, and nothing else.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @j of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu> normalization <constant_norm>
flow.dictionary @g of @sae at <0/res> reads <0/res> features 16 width 8 activation <gated> normalization <layer_norm>
flow.dictionary @t of @sae at <0/res> reads <0/res> features 16 width 8 activation <topk, 5>
flow.dictionary @n of @sae at <0/res> reads <0/neuron> features 8 width 8 activation <identity>
steer.plan @plan0 []
steer.plan @plan1 []
steer.plan @plan2 []

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!n = tensor<?x1x2xf32>
!i = tensor<?x1x2xi64>
!k = tensor<?x1x1xf32>
!g = tensor<?x?x1xi1>

// Plan -1 stands first in the table of plans, so that every index is checked.
// CHECK-LABEL: fx.program @lookup(
// CHECK: %[[V0:.*]] = fx.constant dense<[0, 1, 0, 2]> : tensor<4xi64>
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.add.Tensor(self: %plan, other: 1)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.index_select.default(self: %[[V0]], dim: 0, index: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.constant dense<{{\[\[\[}}0.000000e+00, 0.000000e+00{{\]\]}}, {{\[\[}}1.500000e+00, 2.000000e+00{{\]\]}}, {{\[\[}}3.000000e+00, 0.000000e+00{{\]\]\]}}> : tensor<3x1x2xf32>
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.index_select.default(self: %[[V3]], dim: 0, index: %[[V2]]) : (tensor<3x1x2xf32>, tensor<?xi64>) -> tensor<?x1x2xf32>
// CHECK-NEXT: fx.return %[[V4]]
fx.program @lookup(%plan: tensor<?xi64> = #fx.input<user_input>) {
  %s = steer.slot %plan in [1, 0, 2] : tensor<?xi64>
  %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0, 0.0], [1.5, 2.0], [3.0, 0.0]]> : tensor<3x2xf32>
  fx.return %n : !n as [#fx.output<user_output>]
}

// Encoder rows of a row's own features only; numbers a feature are taken alike.
// CHECK-LABEL: fx.program @relu(
// CHECK: %[[V0:.*]] = fx.constant #flow.rows<encoder of @d[4, 2, 9]> -> tensor<3x8xf32>
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.embedding.default(weight: %[[V0]], indices: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.transpose.int(self: %[[V2]], dim0: 1, dim1: 2)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.matmul.default(self: %x, other: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.constant #flow.rows<encoder_bias of @d[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.take.default(self: %[[V5]], index: %i)
// CHECK-NEXT: %[[V7:.*]] = fx.call pure @aten.add.Tensor(self: %[[V4]], other: %[[V6]])
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.relu.default(self: %[[V7]])
// CHECK-NEXT: fx.return %[[V8]]
fx.program @relu(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %f = steer.row_read %x at %i of @d [4, 2, 9] activation <relu> size 16 : !x, !i
  fx.return %f : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @jumprelu(
// CHECK: %[[V0:.*]] = fx.call pure @aten.linalg_vector_norm.default(self: %x, ord: 2, dim: [-1], keepdim: true)
// CHECK-NEXT: %[[V1:.*]] = fx.constant dense<2.82842708> : tensor<1xf32>
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.div.Tensor(self: %[[V0]], other: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.gt.Scalar(self: %[[V2]], other: 0.000000e+00)
// CHECK-NEXT: %[[V4:.*]] = fx.constant dense<1.000000e+00> : tensor<1xf32>
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.where.self(condition: %[[V3]], self: %[[V2]], other: %[[V4]])
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.div.Tensor(self: %x, other: %[[V5]])
// CHECK-NEXT: %[[V7:.*]] = fx.constant #flow.rows<encoder of @j[4, 2, 9]> -> tensor<3x8xf32>
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V9:.*]] = fx.call pure @aten.embedding.default(weight: %[[V7]], indices: %[[V8]])
// CHECK-NEXT: %[[V10:.*]] = fx.call pure @aten.transpose.int(self: %[[V9]], dim0: 1, dim1: 2)
// CHECK-NEXT: %[[V11:.*]] = fx.call pure @aten.matmul.default(self: %[[V6]], other: %[[V10]])
// CHECK-NEXT: %[[V12:.*]] = fx.constant #flow.rows<encoder_bias of @j[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V13:.*]] = fx.call pure @aten.take.default(self: %[[V12]], index: %i)
// CHECK-NEXT: %[[V14:.*]] = fx.call pure @aten.add.Tensor(self: %[[V11]], other: %[[V13]])
// CHECK-NEXT: %[[V15:.*]] = fx.constant #flow.rows<threshold of @j[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V16:.*]] = fx.call pure @aten.take.default(self: %[[V15]], index: %i)
// CHECK-NEXT: %[[V17:.*]] = fx.call pure @aten.gt.Tensor(self: %[[V14]], other: %[[V16]])
// CHECK-NEXT: %[[V18:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[V17]], self: %[[V14]], other: 0.000000e+00)
// CHECK-NEXT: %[[V19:.*]] = fx.call pure @aten.relu.default(self: %[[V18]])
// CHECK-NEXT: fx.return %[[V19]]
fx.program @jumprelu(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %f = steer.row_read %x at %i of @j [4, 2, 9] activation <jumprelu> normalization <constant_norm> size 16 : !x, !i
  fx.return %f : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @gated(
// CHECK: %[[V0:.*]] = fx.call pure @aten.mean.dim(self: %x, dim: [-1], keepdim: true)
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.sub.Tensor(self: %x, other: %[[V0]])
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.std.correction(self: %x, dim: [-1], correction: 1, keepdim: true)
// CHECK-NEXT: %[[V3:.*]] = fx.constant dense<9.99999974E-6> : tensor<1xf32>
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.add.Tensor(self: %[[V2]], other: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.div.Tensor(self: %[[V1]], other: %[[V4]])
// CHECK-NEXT: %[[V6:.*]] = fx.constant #flow.rows<encoder of @g[4, 2, 9]> -> tensor<3x8xf32>
// CHECK-NEXT: %[[V7:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.embedding.default(weight: %[[V6]], indices: %[[V7]])
// CHECK-NEXT: %[[V9:.*]] = fx.call pure @aten.transpose.int(self: %[[V8]], dim0: 1, dim1: 2)
// CHECK-NEXT: %[[V10:.*]] = fx.call pure @aten.matmul.default(self: %[[V5]], other: %[[V9]])
// CHECK-NEXT: %[[V11:.*]] = fx.constant #flow.rows<encoder_bias of @g[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V12:.*]] = fx.call pure @aten.take.default(self: %[[V11]], index: %i)
// CHECK-NEXT: %[[V13:.*]] = fx.call pure @aten.add.Tensor(self: %[[V10]], other: %[[V12]])
// CHECK-NEXT: %[[V14:.*]] = fx.constant #flow.rows<magnitude_scale of @g[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V15:.*]] = fx.call pure @aten.take.default(self: %[[V14]], index: %i)
// CHECK-NEXT: %[[V16:.*]] = fx.call pure @aten.mul.Tensor(self: %[[V10]], other: %[[V15]])
// CHECK-NEXT: %[[V17:.*]] = fx.constant #flow.rows<magnitude_bias of @g[4, 2, 9]> -> tensor<3xf32>
// CHECK-NEXT: %[[V18:.*]] = fx.call pure @aten.take.default(self: %[[V17]], index: %i)
// CHECK-NEXT: %[[V19:.*]] = fx.call pure @aten.add.Tensor(self: %[[V16]], other: %[[V18]])
// CHECK-NEXT: %[[V20:.*]] = fx.call pure @aten.gt.Scalar(self: %[[V13]], other: 0.000000e+00)
// CHECK-NEXT: %[[V21:.*]] = fx.call pure @aten.relu.default(self: %[[V19]])
// CHECK-NEXT: %[[V22:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[V20]], self: %[[V21]], other: 0.000000e+00)
// CHECK-NEXT: fx.return %[[V22]]
fx.program @gated(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %f = steer.row_read %x at %i of @g [4, 2, 9] activation <gated> normalization <layer_norm> size 16 : !x, !i
  fx.return %f : !f as [#fx.output<user_output>]
}

// Who is among the largest depends on every feature; then each row has its columns.
// CHECK-LABEL: fx.program @topk(
// CHECK: %[[V0:.*]] = fx.constant #flow.rows<encoder of @t[]> -> tensor<16x8xf32>
// CHECK-NEXT: %[[V1:.*]] = fx.constant #flow.rows<encoder_bias of @t[]> -> tensor<16xf32>
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[V0]], bias: %[[V1]])
// CHECK-NEXT: %[[V3:.*]]:2 = fx.call pure @aten.topk.default(self: %[[V2]], k: 5, dim: -1, largest: true, sorted: false)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.zeros_like.default(self: %[[V2]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.relu.default(self: %[[V3]]#0)
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.scatter.src(self: %[[V4]], dim: -1, index: %[[V3]]#1, src: %[[V5]])
// CHECK-NEXT: %[[V7:.*]] = fx.constant dense<[4, 2, 9]> : tensor<3xi64>
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.take.default(self: %[[V7]], index: %i)
// CHECK-NEXT: %[[LIKE:.*]] = fx.call pure @aten.slice.Tensor(self: %[[V6]], dim: -1, start: 0, end: 2)
// CHECK-NEXT: %[[AT:.*]] = fx.call pure @aten.expand_as.default(self: %[[V8]], other: %[[LIKE]])
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.gather.default(self: %[[V6]], dim: -1, index: %[[AT]]) : {{.*}} -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @topk(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %f = steer.row_read %x at %i of @t [4, 2, 9] activation <topk, 5> size 16 : !x, !i
  fx.return %f : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @neurons(
// CHECK: %[[V0:.*]] = fx.constant dense<[4, 2]> : tensor<2xi64>
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.take.default(self: %[[V0]], index: %i)
// CHECK-NEXT: %[[LIKE:.*]] = fx.call pure @aten.slice.Tensor(self: %x, dim: -1, start: 0, end: 2)
// CHECK-NEXT: %[[AT:.*]] = fx.call pure @aten.expand_as.default(self: %[[V1]], other: %[[LIKE]])
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.gather.default(self: %x, dim: -1, index: %[[AT]]) : {{.*}} -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @neurons(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %f = steer.row_read %x at %i of @n [4, 2] activation <identity> size 8 gather : !x, !i
  fx.return %f : !f as [#fx.output<user_output>]
}

// A value that not only deltas use is whole.
// CHECK-LABEL: fx.program @values(
// CHECK: %[[V0:.*]] = fx.call pure @aten.mul.Tensor(self: %n, other: %k)
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.expand_as.default(self: %[[V0]], other: %f)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.mul.Tensor(self: %[[V1]], other: %n)
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.mul.Tensor(self: %[[V2]], other: %k)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.maximum.default(self: %[[V3]], other: %n)
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.minimum.default(self: %[[V4]], other: %n)
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.where.ScalarOther(condition: %b, self: %[[V5]], other: 0.000000e+00)
// CHECK-NEXT: fx.return %[[V6]]
fx.program @values(%f: !f = #fx.input<user_input>, %n: !n = #fx.input<user_input>, %k: !k = #fx.input<user_input>, %b: tensor<?x1x2xi1> = #fx.input<user_input>) {
  %v = steer.row_set %f to %n times %k : !k : !f, !n
  %u = steer.row_scale %v by %n times %k : !k : !f, !n
  %w = steer.row_clamp %u min %n : !n max %n : !n : !f
  %y = steer.row_keep %w where %b : !f, tensor<?x1x2xi1>
  fx.return %y : !f as [#fx.output<user_output>]
}

// Directions are gathered, then multiplied, row by row of the batch.
// CHECK-LABEL: fx.program @write(
// CHECK: %[[V0:.*]] = fx.constant #flow.rows<decoder of @d[4, 2, 9]> -> tensor<3x8xf32>
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.embedding.default(weight: %[[V0]], indices: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.matmul.default(self: %f, other: %[[V2]])
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[V3]])
// CHECK-NEXT: fx.return %[[V4]]
fx.program @write(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %y = steer.row_write %x, %f at %i along [#flow.rows<decoder of @d[4, 2, 9]>] : !x, !f, !i
  fx.return %y : !x as [#fx.output<user_output>]
}

// One direction a row needs no product: x + c d, as in a hook.
// CHECK-LABEL: fx.program @addition(
// CHECK: %[[V0:.*]] = fx.call pure @aten.mul.Tensor(self: %n, other: %k)
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.where.ScalarOther(condition: %g, self: %[[V0]], other: 0.000000e+00)
// CHECK-NEXT: %[[V2:.*]] = fx.constant #flow.rows<decoder of @d[4, 2]> -> tensor<2x8xf32>
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.embedding.default(weight: %[[V2]], indices: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.mul.Tensor(self: %[[V1]], other: %[[V4]])
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[V5]])
// CHECK-NEXT: fx.return %[[V6]]
fx.program @addition(%x: !x = #fx.input<user_input>, %n: !k = #fx.input<user_input>, %k: !k = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %i: tensor<?x1x1xi64> = #fx.input<user_input>) {
  %s = steer.row_strength %n times %k : !k where %g : !g : !k
  %y = steer.row_write %x, %s at %i along [#flow.rows<decoder of @d[4, 2]>] : !x, !s, tensor<?x1x1xi64>
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @project(
// CHECK: %[[V0:.*]] = fx.constant #flow.basis<#flow.rows<decoder of @d[4, 2, 9]>> -> tensor<3x8xf32>
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.select.int(self: %i, dim: 1, index: 0)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.embedding.default(weight: %[[V0]], indices: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.transpose.int(self: %[[V2]], dim0: 1, dim1: 2)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.matmul.default(self: %x, other: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.where.ScalarOther(condition: %b, self: %[[V4]], other: 0.000000e+00)
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.where.ScalarOther(condition: %g, self: %[[V5]], other: 0.000000e+00)
// CHECK-NEXT: %[[V7:.*]] = fx.call pure @aten.matmul.default(self: %[[V6]], other: %[[V2]])
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.sub.Tensor(self: %x, other: %[[V7]])
// CHECK-NEXT: fx.return %[[V8]]
fx.program @project(%x: !x = #fx.input<user_input>, %i: !i = #fx.input<user_input>, %b: tensor<?x1x2xi1> = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  %y = steer.row_project %x out of [#flow.basis<#flow.rows<decoder of @d[4, 2, 9]>>] at %i columns %b : tensor<?x1x2xi1> where %g : !g : !x, !i
  fx.return %y : !x as [#fx.output<user_output>]
}

// Absolute positions, positions from the prompt's end on, and a list.
// CHECK-LABEL: fx.program @tokens(
// CHECK: %[[V0:.*]] = fx.call pure @aten.select.int(self: %b, dim: 2, index: 0)
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.ge.Tensor(self: %positions, other: %[[V0]])
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.select.int(self: %b, dim: 2, index: 0)
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.le.Tensor(self: %positions, other: %[[V2]])
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.logical_and.default(self: %[[V1]], other: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1)
// CHECK-NEXT: %[[V6:.*]] = fx.call pure @aten.sub.Tensor(self: %positions, other: %[[V5]])
// CHECK-NEXT: %[[V7:.*]] = fx.call pure @aten.select.int(self: %b, dim: 2, index: 0)
// CHECK-NEXT: %[[V8:.*]] = fx.call pure @aten.ge.Tensor(self: %[[V6]], other: %[[V7]])
// CHECK-NEXT: %[[V9:.*]] = fx.call pure @aten.logical_and.default(self: %[[V4]], other: %[[V8]])
// CHECK-NEXT: %[[V10:.*]] = fx.call pure @aten.select.int(self: %b, dim: 2, index: 0)
// CHECK-NEXT: %[[V11:.*]] = fx.call pure @aten.le.Tensor(self: %[[V6]], other: %[[V10]])
// CHECK-NEXT: %[[V12:.*]] = fx.call pure @aten.logical_and.default(self: %[[V9]], other: %[[V11]])
// CHECK-NEXT: %[[V13:.*]] = fx.call pure @aten.unsqueeze.default(self: %positions, dim: 2)
// CHECK-NEXT: %[[V14:.*]] = fx.call pure @aten.eq.Tensor(self: %[[V13]], other: %i)
// CHECK-NEXT: %[[V15:.*]] = fx.call pure @aten.any.dim(self: %[[V14]], dim: -1)
// CHECK-NEXT: %[[V16:.*]] = fx.call pure @aten.logical_and.default(self: %[[V12]], other: %[[V15]])
// CHECK-NEXT: %[[V17:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[V16]], dim: 2)
// CHECK-NEXT: fx.return %[[V17]]
fx.program @tokens(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %b: tensor<?x1x1xi64> = #fx.input<user_input>, %i: !i = #fx.input<user_input>) {
  %t = steer.row_tokens %positions, %length from %b : tensor<?x1x1xi64> to %b : tensor<?x1x1xi64>
      first %b : tensor<?x1x1xi64> last %b : tensor<?x1x1xi64> listed %i : !i : tensor<?x?xi64>, tensor<?xi64>
  fx.return %t : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @compare(
// CHECK: %[[V0:.*]] = fx.call pure @aten.gt.Tensor(self: %f, other: %n)
// CHECK-NEXT: %[[V1:.*]] = fx.call pure @aten.lt.Tensor(self: %f, other: %n)
// CHECK-NEXT: %[[V2:.*]] = fx.call pure @aten.logical_and.default(self: %[[V0]], other: %[[V1]])
// CHECK-NEXT: %[[V3:.*]] = fx.call pure @aten.select.int(self: %c, dim: 2, index: 0)
// CHECK-NEXT: %[[V4:.*]] = fx.call pure @aten.gather.default(self: %knobs, dim: 1, index: %[[V3]])
// CHECK-NEXT: %[[V5:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[V4]], dim: 2)
// CHECK-NEXT: fx.return %[[V2]], %[[V5]]
fx.program @compare(%f: !s = #fx.input<user_input>, %n: !k = #fx.input<user_input>, %knobs: tensor<?x3xf32> = #fx.input<user_input>, %c: tensor<?x1x1xi64> = #fx.input<user_input>) {
  %t = steer.row_compare %f above %n : !k below %n : !k : !s
  %k = steer.row_knob %knobs at %c : tensor<?x3xf32>, tensor<?x1x1xi64>
  fx.return %t, %k : !g, !k as [#fx.output<user_output>, #fx.output<user_output>]
}
