// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | weir-opt | FileCheck %s
// Scopes that follow a row's tokens, as text.

!n = tensor<?x?xi64>
!h = tensor<3x65xi64>

// CHECK-LABEL: steer.policy @all_of_it
// CHECK-SAME: tokens <set = sampled, to = 9, skip_first = 2, markers = <after = [5], until = ["</s>", 7], opens = ["<think>"], closes = ["</think>", 9]>, over = 32, half = 6.400000e+01 : f64>
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @all_of_it #steer.ablate on %f tokens <set = sampled, to = 9, skip_first = 2,
    markers = <after = [5], until = ["</s>", 7], opens = ["<think>"], closes = ["</think>", 9]>, over = 32, half = 64.0>
// CHECK: tokens <markers = <until = [0]>>
steer.policy @a_part #steer.ablate on %f tokens <markers = <until = [0]>>
// CHECK: tokens <half = 5.000000e-01 : f64>
steer.policy @faster #steer.ablate on %f tokens <half = 0.5>

// CHECK-LABEL: fx.program @main
fx.program @main(%kept: !h = #fx.input<buffer "zeros"::"weir_tokens", transient>, %ids: !n = #fx.input<user_input>,
    %positions: !n = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %knobs: tensor<?x1xf32> = #fx.input<user_input>,
    %plan: tensor<?xi64> = #fx.input<user_input>) {
  // CHECK: %[[H:.*]] = steer.history %ids at %positions in %kept : tensor<?x?xi64>, tensor<?x?xi64>, tensor<3x65xi64>
  %h = steer.history %ids at %positions in %kept : !n, !n, !h
  // CHECK-NEXT: steer.marked %positions in %[[H]] <after = [5], opens = [1, 2], closes = [3]> : tensor<?x?xi64>, tensor<3x65xi64>
  %g = steer.marked %positions in %h <after = [5], opens = [1, 2], closes = [3]> : !n, !h
  // CHECK-NEXT: %[[R:.*]] = steer.ramp %positions, %length in %[[H]] <markers = <after = [5]>, over = 32> : tensor<?x?xi64>, tensor<?xi64>, tensor<3x65xi64>
  %r = steer.ramp %positions, %length in %h <markers = <after = [5]>, over = 32> : !n, tensor<?xi64>, !h
  // CHECK-NEXT: steer.ramp %positions, %length <set = generated, markers = <until = [5]>, half = 8.000000e+00 : f64> : tensor<?x?xi64>, tensor<?xi64>
  %s = steer.ramp %positions, %length <set = generated, markers = <until = [5]>, half = 8.0> : !n, tensor<?xi64>
  // CHECK-NEXT: steer.ramp %length, %length <over = 2> : tensor<?xi64>, tensor<?xi64>
  %flat = steer.ramp %length, %length <over = 2> : tensor<?xi64>, tensor<?xi64>
  // CHECK-NEXT: %[[K:.*]] = steer.knob_value
  %k = steer.knob_value %knobs 0 : tensor<?x1xf32>
  // CHECK-NEXT: %[[P:.*]] = steer.product %[[K]], %[[R]] : tensor<?x1x1xf32>, tensor<?x?x1xf32>
  %p = steer.product %k, %r : tensor<?x1x1xf32>, tensor<?x?x1xf32>
  %slot = steer.slot %plan in [1, 0] : tensor<?xi64>
  %marks = steer.lookup %slot : tensor<?xi64> in dense<[[-2, -2], [5, 9]]> : tensor<2x2xi64>
  %at = steer.lookup %slot : tensor<?xi64> in dense<[[0], [3]]> : tensor<2x1xi64>
  %number = steer.lookup %slot : tensor<?xi64> in dense<[[1.0], [3.0]]> : tensor<2x1xf32>
  // CHECK: steer.row_marked %positions in %[[H]] after %[[IDS:.*]] : tensor<?x1x2xi64> opens %[[IDS]] : tensor<?x1x2xi64> closes %[[IDS]] : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<3x65xi64>
  %row = steer.row_marked %positions in %h after %marks : tensor<?x1x2xi64> opens %marks : tensor<?x1x2xi64> closes %marks : tensor<?x1x2xi64> : !n, !h
  // CHECK-NEXT: steer.row_marked %positions in %[[H]] until %[[IDS]] : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<3x65xi64>
  %until = steer.row_marked %positions in %h until %marks : tensor<?x1x2xi64> : !n, !h
  // CHECK-NEXT: steer.row_ramp %positions, %length in %[[H]] : tensor<3x65xi64> from %[[AT:.*]] : tensor<?x1x1xi64> first %[[AT]] : tensor<?x1x1xi64> opens %[[IDS]] : tensor<?x1x2xi64> over %[[N:.*]] : tensor<?x1x1xf32> half %[[N]] : tensor<?x1x1xf32> : tensor<?x?xi64>, tensor<?xi64>
  %rows = steer.row_ramp %positions, %length in %h : !h from %at : tensor<?x1x1xi64> first %at : tensor<?x1x1xi64> opens %marks : tensor<?x1x2xi64> over %number : tensor<?x1x1xf32> half %number : tensor<?x1x1xf32> : !n, tensor<?xi64>
  // CHECK-NEXT: steer.row_ramp %positions, %length from %[[AT]] : tensor<?x1x1xi64> half %[[N]] : tensor<?x1x1xf32> : tensor<?x?xi64>, tensor<?xi64>
  %half = steer.row_ramp %positions, %length from %at : tensor<?x1x1xi64> half %number : tensor<?x1x1xf32> : !n, tensor<?xi64>
  // CHECK-NEXT: fx.return %{{.*}}, %[[P]] : tensor<?x?x1xi1>, tensor<?x?x1xf32>
  fx.return %g, %p : tensor<?x?x1xi1>, tensor<?x?x1xf32> as [#fx.output<user_output>, #fx.output<user_output>]
}
steer.knob @k default 1.0
steer.plan @a []
steer.plan @b []
