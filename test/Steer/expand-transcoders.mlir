// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Transcoders read at one place and write at others.

// Each layer gets the change of the same activation along its own rows. The
// encoder is that of the layer the feature is of.
// CHECK: fx.site 0/mid of %e
// CHECK: steer.patch %d0 at <0/mlp>
// CHECK: steer.read %e of @c.mlp.0 [5]
// CHECK: steer.strength 3.0
// CHECK: steer.write {{.*}}#flow.rows<decoder of @c.mlp.0[5]>, #flow.rows<decoder of @c.mlp.0[4]>
// CHECK: steer.patch %d1 at <1/mlp>
// CHECK: steer.read %e of @c.mlp.0 [5]
// CHECK: steer.strength 3.0
// CHECK: steer.write {{.*}}#flow.rows<decoder of @c.mlp.0.to.1[5]>, #flow.rows<decoder of @c.mlp.0.to.1[4]>
// CHECK-NOT: steer.record
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 0
flow.dictionary @c.mlp.0.to.1 of @c at <1/mlp> reads <0/mid> features 6 width 8 activation <relu>
flow.dictionary @c.mlp.0 of @c at <0/mlp> reads <0/mid> features 6 width 8 activation <relu> further [@c.mlp.0.to.1]
%f = flow.select [#flow.feature<@c:0/mlp/5>]
%g = flow.select [#flow.feature<@c:0/mlp/4>]
steer.policy @off #steer.ablate on %f
steer.policy @push #steer.add<#steer.linear<3.0, 1.0>> on %g
steer.policy @seen #steer.record on %f
steer.plan @a [@off, @push, @seen]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %m0 = fx.site 0/mid of %e : tensor<?x?x8xf32>
  %d0 = fx.call @aten.linear.default(input = %m0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %l0 = fx.site 0/mlp of %d0 : tensor<?x?x8xf32>
  %d1 = fx.call @aten.linear.default(input = %l0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %l1 = fx.site 1/mlp of %d1 : tensor<?x?x8xf32>
  fx.return %l1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 0
flow.dictionary @c.mlp.0.to.1 of @c at <1/mlp> reads <0/mid> features 6 width 8 activation <relu>
flow.dictionary @c.mlp.0 of @c at <0/mlp> reads <0/mid> features 6 width 8 activation <relu> further [@c.mlp.0.to.1]
%f = flow.select [#flow.feature<@c:0/mlp/5>]
// expected-error @below {{the features of @c are a cross-layer transcoder's, which says itself at which layers they are written: leave out 'layers'}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f layers <range, 0, 1>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  fx.return %e : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Two writes of one feature are one error, at the layer it is of.
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 0
flow.dictionary @c.mlp.0.to.1 of @c at <1/mlp> reads <0/mid> features 6 width 8 activation <relu>
flow.dictionary @c.mlp.0 of @c at <0/mlp> reads <0/mid> features 6 width 8 activation <relu> further [@c.mlp.0.to.1]
%f = flow.select [#flow.feature<@c:0/mlp/5>]
// expected-note @below {{the other one is here}}
steer.policy @off #steer.ablate on %f
// expected-error @below {{'pin' and 'off' both say what feature 0/mlp/5 becomes in plan 'a'}}
steer.policy @pin #steer.set<3.0> on %f
// expected-note @below {{the plan is here}}
steer.plan @a [@off, @pin]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  fx.return %e : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// Layers that the model does not have are not left out in silence.
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 0
flow.dictionary @c.mlp.0.to.1 of @c at <1/mlp> reads <0/mid> features 6 width 8 activation <relu>
flow.dictionary @c.mlp.0 of @c at <0/mlp> reads <0/mid> features 6 width 8 activation <relu> further [@c.mlp.0.to.1]
%f = flow.select [#flow.feature<@c:0/mlp/5>]
// expected-error @below {{the model has no site 1/mlp; its layers are 0 to 0}}
steer.policy @off #steer.ablate on %f
steer.plan @a [@off]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %m0 = fx.site 0/mid of %e : tensor<?x?x8xf32>
  %l0 = fx.site 0/mlp of %m0 : tensor<?x?x8xf32>
  fx.return %l0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
