// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Projections in the order of the plan, after everything that is added.

// CHECK-LABEL: fx.program @main
// CHECK: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[W:.*]] = steer.write %[[H]]
// CHECK: %[[P:.*]] = steer.project %[[W]] out of [#flow.basis<#flow.rows<decoder of @sae.res.1[5, 6]>>] where %[[G]] : tensor<?x1x1xi1>
// CHECK: steer.yield %[[P]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @q #steer.project_out on %f
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@q, @p]
// FIXTURE model

// -----

// The order is that of the plan, not of the declarations.
// CHECK-LABEL: fx.program @main
// CHECK: %[[Q:.*]] = steer.project %{{.*}} out of [#flow.basis<#flow.rows<decoder of @sae.res.1[6]>>]
// CHECK: steer.project %[[Q]] out of [#flow.basis<#flow.rows<decoder of @sae.res.1[5]>>]
// CHECK-NOT: steer.project
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/6>]
steer.policy @p #steer.project_out on %f
steer.policy @q #steer.project_out on %g
steer.plan @a [@q, @p]
// FIXTURE model

// -----

// One order serves both plans: each projection is written once, for all the
// plans that have it.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[P:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[Q:.*]] = steer.in_plans %plan [0, 1]
// CHECK-DAG: %[[R:.*]] = steer.in_plans %plan [1]
// CHECK: steer.patch
// CHECK: steer.project %{{.*}}[5]>>] where %[[P]]
// CHECK: steer.project %{{.*}}[6]>>] where %[[Q]]
// CHECK: steer.project %{{.*}}[7]>>] where %[[R]]
// CHECK-NOT: steer.project
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/6>]
%h = flow.select [#flow.feature<@sae:1/res/7>]
steer.policy @p #steer.project_out on %f
steer.policy @q #steer.project_out on %g
steer.policy @r #steer.project_out on %h
steer.plan @a [@p, @q]
steer.plan @b [@q, @r]
// FIXTURE model

// -----

// No order serves both: each plan gets its own.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch
// CHECK: steer.project %{{.*}}[5]>>] where %[[A:.*]] : tensor<?x1x1xi1>
// CHECK: steer.project %{{.*}}[6]>>] where %[[A]] :
// CHECK: steer.project %{{.*}}[6]>>] where %[[B:.*]] : tensor<?x1x1xi1>
// CHECK: steer.project %{{.*}}[5]>>] where %[[B]] :
// CHECK-NOT: steer.project
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/6>]
steer.policy @p #steer.project_out on %f
steer.policy @q #steer.project_out on %g
steer.plan @a [@p, @q]
steer.plan @b [@q, @p]
// FIXTURE model

// -----

// A set over two dictionaries at a site is one span.
// CHECK-LABEL: fx.program @main
// CHECK: steer.project %{{.*}} out of [#flow.basis<#flow.concat<[#flow.rows<decoder of @sae.res.1[5]>, #flow.rows<decoder of @other.res.1[6]>]>>]
// CHECK-NOT: steer.project
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.collection @other <sae_lens> at "x" sites [#fx.site_kind<res>] layers 1 to 1
flow.dictionary @other.res.1 of @other at <1/res> reads <1/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@other:1/res/6>]
steer.policy @p #steer.project_out on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// Scopes and conditions gate the projection and nothing else.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[ALL:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[T:.*]] = steer.tokens {{.*}} <set = prompt>
// CHECK: steer.patch
// CHECK: %[[W:.*]] = steer.compare
// CHECK: %[[S:.*]] = steer.strength 2.000000e+00 where %[[ALL]]
// CHECK: steer.all %{{.*}}, %[[W]]
// CHECK: steer.project %{{.*}} where %{{.*}} : tensor<?x?x1xi1> : tensor
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.project_out on %f tokens <set = prompt> when #steer.when<feature = <@sae:1/res/2>, above = 0.5 : f64>
steer.policy @q #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p, @q]
// FIXTURE model
