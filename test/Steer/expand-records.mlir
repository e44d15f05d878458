// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Activations as outputs: before any edit, and never of padding. Names have the
// site, whether there is one place or several.

// The activations are those before the edit of the same feature.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[A:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[T:.*]] = steer.tokens %positions, %prompt_length <> :
// CHECK: %[[G:.*]] = steer.all %[[A]], %[[T]]
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: steer.delta
// CHECK: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 2]
// CHECK: steer.record %[[F]] as "rec.res.1" [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/2>] where %[[G]] : tensor<?x?x1xi1> : tensor<?x?x2xf32>
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/2>]
steer.policy @s #steer.set<3.0> on %f
steer.policy @rec #steer.record on %f
steer.plan @a [@s, @rec]
// FIXTURE model

// -----

// Several places, in program order.
// CHECK-LABEL: fx.program @main
// CHECK: steer.record %{{.*}} as "rec.res.0" [#flow.feature<@sae:0/res/5>]
// CHECK: steer.record %{{.*}} as "rec.mlp.1" [#flow.feature<@sae:1/mlp/2>]
// CHECK: steer.record %{{.*}} as "rec.res.1" [#flow.feature<@sae:1/res/7>]
// CHECK-NOT: steer.record
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/7>, #flow.feature<@sae:0/res/5>, #flow.feature<@sae:1/mlp/2>]
steer.policy @rec #steer.record on %f
steer.plan @a [@rec]
// FIXTURE model

// -----

// Two dictionaries at one site: their names as well.
// CHECK-LABEL: fx.program @main
// CHECK: steer.record %{{.*}} as "rec.sae.res.1" [#flow.feature<@sae:1/res/7>]
// CHECK: steer.record %{{.*}} as "rec.other.res.1" [#flow.feature<@other:1/res/7>]
// CHECK-NOT: steer.record
// CHECK: fx.return
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.collection @other <sae_lens> at "x" sites [#fx.site_kind<res>] layers 1 to 1
flow.dictionary @other.res.1 of @other at <1/res> reads <1/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/7>, #flow.feature<@other:1/res/7>]
steer.policy @rec #steer.record on %f
steer.plan @a [@rec]
// FIXTURE model

// -----

// With a scope and a condition: padding is outside of every scope.
// CHECK-LABEL: fx.program @main
// CHECK: steer.tokens %positions, %prompt_length <set = prompt>
// CHECK-NOT: steer.tokens
// CHECK: %[[W:.*]] = steer.compare
// CHECK: %[[G:.*]] = steer.all %{{.*}}, %[[W]]
// CHECK: steer.record %{{.*}} where %[[G]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/7>]
steer.policy @rec #steer.record on %f tokens <set = prompt> when #steer.when<feature = <@sae:1/res/2>, above = 0.5 : f64>
steer.plan @a [@rec]
// FIXTURE model

// -----

// After the edits: behind the patch, from its value. The condition stays what it
// was before them.
// CHECK-LABEL: fx.program @main
// CHECK: %[[P:.*]] = steer.patch %[[X:.*]] at <1/res> {
// CHECK-NOT: steer.record
// CHECK: steer.yield
// CHECK: %[[F:.*]] = steer.read %[[P]] of @sae.res.1 [5]
// CHECK: %[[C:.*]] = steer.read %[[X]] of @sae.res.1 [2]
// CHECK: %[[W:.*]] = steer.compare %[[C]]
// CHECK: %[[G:.*]] = steer.all %{{.*}}, %[[W]]
// CHECK: steer.record %[[F]] as "rec.res.1" [#flow.feature<@sae:1/res/5>] where %[[G]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @s #steer.set<3.0> on %f
steer.policy @rec #steer.record<after = true> on %f when #steer.when<feature = <@sae:1/res/2>, above = 0.5 : f64>
steer.plan @a [@s, @rec]
// FIXTURE model

// -----

// The gate of a policy: its plans, its tokens and its condition, within those of
// the record. It stands at the end, whatever the condition reads.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[S:.*]] = steer.in_plans %plan [0, 1]
// CHECK-DAG: %[[T:.*]] = steer.tokens %positions, %prompt_length <set = prompt>
// CHECK-DAG: %[[R:.*]] = steer.in_plans %plan [1]
// CHECK: fx.site 2/res
// CHECK: %[[C:.*]] = steer.read %{{.*}} of @sae.res.0 [7]
// CHECK: %[[W:.*]] = steer.compare %[[C]] above
// CHECK: %[[G:.*]] = steer.all %{{.*}}, %[[W]]
// CHECK: steer.record_gate %[[G]] of @s as "rec" where %{{.*}}
// CHECK-NEXT: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @s #steer.set<3.0> on %f tokens <set = prompt> when #steer.when<feature = <@sae:0/res/7>, above = 0.5 : f64>
steer.policy @rec #steer.record_gate<@s> on %f
steer.plan @a [@s]
steer.plan @b [@rec, @s]
// FIXTURE model

// -----

// A policy that is in no plan acts in no row: nothing else of it is asked, neither its
// markers, for which tokens would have to be kept, nor its condition.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: steer.history
// CHECK: %[[N:.*]] = steer.in_plans %plan [] :
// CHECK: %[[T:.*]] = steer.tokens %positions, %prompt_length <>
// CHECK: %[[G:.*]] = steer.all %[[N]], %[[T]]
// CHECK-NOT: steer.compare
// CHECK: steer.record_gate %[[G]] of @s as "rec" where %{{.*}}
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @s #steer.set<3.0> on %f tokens <markers = <after = [5]>> when #steer.when<feature = <@sae:0/res/7>, above = 0.5 : f64>
steer.policy @rec #steer.record_gate<@s> on %f
steer.plan @a [@rec]
// FIXTURE model
