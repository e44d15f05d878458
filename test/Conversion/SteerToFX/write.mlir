// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s
// One write a site: single rows by a multiply, the others by one matmul.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @e of @sae at <mlp, 0> reads <mlp, 0> features 16 width 8 activation <relu>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @one(
// CHECK: %[[ROW:.*]] = fx.constant #flow.rows<decoder of @d[4]> -> tensor<1x8xf32>
// CHECK-NEXT: %[[CD:.*]] = fx.call pure @aten.mul.Tensor(self: %k, other: %[[ROW]]) : (tensor<?x1x1xf32>, tensor<1x8xf32>) -> tensor<?x1x8xf32>
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[CD]]) : (tensor<?x?x8xf32>, tensor<?x1x8xf32>) -> tensor<?x?x8xf32>
// CHECK-NEXT: fx.return %[[Y]]
fx.program @one(%x: !x = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %0 = steer.write %x, %k along [#flow.rows<decoder of @d[4]>] : !x, !k
  fx.return %0 : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @many(
// CHECK: %[[ROWS:.*]] = fx.constant #flow.rows<decoder of @d[4, 2]> -> tensor<2x8xf32>
// CHECK-NEXT: %[[CD:.*]] = fx.call pure @aten.matmul.default(self: %f, other: %[[ROWS]]) : (tensor<?x?x2xf32>, tensor<2x8xf32>) -> tensor<?x?x8xf32>
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[CD]])
// CHECK-NEXT: fx.return %[[Y]]
fx.program @many(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>) {
  %0 = steer.write %x, %f along [#flow.rows<decoder of @d[4, 2]>] : !x, !f
  fx.return %0 : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @mixed(
// CHECK: %[[ROW:.*]] = fx.constant #flow.sum<[1.000000e+00, 2.000000e+00] * #flow.rows<decoder of @d[7, 8]>> -> tensor<1x8xf32>
// CHECK-NEXT: %[[CD:.*]] = fx.call pure @aten.mul.Tensor(self: %s, other: %[[ROW]])
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[CD]])
// CHECK-NEXT: %[[CAT:.*]] = fx.call pure @aten.cat.default(tensors: [%f, %o], dim: -1) : (tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x4xf32>
// CHECK: %[[ROWS:.*]] = fx.constant #flow.concat<[#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @e[1, 0]>]> -> tensor<4x8xf32>
// CHECK-NEXT: %[[MANY:.*]] = fx.call pure @aten.matmul.default(self: %[[CAT]], other: %[[ROWS]])
// CHECK-NEXT: %[[Z:.*]] = fx.call pure @aten.add.Tensor(self: %[[Y]], other: %[[MANY]])
// CHECK-NEXT: fx.return %[[Z]]
fx.program @mixed(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>, %s: !s = #fx.input<user_input>, %o: !f = #fx.input<user_input>) {
  %0 = steer.write %x, %f, %s, %o along [#flow.rows<decoder of @d[4, 2]>, #flow.sum<[1.0, 2.0] * #flow.rows<decoder of @d[7, 8]>>, #flow.rows<decoder of @e[1, 0]>] : !x, !f, !s, !f
  fx.return %0 : !x as [#fx.output<user_output>]
}

// Two matmuls with k rows; the gate is on the k numbers.
// CHECK-LABEL: fx.program @project(
// CHECK: %[[Q:.*]] = fx.constant #flow.basis<#flow.rows<decoder of @d[4, 2]>> -> tensor<2x8xf32>
// CHECK-NEXT: %[[IN:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[Q]]) : (tensor<?x?x8xf32>, tensor<2x8xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.where.ScalarOther(condition: %r, self: %[[IN]], other: 0.000000e+00)
// CHECK-NEXT: %[[OUT:.*]] = fx.call pure @aten.matmul.default(self: %[[G]], other: %[[Q]])
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.sub.Tensor(self: %x, other: %[[OUT]])
// CHECK-NEXT: fx.return %[[Y]]
fx.program @project(%x: !x = #fx.input<user_input>, %r: !r = #fx.input<user_input>) {
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] where %r : !r : !x
  fx.return %0 : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @project_always(
// CHECK: %[[IN:.*]] = fx.call pure @aten.linear.default
// CHECK-NEXT: fx.call pure @aten.matmul.default(self: %[[IN]],
fx.program @project_always(%x: !x = #fx.input<user_input>) {
  %0 = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[4, 2]>>] : !x
  fx.return %0 : !x as [#fx.output<user_output>]
}

// A value of norm zero stays zero.
// CHECK-LABEL: fx.program @rescale(
// CHECK-DAG: %[[OLD:.*]] = fx.call pure @aten.linalg_vector_norm.default(self: %z, ord: 2, dim: [-1], keepdim: true)
// CHECK-DAG: %[[NEW:.*]] = fx.call pure @aten.linalg_vector_norm.default(self: %x, ord: 2, dim: [-1], keepdim: true)
// CHECK-DAG: %[[ONE:.*]] = fx.constant dense<1.000000e+00> : tensor<1xf32>
// CHECK-DAG: %[[POS:.*]] = fx.call pure @aten.gt.Scalar(self: %[[NEW]], other: 0.000000e+00)
// CHECK: %[[SAFE:.*]] = fx.call pure @aten.where.self(condition: %[[POS]], self: %[[NEW]], other: %[[ONE]])
// CHECK-NEXT: %[[RATIO:.*]] = fx.call pure @aten.div.Tensor(self: %[[OLD]], other: %[[SAFE]])
// CHECK-NEXT: %[[X:.*]] = fx.call pure @aten.mul.Tensor(self: %x, other: %[[RATIO]])
// CHECK-NEXT: %[[Y:.*]] = fx.call pure @aten.where.self(condition: %g, self: %[[X]], other: %x)
// CHECK-NEXT: fx.return %[[Y]]
fx.program @rescale(%x: !x = #fx.input<user_input>, %g: !g = #fx.input<user_input>, %z: !x = #fx.input<user_input>) {
  %0 = steer.rescale %x like %z where %g : !g : !x
  fx.return %0 : !x as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @rescale_always(
// CHECK: %[[X:.*]] = fx.call pure @aten.mul.Tensor(self: %x,
// CHECK-NEXT: fx.return %[[X]]
fx.program @rescale_always(%x: !x = #fx.input<user_input>, %z: !x = #fx.input<user_input>) {
  %0 = steer.rescale %x like %z : !x
  fx.return %0 : !x as [#fx.output<user_output>]
}

// An output after those that the program has.
// CHECK-LABEL: fx.program @record(
// CHECK: %[[A:.*]] = fx.call pure @aten.where.ScalarOther(condition: %g, self: %f, other: 0.000000e+00)
// CHECK-NEXT: fx.return %x, %[[A]], %s : {{.*}} as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
fx.program @record(%x: !x = #fx.input<user_input>, %f: !f = #fx.input<user_input>, %s: !s = #fx.input<user_input>, %g: !g = #fx.input<user_input>) {
  steer.record %f as "first" [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>] where %g : !g : !f
  steer.record %s as "second" [#flow.feature<@sae, res, 0, 1>] : !s
  fx.return %x : !x as [#fx.output<user_output>]
}
