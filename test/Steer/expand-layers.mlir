// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Where an addition is written, and how strong.

// Own: each feature at its own layer and site.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 2.000000e+00 where
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.res.0[3]>]
// CHECK: steer.patch %d at <1/mlp>
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.mlp.1[4]>]
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.write %{{.*}} along [#flow.sum<[1.000000e+00, 1.000000e+00] * #flow.rows<decoder of @sae.res.2[5, 7]>>]
// CHECK-NOT: steer.patch
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@sae:1/mlp/4>, #flow.feature<@sae:2/res/5>, #flow.feature<@sae:2/res/7>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Cumulative: the row of layer 2 at every layer up to it that the collection
// covers. The schedule runs from the lowest layer written to the highest.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 5.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.strength 2.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK-NOT: steer.patch
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0, 2.0>> on %f layers <cumulative>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// The collection begins at layer 1.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: at <0/res>
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.strength 1.000000e+00 where
// CHECK-NOT: steer.patch
// CHECK: fx.return
flow.collection @late <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 1 to 2
flow.dictionary @late.res.2 of @late at <2/res> reads <2/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@late:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0>> on %f layers <cumulative>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A range, whatever the feature's own layer.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: along [#flow.rows<unit_decoder of @sae.res.2[5]>]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 4.85
// CHECK-NOT: steer.patch
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.exponential<8.0, -0.5> normalize = true> on %f layers <range, 0, 1>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A gaussian is largest at its center.
// CHECK-LABEL: fx.program @main
// CHECK: at <0/res>
// CHECK: steer.strength 4.85
// CHECK: at <1/res>
// CHECK: steer.strength 8.000000e+00
// CHECK: at <2/res>
// CHECK: steer.strength 4.85
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.gaussian<8.0, 1.0, 1.0>> on %f layers <cumulative>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// With one layer a linear schedule has its first value.
// CHECK-LABEL: fx.program @main
// CHECK: steer.strength 8.000000e+00
// CHECK-NOT: steer.strength
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0, 2.0>> on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A number that f64 cannot hold.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/res/5>]
// expected-error @below {{'steer.strength' op has a number that is not finite}}
steer.policy @p #steer.add<#steer.exponential<8.0, 1000.0>> on %f layers <cumulative>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
