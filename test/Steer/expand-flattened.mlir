// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// A program of flattened tokens is steered with a plan, a prompt length and knobs
// for each token.

// CHECK-LABEL: fx.program @main
// CHECK: %prompt_length: tensor<?xi64> = #fx.input<user_input>,
// CHECK-NEXT: %plan: tensor<?xi64> = #fx.input<user_input>,
// CHECK-NEXT: %knobs: tensor<?x1xf32> = #fx.input<user_input>) {
// CHECK-NEXT: %[[K:.*]] = steer.knob_value %knobs 0 flattened : tensor<?x1xf32>
// CHECK-NEXT: %[[A:.*]] = steer.in_plans %plan [0] flattened : tensor<?xi64>
// CHECK-NEXT: %[[T:.*]] = steer.tokens %positions, %prompt_length <set = generated> : tensor<?xi64>, tensor<?xi64>
// CHECK-NEXT: %[[G:.*]] = steer.all %[[A]], %[[T]] : tensor<?x1xi1>, tensor<?x1xi1>
// CHECK: steer.patch %e at <res, 0>
// CHECK: %[[F:.*]] = steer.read %{{.*}} of @sae.res.0 [5] {{.*}} : tensor<?x8xf32>
// CHECK: %[[WHEN:.*]] = steer.compare %{{.*}} above 5.000000e-01 : tensor<?x1xf32>
// CHECK: %[[ALL:.*]] = steer.all %[[G]], %[[WHEN]] : tensor<?x1xi1>, tensor<?x1xi1>
// CHECK: %[[D:.*]] = steer.delta %[[F]] to %{{.*}} where %[[ALL]] : tensor<?x1xi1> : tensor<?x1xf32>
// CHECK: steer.record %{{.*}} as "r" {{.*}} : tensor<?x1xi1> : tensor<?x1xf32>
// CHECK: %[[W:.*]] = steer.write %{{.*}}, %[[D]] along {{.*}} : tensor<?x8xf32>, tensor<?x1xf32>
// CHECK: steer.rescale %[[W]] like %{{.*}} where %[[ALL]] : tensor<?x1xi1> : tensor<?x8xf32>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
steer.knob @k default 1.0
flow.features @f [#flow.feature<@sae, res, 0, 5>]
steer.policy @p #steer.scale<2.0> on @f tokens <set = generated> when #steer.when<feature = <@sae, res, 0, 6>, above = 0.5> times @k preserve_norm
steer.policy @r #steer.record on @f
steer.plan @a [@p, @r]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?xi64> = #fx.input<user_input>, %positions: tensor<?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x8xf32>
  fx.return %r0 : tensor<?x8xf32> as [#fx.output<user_output>]
}

// -----

// Either all is flattened or nothing.
// expected-error @below {{the program cannot be steered: it needs the inputs `input_ids` and `positions`, both [batch, sequence] of int64, as `python -m weir export` makes them, or both [tokens]}}
fx.program @main(%input_ids: tensor<?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return []
}
