// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Conditions at the same site and at earlier ones.

// At the same site: read inside the patch, before the edit.
// CHECK-LABEL: fx.program @main
// CHECK: %[[PLANS:.*]] = steer.in_plans %plan [0]
// CHECK-NOT: steer.read
// CHECK: steer.patch %a at <res, 1> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor<?x?x8xf32>):
// CHECK-DAG: %[[C:.*]] = steer.read %[[H]] of @sae.res.1 [3]
// CHECK-DAG: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5]
// CHECK-DAG: %[[W:.*]] = steer.compare %[[C]] above 5.000000e-01
// CHECK-DAG: %[[G:.*]] = steer.all %[[PLANS]], %[[W]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.delta %[[F]] to %{{.*}} where %[[G]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
steer.policy @p #steer.ablate on @f when #steer.when<feature = <@sae, res, 1, 3>, above = 0.5 : f64>
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

// -----

// At an earlier one: read outside all patches from the value before any edit
// there, once for every site that asks.
// CHECK-LABEL: fx.program @main
// CHECK: %e = fx.call
// CHECK-NEXT: %[[C:.*]] = steer.read %e of @sae.res.0 [3] activation <jumprelu>
// CHECK: %[[Y:.*]] = steer.patch %e at <res, 0>
// CHECK: %u = fx.call @aten.linear.default(input = %[[Y]]
// CHECK-NOT: steer.read %e
// CHECK: steer.patch %a at <res, 1>
// CHECK: steer.compare %[[C]] below 2.500000e-01
// CHECK: steer.patch %l at <res, 2>
// CHECK: steer.compare %[[C]] below 2.500000e-01
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <jumprelu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>, #flow.feature<@sae, res, 2, 5>]
flow.features @zs [#flow.feature<@sae, res, 0, 3>]
steer.policy @z #steer.ablate on @zs
steer.policy @p #steer.ablate on @f when #steer.when<feature = <@sae, res, 0, 3>, below = 0.25 : f64>
steer.plan @a [@z, @p]
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

// Several, nested, and with a scope.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[PLANS:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[TOKENS:.*]] = steer.tokens %positions, %prompt_length <set = generated>
// CHECK: %[[ROW:.*]] = steer.all %[[PLANS]], %[[TOKENS]]
// CHECK: steer.patch %a at <res, 1>
// CHECK-DAG: %[[A:.*]] = steer.compare %{{.*}} above 5.000000e-01 below 1.000000e+00
// CHECK-DAG: %[[B:.*]] = steer.compare %{{.*}} below -1.000000e+00
// CHECK-DAG: %[[C:.*]] = steer.compare %{{.*}} above 2.000000e+00
// CHECK: %[[ALL:.*]] = steer.all %[[B]], %[[C]]
// CHECK: %[[ANY:.*]] = steer.any %[[A]], %[[ALL]]
// CHECK: %[[G:.*]] = steer.all %[[ROW]], %[[ANY]]
// CHECK: steer.delta {{.*}} where %[[G]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
steer.policy @p #steer.ablate on @f tokens <set = generated> when #steer.any_of<[#steer.when<feature = <@sae, res, 1, 3>, above = 0.5 : f64, below = 1.0 : f64>, #steer.all_of<[#steer.when<feature = <@sae, res, 0, 4>, below = -1.0 : f64>, #steer.when<feature = <@sae, mlp, 1, 3>, above = 2.0 : f64>]>]>
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

// -----

// Neurons: a column of the down projection's input.
// CHECK-LABEL: fx.program @main
// CHECK: %[[C:.*]] = steer.read %u of @neurons.mlp.1 [3] activation <identity> size 8 gather
// CHECK: steer.patch %d at <mlp, 1>
// CHECK: steer.compare %[[C]] above
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @neurons.mlp.1 of @neurons at <mlp, 1> reads <neuron, 1> features 8 width 8 activation <identity>
flow.features @f [#flow.feature<@sae, mlp, 1, 5>]
steer.policy @p #steer.ablate on @f when #steer.when<feature = <@neurons, mlp, 1, 3>, above = 0.5 : f64>
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

// -----

// A later site is not known yet.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 0, 5>]
// expected-error @below {{feature 1/res/3 is read at 1/res, which comes after 0/res: what happens at a site can depend on the same site or on an earlier one}}
steer.policy @p #steer.ablate on @f when #steer.when<feature = <@sae, res, 1, 3>, above = 0.5 : f64>
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

// -----

// An addition that is also written before the condition is read.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 2, 5>]
// expected-error @below {{feature 1/res/3 is read at 1/res, which comes after 0/res}}
steer.policy @p #steer.add<#steer.constant<2.0>> on @f layers <cumulative> when #steer.when<feature = <@sae, res, 1, 3>, above = 0.5 : f64>
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

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
// expected-error @below {{feature 2/mlp/3 has no dictionary that was opened}}
steer.policy @p #steer.add<#steer.constant<2.0>> on @f when #steer.when<feature = <@sae, mlp, 2, 3>, above = 0.5 : f64>
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

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <mlp, 0> reads <mlp, 0> features 16 width 8 activation <relu>
flow.features @f [#flow.feature<@sae, res, 1, 5>]
// expected-error @below {{feature 0/mlp/3 is read at 0/mlp, which the model does not have}}
steer.policy @p #steer.add<#steer.constant<2.0>> on @f when #steer.when<feature = <@sae, mlp, 0, 3>, above = 0.5 : f64>
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
