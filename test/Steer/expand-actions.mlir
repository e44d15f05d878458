// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// What each action becomes.

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [3.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.set<3.0> on %f
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

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [3.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] only_active where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.set<3.0> on %f only_active
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

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.scale_by %[[F]] [-1.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.scale<-1.0> on %f
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

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.clamp_to %[[F]] min 5.000000e-01 max 2.000000e+00 :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.clamp<min = 0.5 : f64, max = 2.0 : f64> on %f
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

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.clamp_to %[[F]] max 2.000000e+00 :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] only_active where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.clamp<max = 2.0 : f64> on %f only_active
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

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [0.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.ablate on %f
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

// A normalised dictionary's edits are brought back to the size of the value;
// what is added is not in its units.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5] activation <relu> normalization <layer_norm> size 16
// CHECK: %[[S:.*]] = steer.input_scale %[[H]] <layer_norm>
// CHECK: steer.delta %[[F]] to %{{.*}} scaled by %[[S]]
// CHECK-NOT: input_scale
// CHECK: steer.strength
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu> normalization <layer_norm>
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.ablate on %f
steer.policy @q #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p, @q]
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

// Neurons: read where they are, written where the projection goes.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %d at <1/mlp> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %u of @neurons.mlp.1 [5] activation <identity> size 8 gather
// CHECK: steer.delta %[[F]]
// CHECK: steer.write %[[H]], %{{.*}} along [#flow.rows<decoder of @neurons.mlp.1[5]>]
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @neurons.mlp.1 of @neurons at <1/mlp> reads <1/neuron> features 8 width 8 activation <identity>
%f = flow.select [#flow.feature<@neurons:1/mlp/5>]
steer.policy @p #steer.ablate on %f
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
