// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt --mlir-print-op-generic %s | weir-opt | FileCheck %s
// Every operation on tables, printed and read again; types are inferred.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu> normalization <layer_norm>
flow.dictionary @n of @sae at <0/res> reads <0/neuron> features 8 width 8 activation <identity>
steer.plan @plan0 []
steer.plan @plan1 []
steer.plan @plan2 []

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!g = tensor<?x?x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>,
                 %positions: tensor<?x?xi64> = #fx.input<user_input>,
                 %length: tensor<?xi64> = #fx.input<user_input>,
                 %plan: tensor<?xi64> = #fx.input<user_input>,
                 %knobs: tensor<?x2xf32> = #fx.input<user_input>) {
  // CHECK: %[[SLOT:.*]] = steer.slot %plan in [1, 0, 2] : tensor<?xi64>
  %slot = steer.slot %plan in [1, 0, 2] : tensor<?xi64>
  // CHECK: %[[ROWS:.*]] = steer.lookup %[[SLOT]] : tensor<?xi64> in dense<{{\[\[}}0, 0], [0, 1], [2, 0]]> : tensor<3x2xi64>
  %rows = steer.lookup %slot : tensor<?xi64> in dense<[[0, 0], [0, 1], [2, 0]]> : tensor<3x2xi64>
  // CHECK: %[[NUMBERS:.*]] = steer.lookup {{.*}} : tensor<3x2xf32>
  %numbers = steer.lookup %slot : tensor<?xi64> in dense<[[0.0, 0.0], [1.5, 2.0], [3.0, 0.0]]> : tensor<3x2xf32>
  // CHECK: %[[FLAGS:.*]] = steer.lookup {{.*}} : tensor<3x2xi1>
  %flags = steer.lookup %slot : tensor<?xi64> in dense<[[false, false], [true, true], [true, false]]> : tensor<3x2xi1>
  // CHECK: %[[ON:.*]] = steer.lookup {{.*}} : tensor<3x1xi1>
  %on = steer.lookup %slot : tensor<?xi64> in dense<[[false], [true], [true]]> : tensor<3x1xi1>
  // CHECK: %[[ONE:.*]] = steer.lookup {{.*}} : tensor<3x1xf32>
  %one = steer.lookup %slot : tensor<?xi64> in dense<[[0.0], [0.5], [2.0]]> : tensor<3x1xf32>
  // CHECK: %[[BOUND:.*]] = steer.lookup {{.*}} : tensor<3x1xi64>
  %bound = steer.lookup %slot : tensor<?xi64> in dense<[[0], [1], [1]]> : tensor<3x1xi64>
  // CHECK: %[[KNOB:.*]] = steer.row_knob %knobs at %[[BOUND]] : tensor<?x2xf32>, tensor<?x1x1xi64>
  %knob = steer.row_knob %knobs at %bound : tensor<?x2xf32>, tensor<?x1x1xi64>
  // CHECK: %[[TOKENS:.*]] = steer.row_tokens %positions, %length from %[[BOUND]] : tensor<?x1x1xi64> to %[[BOUND]] : tensor<?x1x1xi64> first %[[BOUND]] : tensor<?x1x1xi64> last %[[BOUND]] : tensor<?x1x1xi64> listed %[[ROWS]] : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<?xi64>
  %tokens = steer.row_tokens %positions, %length from %bound : tensor<?x1x1xi64> to %bound : tensor<?x1x1xi64>
      first %bound : tensor<?x1x1xi64> last %bound : tensor<?x1x1xi64> listed %rows : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<?xi64>
  // CHECK: %[[GATE:.*]] = steer.all %[[ON]], %[[TOKENS]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
  %gate = steer.all %on, %tokens : tensor<?x1x1xi1>, !g
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    // CHECK: %[[F:.*]] = steer.row_read %[[H:.*]] at %[[ROWS]] of @d [4, 2, 9] activation <jumprelu> normalization <layer_norm> size 16 : tensor<?x?x8xf32>, tensor<?x1x2xi64>
    %f = steer.row_read %h at %rows of @d [4, 2, 9] activation <jumprelu> normalization <layer_norm> size 16 : !x, tensor<?x1x2xi64>
    // CHECK: steer.row_read %x at %[[BOUND]] of @n [7, 1] activation <identity> size 8 gather : tensor<?x?x8xf32>, tensor<?x1x1xi64>
    %n = steer.row_read %x at %bound of @n [7, 1] activation <identity> size 8 gather : !x, tensor<?x1x1xi64>
    // CHECK: %[[HOLDS:.*]] = steer.row_compare %{{.*}} above %[[ONE]] : tensor<?x1x1xf32> below %[[ONE]] : tensor<?x1x1xf32> : tensor<?x?x1xf32>
    %holds = steer.row_compare %n above %one : !k below %one : !k : tensor<?x?x1xf32>
    // CHECK: %[[V:.*]] = steer.row_set %[[F]] to %[[NUMBERS]] times %[[KNOB]] : tensor<?x1x1xf32> : tensor<?x?x2xf32>, tensor<?x1x2xf32>
    %v = steer.row_set %f to %numbers times %knob : !k : !f, tensor<?x1x2xf32>
    // CHECK: steer.row_scale %[[V]] by %[[NUMBERS]] : tensor<?x?x2xf32>, tensor<?x1x2xf32>
    %u = steer.row_scale %v by %numbers : !f, tensor<?x1x2xf32>
    // CHECK: %[[W:.*]] = steer.row_clamp %{{.*}} min %[[NUMBERS]] : tensor<?x1x2xf32> max %[[NUMBERS]] : tensor<?x1x2xf32> : tensor<?x?x2xf32>
    %w = steer.row_clamp %u min %numbers : tensor<?x1x2xf32> max %numbers : tensor<?x1x2xf32> : !f
    %both = steer.all %gate, %holds : !g, !g
    %delta = steer.delta %f to %w where %both : !g : !f
    // CHECK: %[[KEPT:.*]] = steer.row_keep %{{.*}} where %[[FLAGS]] : tensor<?x?x2xf32>, tensor<?x1x2xi1>
    %kept = steer.row_keep %delta where %flags : !f, tensor<?x1x2xi1>
    // CHECK: %[[S:.*]] = steer.row_strength %[[ONE]] times %[[KNOB]] : tensor<?x1x1xf32> where %[[GATE]] : tensor<?x?x1xi1> : tensor<?x1x1xf32>
    %s = steer.row_strength %one times %knob : !k where %gate : !g : !k
    // CHECK: %[[A:.*]] = steer.row_write %[[H]], %[[KEPT]] at %[[ROWS]] along [#flow.rows<decoder of @d[4, 2, 9]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x1x2xi64>
    %a = steer.row_write %h, %kept at %rows along [#flow.rows<decoder of @d[4, 2, 9]>] : !x, !f, tensor<?x1x2xi64>
    // CHECK: %[[B:.*]] = steer.row_write %[[A]], %[[S]] at %[[BOUND]]
    %b = steer.row_write %a, %s at %bound along [#flow.rows<decoder of @d[4, 2]>] : !x, tensor<?x?x1xf32>, tensor<?x1x1xi64>
    // CHECK: %[[C:.*]] = steer.row_project %[[B]] out of [#flow.basis<#flow.rows<decoder of @d[4, 2, 9]>>] at %[[ROWS]] columns %[[FLAGS]] : tensor<?x1x2xi1> where %[[GATE]] : tensor<?x?x1xi1> : tensor<?x?x8xf32>, tensor<?x1x2xi64>
    %c = steer.row_project %b out of [#flow.basis<#flow.rows<decoder of @d[4, 2, 9]>>] at %rows columns %flags : tensor<?x1x2xi1> where %gate : !g : !x, tensor<?x1x2xi64>
    steer.yield %c : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
