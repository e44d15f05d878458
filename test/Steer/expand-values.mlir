// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// All numbers of sites as outputs, at the end of the program: before the edits of
// the site or behind them, whatever the condition reads.

// CHECK-LABEL: fx.program @main
// CHECK: %[[X:.*]] = fx.call @aten.linear.default
// CHECK: %[[P:.*]] = steer.patch %[[X]] at <res, 1>
// CHECK: %[[F:.*]] = steer.read %[[X]] of @sae.res.1 [7]
// CHECK: %[[W:.*]] = steer.compare %[[F]] above
// CHECK: %[[G:.*]] = steer.all %{{.*}}, %[[W]]
// CHECK: steer.record_value %{{.*}} of <res, 0> as "raw.res.0" where %[[G]] : tensor<?x?x1xi1> : tensor<?x?x8xf32>
// CHECK-NEXT: steer.record_value %[[X]] of <res, 1> as "raw.res.1" where %[[G]]
// CHECK: steer.record_value %[[P]] of <res, 1> as "left.res.1" where
// CHECK-NEXT: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 1 to 1
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
flow.features @none []
steer.policy @s #steer.set<3.0> on @f
steer.policy @raw #steer.record_value<[<res, 0>, <res, 1>]> on @none when #steer.when<feature = <@sae, res, 1, 7>, above = 0.5 : f64>
steer.policy @left #steer.record_value<[<res, 1>] after = true> on @none
steer.plan @a [@raw, @s, @left]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// No dictionary is needed. Where nothing is edited, both are the same.
// CHECK-LABEL: fx.program @main
// CHECK: %[[X:.*]] = fx.call @aten.linear.default
// CHECK: steer.record_value %[[X]] of <res, 1> as "left.res.1" where
flow.features @none []
steer.policy @left #steer.record_value<[<res, 1>] after = true> on @none
steer.plan @a [@left]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

flow.features @none []
// expected-error @below {{the model has no site 1/mlp; its layers are 0 to 1}}
steer.policy @raw #steer.record_value<[<res, 1>, <mlp, 1>]> on @none
steer.plan @a [@raw]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site res 0 of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site res 1 of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
