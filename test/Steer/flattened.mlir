// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s --check-prefix=ATEN '--implicit-check-not== steer.'
// Tokens that are flattened have one dimension in front of the features.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
steer.plan @a []
steer.plan @b []
steer.knob @k default 1.0

!x = tensor<?x8xf32>
!f = tensor<?x2xf32>
!n = tensor<?xi64>

// CHECK-LABEL: fx.program @main
// ATEN-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>, %positions: !n = #fx.input<user_input>, %length: !n = #fx.input<user_input>, %plan: !n = #fx.input<user_input>, %knobs: tensor<?x1xf32> = #fx.input<user_input>) {
  // A plan, a prompt length and knobs for each token: no sequence to broadcast to.
  // CHECK: %[[PLANS:.*]] = steer.in_plans %plan [1] flattened : tensor<?xi64>
  // ATEN: %[[P:.*]] = fx.call pure @aten.eq.Scalar(self: %plan, other: 1)
  // ATEN-NEXT: %[[PLANS:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[P]], dim: 1) : (tensor<?xi1>) -> tensor<?x1xi1>
  %plans = steer.in_plans %plan [1] flattened : !n
  // CHECK-NEXT: %[[TOKENS:.*]] = steer.tokens %positions, %length <set = generated> : tensor<?xi64>, tensor<?xi64>
  // ATEN-NEXT: %[[T:.*]] = fx.call pure @aten.ge.Tensor(self: %positions, other: %length) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi1>
  // ATEN-NEXT: %[[TOKENS:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[T]], dim: 1) : (tensor<?xi1>) -> tensor<?x1xi1>
  %tokens = steer.tokens %positions, %length <set = generated> : !n, !n
  // CHECK-NEXT: %[[GATE:.*]] = steer.all %[[PLANS]], %[[TOKENS]] : tensor<?x1xi1>, tensor<?x1xi1>
  // ATEN-NEXT: %[[GATE:.*]] = fx.call pure @aten.logical_and.default(self: %[[PLANS]], other: %[[TOKENS]]) : (tensor<?x1xi1>, tensor<?x1xi1>) -> tensor<?x1xi1>
  %gate = steer.all %plans, %tokens : tensor<?x1xi1>, tensor<?x1xi1>
  // CHECK-NEXT: %[[KNOB:.*]] = steer.knob_value %knobs 0 flattened : tensor<?x1xf32>
  // ATEN-NEXT: %[[K:.*]] = fx.call pure @aten.select.int(self: %knobs, dim: 1, index: 0)
  // ATEN-NEXT: %[[KNOB:.*]] = fx.call pure @aten.unsqueeze.default(self: %[[K]], dim: 1) : (tensor<?xf32>) -> tensor<?x1xf32>
  %knob = steer.knob_value %knobs 0 flattened : tensor<?x1xf32>
  // CHECK: steer.patch %x at <res, 0> {
  %y = steer.patch %x at <res, 0> {
  // CHECK-NEXT: ^bb0(%[[H:.*]]: tensor<?x8xf32>):
  ^bb0(%h: !x):
    // CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @d [4, 2] activation <relu> size 16 : tensor<?x8xf32>
    // ATEN: fx.call pure @aten.linear.default(input: %x, {{.*}} -> tensor<?x2xf32>
    %f = steer.read %h of @d [4, 2] activation <relu> size 16 : !x
    // CHECK-NEXT: %[[V:.*]] = steer.scale_by %[[F]] [2.000000e+00] times %[[KNOB]] : tensor<?x1xf32> : tensor<?x2xf32>
    %v = steer.scale_by %f [2.0] times %knob : tensor<?x1xf32> : !f
    // CHECK-NEXT: %[[C:.*]] = steer.delta %[[F]] to %[[V]] where %[[GATE]] : tensor<?x1xi1> : tensor<?x2xf32>
    // ATEN: fx.call pure @aten.where.ScalarOther(condition: %[[GATE]], {{.*}} -> tensor<?x2xf32>
    %c = steer.delta %f to %v where %gate : tensor<?x1xi1> : !f
    // CHECK-NEXT: %[[S:.*]] = steer.strength 1.000000e+00 times %[[KNOB]] : tensor<?x1xf32> where %[[PLANS]] : tensor<?x1xi1>
    %s = steer.strength 1.0 times %knob : tensor<?x1xf32> where %plans : tensor<?x1xi1>
    // CHECK-NEXT: steer.write %[[H]], %[[C]], %[[S]] along {{.*}} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x1xf32>
    // ATEN: fx.call pure @aten.matmul.default(self: {{.*}} -> tensor<?x8xf32>
    // ATEN-NEXT: %[[Y:.*]] = fx.call pure @aten.add.Tensor(self: {{.*}} -> tensor<?x8xf32>
    %w = steer.write %h, %c, %s along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<decoder of @d[1]>] : !x, !f, tensor<?x1xf32>
    steer.yield %w : !x
  } : !x
  // ATEN-NEXT: fx.return %[[Y]]
  fx.return %y : !x as [#fx.output<user_output>]
}
