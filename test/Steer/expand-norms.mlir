// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// The norm of a token comes last, against the value before any edit.

// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[O:.*]] = steer.in_plans %plan [0, 1]
// CHECK: steer.patch %a at <res, 1> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[W:.*]] = steer.write %[[H]]
// CHECK: %[[P:.*]] = steer.project %[[W]] {{.*}} where %[[O]]
// CHECK: %[[R:.*]] = steer.rescale %[[P]] like %[[H]] where %[[G]] : tensor<?x1x1xi1>
// CHECK: steer.yield %[[R]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on @f preserve_norm
steer.policy @q #steer.project_out on @f
steer.plan @a [@p, @q]
steer.plan @b [@q]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site neuron 1 of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site mlp 1 of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site res 2 of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Several policies that keep the norm: where any of them holds, once.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[T:.*]] = steer.all %[[G]], %{{.*}} : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.patch
// CHECK: %[[ANY:.*]] = steer.any %[[G]], %[[T]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.rescale %{{.*}} where %[[ANY]] : tensor<?x?x1xi1>
// CHECK-NOT: steer.rescale
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
flow.features @g [#flow.feature<@sae, res, 1, 6>]
steer.policy @p #steer.add<#steer.constant<2.0>> on @f preserve_norm
steer.policy @q #steer.ablate on @g tokens <set = last> preserve_norm
steer.plan @a [@p, @q]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site neuron 1 of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site mlp 1 of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site res 2 of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Without the word nothing is rescaled.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: steer.rescale
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on @f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site neuron 1 of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site mlp 1 of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site res 2 of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
