// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Conditions at the same site and at earlier ones.

// At the same site: read inside the patch, before the edit.
// CHECK-LABEL: fx.program @main
// CHECK: %[[PLANS:.*]] = steer.in_plans %plan [0]
// CHECK-NOT: steer.read
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor<?x?x8xf32>):
// CHECK-DAG: %[[C:.*]] = steer.read %[[H]] of @sae.res.1 [3]
// CHECK-DAG: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5]
// CHECK-DAG: %[[W:.*]] = steer.compare %[[C]] above 5.000000e-01
// CHECK-DAG: %[[G:.*]] = steer.all %[[PLANS]], %[[W]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.delta %[[F]] to %{{.*}} where %[[G]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@sae:1/res/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

// At an earlier one: read outside all patches from the value before any edit
// there, once for every site that asks.
// CHECK-LABEL: fx.program @main
// CHECK: %e = fx.call
// CHECK-NEXT: %[[C:.*]] = steer.read %e of @sae.res.0 [3] activation <jumprelu>
// CHECK: %[[Y:.*]] = steer.patch %e at <0/res>
// CHECK: %u = fx.call @aten.linear.default(input = %[[Y]]
// CHECK-NOT: steer.read %e
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.compare %[[C]] below 2.500000e-01
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.compare %[[C]] below 2.500000e-01
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:2/res/5>]
%zs = flow.select [#flow.feature<@sae:0/res/3>]
steer.policy @z #steer.ablate on %zs
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@sae:0/res/3>, below = 0.25 : f64>
steer.plan @a [@z, @p]
// FIXTURE model

// -----

// Several, nested, and with a scope.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[PLANS:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[TOKENS:.*]] = steer.tokens %positions, %prompt_length <set = generated>
// CHECK: %[[ROW:.*]] = steer.all %[[PLANS]], %[[TOKENS]]
// CHECK: steer.patch %a at <1/res>
// CHECK-DAG: %[[A:.*]] = steer.compare %{{.*}} above 5.000000e-01 below 1.000000e+00
// CHECK-DAG: %[[B:.*]] = steer.compare %{{.*}} below -1.000000e+00
// CHECK-DAG: %[[C:.*]] = steer.compare %{{.*}} above 2.000000e+00
// CHECK: %[[ALL:.*]] = steer.all %[[B]], %[[C]]
// CHECK: %[[ANY:.*]] = steer.any %[[A]], %[[ALL]]
// CHECK: %[[G:.*]] = steer.all %[[ROW]], %[[ANY]]
// CHECK: steer.delta {{.*}} where %[[G]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.ablate on %f tokens <set = generated> when #steer.any_of<[#steer.when<feature = <@sae:1/res/3>, above = 0.5 : f64, below = 1.0 : f64>, #steer.all_of<[#steer.when<feature = <@sae:0/res/4>, below = -1.0 : f64>, #steer.when<feature = <@sae:1/mlp/3>, above = 2.0 : f64>]>]>
steer.plan @a [@p]
// FIXTURE model

// -----

// Neurons: a column of the down projection's input.
// CHECK-LABEL: fx.program @main
// CHECK: %[[C:.*]] = steer.read %u of @neurons.mlp.1 [3] activation <identity> size 8 gather
// CHECK: steer.patch %d at <1/mlp>
// CHECK: steer.compare %[[C]] above
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @neurons.mlp.1 of @neurons at <1/mlp> reads <1/neuron> features 8 width 8 activation <identity>
%f = flow.select [#flow.feature<@sae:1/mlp/5>]
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@neurons:1/mlp/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

// A later site is not known yet.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{feature 1/res/3 is read at 1/res, which comes after 0/res: what happens at a site can depend on the same site or on an earlier one}}
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@sae:1/res/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

// An addition that is also written before the condition is read.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
// expected-error @below {{feature 1/res/3 is read at 1/res, which comes after 0/res}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f layers <cumulative> when #steer.when<feature = <@sae:1/res/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{feature 2/mlp/3 has no dictionary that was opened}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f when #steer.when<feature = <@sae:2/mlp/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{feature 0/mlp/3 is read at 0/mlp, which the model does not have}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f when #steer.when<feature = <@sae:0/mlp/3>, above = 0.5 : f64>
steer.plan @a [@p]
// FIXTURE model
