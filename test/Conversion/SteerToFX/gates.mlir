// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s
// Gates and knobs. No scope holds at padding, whose position is -1.

steer.plan @a []
steer.plan @b []
steer.plan @c []
steer.knob @faith default 1.0
steer.knob @free default 1.0

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @every(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[REAL:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 0)
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[REAL]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @every(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// Padding is below every length.
// CHECK-LABEL: fx.program @prompt(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.lt.Tensor(self: %positions, other: %[[L]]) : (tensor<?x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
// CHECK-NEXT: %[[REAL:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 0)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[REAL]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @prompt(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = prompt> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @generated(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.ge.Tensor(self: %positions, other: %[[L]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[P]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @generated(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = generated> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// An empty prompt has no last token, and padding is none.
// CHECK-LABEL: fx.program @last(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK-NEXT: %[[M:.*]] = fx.call pure @aten.add.Tensor(self: %[[L]], other: -1)
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.eq.Tensor(self: %positions, other: %[[M]])
// CHECK-NEXT: %[[REAL:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 0)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[REAL]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @last(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = last> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// However many positions there are, they are one list and one search.
// CHECK-LABEL: fx.program @positions(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[L:.*]] = fx.constant dense<[3, 1]> : tensor<2xi64>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.isin.Tensor_Tensor(elements: %positions, test_elements: %[[L]]) : (tensor<?x?xi64>, tensor<2xi64>) -> tensor<?x?xi1>
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[P]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @positions(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <positions = [3, 1]> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @from(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 2)
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[P]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @from(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <from = 2> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @to(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[REAL:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 0)
// CHECK-NEXT: %[[T:.*]] = fx.call pure @aten.le.Scalar(self: %positions, other: 4)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[REAL]], other: %[[T]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @to(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <to = 4> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @skip(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 3)
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[P]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @skip(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <skip_first = 3> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// The larger of the two begins.
// CHECK-LABEL: fx.program @from_and_skip(
// CHECK: %length: tensor<?xi64> = #fx.input<user_input>) {
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 3)
// CHECK-NEXT: %[[T:.*]] = fx.call pure @aten.le.Scalar(self: %positions, other: 9)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[T]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @from_and_skip(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <from = 2, to = 9, skip_first = 3> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// What begins somewhere excludes padding by itself.
// CHECK-LABEL: fx.program @prompt_from(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.lt.Tensor(self: %positions, other: %[[L]])
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.ge.Scalar(self: %positions, other: 2)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[F]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @prompt_from(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = prompt, from = 2> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @generated_to(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.ge.Tensor(self: %positions, other: %[[L]])
// CHECK-NEXT: %[[T:.*]] = fx.call pure @aten.le.Scalar(self: %positions, other: 9)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[T]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @generated_to(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = generated, to = 9> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @last_at(
// CHECK: %[[L:.*]] = fx.call pure @aten.unsqueeze.default(self: %length, dim: 1) : (tensor<?xi64>) -> tensor<?x1xi64>
// CHECK: %[[P:.*]] = fx.call pure @aten.eq.Tensor(self: %positions,
// CHECK: %[[A:.*]] = fx.call pure @aten.eq.Scalar(self: %positions, other: 3)
// CHECK-NEXT: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[P]], other: %[[A]])
// CHECK-NEXT: %[[U:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[G]], dim: 2) : (tensor<?x?xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: fx.return %[[U]]
fx.program @last_at(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.tokens %positions, %length <set = last, positions = [3]> : tensor<?x?xi64>, tensor<?xi64>
  fx.return %0 : !g as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @in_plans(
// CHECK: %[[L:.*]] = fx.constant dense<[0, 2]> : tensor<2xi64>
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.isin.Tensor_Tensor(elements: %plan, test_elements: %[[L]]) : (tensor<?xi64>, tensor<2xi64>) -> tensor<?xi1>
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[C]], dim: 1) : (tensor<?xi1>) -> tensor<?x1xi1>
// CHECK-NEXT: %[[E:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[D]], dim: 2) : (tensor<?x1xi1>) -> tensor<?x1x1xi1>
// CHECK-NEXT: fx.return %[[E]]
fx.program @in_plans(%plan: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.in_plans %plan [0, 2] : tensor<?xi64>
  fx.return %0 : !r as [#fx.output<user_output>]
}

// No plan: also not -1, which is no plan.
// CHECK-LABEL: fx.program @in_no_plan(
// CHECK: fx.call pure @aten.lt.Scalar(self: %plan, other: -1)
fx.program @in_no_plan(%plan: tensor<?xi64> = #fx.input<user_input>) {
  %0 = steer.in_plans %plan [] : tensor<?xi64>
  fx.return %0 : !r as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @compare(
// CHECK: %[[A:.*]] = fx.call pure @aten.gt.Scalar(self: %s, other: 5.000000e-01)
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.lt.Scalar(self: %s, other: 1.500000e+00)
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.logical_and.default(self: %[[A]], other: %[[B]])
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.gt.Scalar(self: %s, other: 0.000000e+00)
// CHECK-NEXT: %[[E:.*]] = fx.call pure @aten.lt.Scalar(self: %s, other: 0.000000e+00)
// CHECK-NEXT: fx.return %[[C]], %[[D]], %[[E]]
fx.program @compare(%s: !s = #fx.input<user_input>) {
  %0 = steer.compare %s above 0.5 below 1.5 : !s
  %1 = steer.compare %s above 0.0 : !s
  %2 = steer.compare %s below 0.0 : !s
  fx.return %0, %1, %2 : !g, !g, !g as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: fx.program @join(
// CHECK: %[[A:.*]] = fx.call pure @aten.logical_and.default(self: %r, other: %g) : (tensor<?x1x1xi1>, tensor<?x?x1xi1>) -> tensor<?x?x1xi1>
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.logical_and.default(self: %[[A]], other: %r)
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.logical_or.default(self: %g, other: %r)
// CHECK-NEXT: fx.return %[[B]], %[[C]]
fx.program @join(%g: !g = #fx.input<user_input>, %r: !r = #fx.input<user_input>) {
  %0 = steer.all %r, %g, %r : !r, !g, !r
  %1 = steer.any %g, %r : !g, !r
  fx.return %0, %1 : !g, !g as [#fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: fx.program @knob(
// CHECK: %[[A:.*]] = fx.call pure @aten.select.int(self: %knobs, dim: 1, index: 1) : (tensor<?x2xf32>) -> tensor<?xf32>
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[A]], dim: 1) : (tensor<?xf32>) -> tensor<?x1xf32>
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[B]], dim: 2) : (tensor<?x1xf32>) -> tensor<?x1x1xf32>
// CHECK-NEXT: fx.return %[[C]]
fx.program @knob(%knobs: tensor<?x2xf32> = #fx.input<user_input>) {
  %0 = steer.knob_value %knobs 1 : tensor<?x2xf32>
  fx.return %0 : !k as [#fx.output<user_output>]
}
