// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// All numbers of sites as outputs, at the end of the program: before the edits of
// the site or behind them, whatever the condition reads.

// CHECK-LABEL: fx.program @main
// CHECK: %[[X:.*]] = fx.call @aten.linear.default
// CHECK: %[[P:.*]] = steer.patch %[[X]] at <1/res>
// CHECK: %[[F:.*]] = steer.read %[[X]] of @sae.res.1 [7]
// CHECK: %[[W:.*]] = steer.compare %[[F]] above
// CHECK: %[[G:.*]] = steer.all %{{.*}}, %[[W]]
// CHECK: steer.record_value %{{.*}} of <0/res> as "raw.res.0" where %[[G]] : tensor<?x?x1xi1> : tensor<?x?x8xf32>
// CHECK-NEXT: steer.record_value %[[X]] of <1/res> as "raw.res.1" where %[[G]]
// CHECK: steer.record_value %[[P]] of <1/res> as "left.res.1" where
// CHECK-NEXT: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 1 to 1
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>]
%none = flow.select []
steer.policy @s #steer.set<3.0> on %f
steer.policy @raw #steer.record_value<[<0/res>, <1/res>]> on %none when #steer.when<feature = <@sae:1/res/7>, above = 0.5 : f64>
steer.policy @left #steer.record_value<[<1/res>] after = true> on %none
steer.plan @a [@raw, @s, @left]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// No dictionary is needed. Where nothing is edited, both are the same.
// CHECK-LABEL: fx.program @main
// CHECK: %[[X:.*]] = fx.call @aten.linear.default
// CHECK: steer.record_value %[[X]] of <1/res> as "left.res.1" where
%none = flow.select []
steer.policy @left #steer.record_value<[<1/res>] after = true> on %none
steer.plan @a [@left]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

%none = flow.select []
// expected-error @below {{the model has no site 1/mlp; its layers are 0 to 1}}
steer.policy @raw #steer.record_value<[<1/res>, <1/mlp>]> on %none
steer.plan @a [@raw]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
