// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt --mlir-print-op-generic %s | weir-opt | FileCheck %s
// Every operation of the dialect, printed and read again.

// CHECK: steer.model "smollm2.pt2"
steer.model "smollm2.pt2"
// CHECK: steer.model "other.pt2" sites {mlp = "h.{layer}.mlp", res = "h.{layer}"}
steer.model "other.pt2" sites {res = "h.{layer}", mlp = "h.{layer}.mlp"}
// CHECK: steer.model{{$}}
steer.model

// CHECK: steer.knob @faith default 1.000000e+00 range 0.000000e+00 to 8.000000e+00
steer.knob @faith default 1.0 range 0.0 to 8.0
// CHECK: steer.knob @free default -5.000000e-01{{$}}
steer.knob @free default -0.5

steer.policy @p #steer.ablate on @f
steer.policy @q #steer.ablate on @f

// CHECK: steer.plan @default [@p, @q]
steer.plan @default [@p, @q]
// CHECK: steer.plan @plain []
steer.plan @plain []
// CHECK: steer.plan @other [@q]
steer.plan @other [@q]

flow.dictionary @d of @sae at <res, 3> reads <res, 3> features 16 width 8 activation <jumprelu> normalization <layer_norm>
flow.dictionary @n of @neurons at <mlp, 3> reads <neuron, 3> features 8 width 8 activation <identity>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>
!s = tensor<?x?x1xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>,
                 %half: tensor<?x?x8xbf16> = #fx.input<user_input>,
                 %positions: tensor<?x?xi64> = #fx.input<user_input>,
                 %length: tensor<?xi64> = #fx.input<user_input>,
                 %plan: tensor<?xi64> = #fx.input<user_input>,
                 %knobs: tensor<?x2xf32> = #fx.input<user_input>) {
  // CHECK: %[[PLANS:.*]] = steer.in_plans %plan [0, 2] : tensor<?xi64>
  %plans = steer.in_plans %plan [0, 2] : tensor<?xi64>
  // CHECK: %[[TOKENS:.*]] = steer.tokens %positions, %length <set = last, skip_first = 2> : tensor<?x?xi64>, tensor<?xi64>
  %tokens = steer.tokens %positions, %length <set = last, skip_first = 2> : tensor<?x?xi64>, tensor<?xi64>
  // CHECK: %[[ALL:.*]] = steer.all %[[PLANS]], %[[TOKENS]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
  %all = steer.all %plans, %tokens : !r, !g
  // CHECK: %[[ANY:.*]] = steer.any %[[ALL]], %[[TOKENS]] : tensor<?x?x1xi1>, tensor<?x?x1xi1>
  %any = steer.any %all, %tokens : !g, !g
  // CHECK: %[[KNOB:.*]] = steer.knob_value %knobs 1 : tensor<?x2xf32>
  %knob = steer.knob_value %knobs 1 : tensor<?x2xf32>
  // CHECK: steer.patch %x at <res, 3> {
  // CHECK-NEXT: ^bb0(%[[H:.*]]: tensor<?x?x8xf32>):
  %y = steer.patch %x at <res, 3> {
  ^bb0(%h: !x):
    // CHECK: %[[F:.*]] = steer.read %[[H]] of @d [4, 2] activation <jumprelu> normalization <layer_norm> size 16 : tensor<?x?x8xf32>
    %f = steer.read %h of @d [4, 2] activation <jumprelu> normalization <layer_norm> size 16 : !x
    // CHECK: %[[N:.*]] = steer.read %x of @n [7] activation <identity> size 8 gather : tensor<?x?x8xf32>
    %n = steer.read %x of @n [7] activation <identity> size 8 gather : !x
    // CHECK: %[[PICK:.*]] = steer.pick %[[F]] [1] : tensor<?x?x2xf32>
    %pick = steer.pick %f [1] : !f
    // CHECK: %[[SCALE:.*]] = steer.input_scale %[[H]] <constant_norm> : tensor<?x?x8xf32>
    %scale = steer.input_scale %h <constant_norm> : !x
    // CHECK: %[[COMPARE:.*]] = steer.compare %[[PICK]] above 5.000000e-01 below 1.500000e+00 : tensor<?x?x1xf32>
    %compare = steer.compare %pick above 0.5 below 1.5 : !s
    // CHECK: %[[SET:.*]] = steer.set_to %[[F]] [1.000000e+00, -2.000000e+00] times %[[KNOB]] : tensor<?x1x1xf32> : tensor<?x?x2xf32>
    %set = steer.set_to %f [1.0, -2.0] times %knob : !k : !f
    // CHECK: %[[SCALED:.*]] = steer.scale_by %[[F]] [3.000000e+00] times %[[KNOB]] : tensor<?x1x1xf32> : tensor<?x?x2xf32>
    %scaled = steer.scale_by %f [3.0] times %knob : !k : !f
    // CHECK: %[[CLAMP:.*]] = steer.clamp_to %[[F]] min -1.000000e+00 max 1.000000e+00 : tensor<?x?x2xf32>
    %clamp = steer.clamp_to %f min -1.0 max 1.0 : !f
    // CHECK: %[[SUM:.*]] = steer.sum %[[SET]], %[[SCALED]] : tensor<?x?x2xf32>
    %sum = steer.sum %set, %scaled : !f
    // CHECK: %[[DELTA:.*]] = steer.delta %[[F]] to %[[SUM]] only_active where %[[COMPARE]] : tensor<?x?x1xi1> scaled by %[[SCALE]] : tensor<?x?x1xf32> : tensor<?x?x2xf32>
    %delta = steer.delta %f to %sum only_active where %compare : !g scaled by %scale : !s : !f
    // CHECK: %[[BARE:.*]] = steer.delta %[[N]] to %[[PICK]] : tensor<?x?x1xf32>
    %bare = steer.delta %n to %pick : !s
    // CHECK: %[[STRENGTH:.*]] = steer.strength 8.000000e+00 times %[[KNOB]] : tensor<?x1x1xf32> where %[[ANY]] : tensor<?x?x1xi1>
    %strength = steer.strength 8.0 times %knob : !k where %any : !g
    // CHECK: steer.record %[[CLAMP]] as "name" [#flow.feature<@sae, res, 3, 4>, #flow.feature<@sae, res, 3, 2>] where %[[ALL]] : tensor<?x?x1xi1> : tensor<?x?x2xf32>
    steer.record %clamp as "name" [#flow.feature<@sae, res, 3, 4>, #flow.feature<@sae, res, 3, 2>] where %all : !g : !f
    // CHECK: %[[W:.*]] = steer.write %[[H]], %[[DELTA]], %[[STRENGTH]] along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<unit_decoder of @d[1]>] : tensor<?x?x8xf32>, tensor<?x?x2xf32>, tensor<?x?x1xf32>
    %w = steer.write %h, %delta, %strength along [#flow.rows<decoder of @d[4, 2]>, #flow.rows<unit_decoder of @d[1]>] : !x, !f, !s
    // CHECK: %[[P:.*]] = steer.project %[[W]] out of [#flow.basis<#flow.rows<decoder of @d[1, 3]>>] where %[[PLANS]] : tensor<?x1x1xi1> : tensor<?x?x8xf32>
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[1, 3]>>] where %plans : !r : !x
    // CHECK: %[[R:.*]] = steer.rescale %[[P]] like %[[H]] where %[[TOKENS]] : tensor<?x?x1xi1> : tensor<?x?x8xf32>
    %r = steer.rescale %p like %h where %tokens : !g : !x
    // CHECK: steer.yield %[[R]] : tensor<?x?x8xf32>
    steer.yield %r : !x
  } : !x
  // CHECK: } : tensor<?x?x8xf32>
  // CHECK: steer.patch %half at <mlp, 0> {
  %z = steer.patch %half at <mlp, 0> {
  ^bb0(%h: tensor<?x?x8xbf16>):
    // CHECK: steer.yield %{{.*}} : tensor<?x?x8xbf16>
    steer.yield %h : tensor<?x?x8xbf16>
  } : tensor<?x?x8xbf16>
  fx.return %y, %z : !x, tensor<?x?x8xbf16> as [#fx.output<user_output>, #fx.output<user_output>]
}
