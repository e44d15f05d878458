// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Sites that the model does not have, and values that do not fit.

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
// expected-error @below {{the model has no site 7/res; its layers are 0 to 2}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f layers <range, 7, 7>
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/mlp/5>]
// expected-error @below {{feature 2/mlp/5 has no dictionary that was opened}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// Every policy of a missing site is named.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.mlp.2 of @sae at <2/mlp> reads <2/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:2/mlp/5>]
// expected-error @below {{the model has no site 2/mlp}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
// expected-error @below {{the model has no site 2/mlp}}
steer.policy @q #steer.ablate on %f
steer.plan @a [@p, @q]
// FIXTURE model

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 12 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{the dictionary's rows do not fit the model: they have 12 numbers, the value at 1/res has 8}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// A condition reads with rows too.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 12 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{the dictionary's rows do not fit the model: they have 12 numbers, the value at 0/res has 8}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f when #steer.when<feature = <@sae:0/res/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

// And so does a transfer.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 12 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{the dictionary's rows do not fit the model: they have 12 numbers, the value at 0/res has 8}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// Neurons are as many as their value has columns.
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @neurons.mlp.1 of @neurons at <1/mlp> reads <1/neuron> features 16 width 8 activation <identity>
%f = flow.select [#flow.feature<@neurons:1/mlp/5>]
// expected-error @below {{the dictionary's rows do not fit the model: they have 16 numbers, the value at 1/neuron has 8}}
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// f64 would lose bits that are not edited.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{the value at 1/res is of f64, and edits are made in f32}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf64> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf64>, tensor<?x?xi64>) -> tensor<?x?x8xf64>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf64>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf64>, tensor<8x8xf64>) -> tensor<?x?x8xf64>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xf64>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xf64>, tensor<8x8xf64>) -> tensor<?x?x8xf64>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xf64>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xf64>, tensor<?x?x8xf64>) -> tensor<?x?x8xf64>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xf64>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xf64>, tensor<8x8xf64>) -> tensor<?x?x8xf64>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xf64>
  fx.return %r2 : tensor<?x?x8xf64> as [#fx.output<user_output>]
}

// -----

// bf16 is read and written in its own type.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.read %{{.*}} : tensor<?x?x8xbf16>
// CHECK: steer.write %{{.*}} : tensor<?x?x8xbf16>, tensor<?x?x1xf32>
// CHECK: } : tensor<?x?x8xbf16>
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xbf16> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xbf16>, tensor<?x?xi64>) -> tensor<?x?x8xbf16>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xbf16>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x?x8xbf16>
  %n1 = fx.site 1/neuron of %u : tensor<?x?x8xbf16>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<?x?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x?x8xbf16>
  %m1 = fx.site 1/mlp of %d : tensor<?x?x8xbf16>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x8xbf16>, tensor<?x?x8xbf16>) -> tensor<?x?x8xbf16>
  %r1 = fx.site 1/res of %a : tensor<?x?x8xbf16>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<?x?x8xbf16>, tensor<8x8xbf16>) -> tensor<?x?x8xbf16>
  %r2 = fx.site 2/res of %l : tensor<?x?x8xbf16>
  fx.return %r2 : tensor<?x?x8xbf16> as [#fx.output<user_output>]
}

// -----

// Which of the two would be edited?
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
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
  // expected-error @below {{the program has site 1/res twice}}
  %again = fx.site 1/res of %l : tensor<?x?x8xf32>
  fx.return %r2 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{the model has no site 1/res; it has none at all}}
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return %input_ids : tensor<?x?xi64> as [#fx.output<user_output>]
}

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.whole_site<@sae:0/res>]
// expected-error @below {{the features of policy 'p' are not resolved yet}}
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select []
// expected-error @below {{policy 'p' has no feature to act on}}
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model
