// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Two absolute edits of one feature in one plan.

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>, #flow.feature<@sae:1/res/5>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.set<1.0> on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.ablate on %g
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>, #flow.feature<@sae:1/res/5>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.scale<2.0> on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.ablate on %g
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>, #flow.feature<@sae:1/res/5>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.clamp<min = 1.0 : f64> on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.ablate on %g
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>, #flow.feature<@sae:1/res/5>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.ablate on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.ablate on %g
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// Both ends of a transfer are edited.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.ablate on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.transfer on %f to %g
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/4>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.ablate on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'; a plan edits a feature absolutely (set, scale, clamp, ablate, transfer) at most once}}
steer.policy @q #steer.transfer on %g to %f
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// Reported once a policy, however many features and plans it is about.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.ablate on %f
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes in plan 'a'}}
steer.policy @q #steer.ablate on %f
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
steer.plan @b [@p, @q]
// FIXTURE model

// -----

// A set with a feature twice.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/5>]
// expected-error @below {{'p' says twice what feature 1/res/5 becomes}}
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// In two plans, or of two dictionaries, or additive: no conflict. Tokens and
// conditions do not separate two edits, plans do.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[A:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[B:.*]] = steer.in_plans %plan [1]
// CHECK: steer.patch %a at <1/res>
// CHECK: %[[P:.*]] = steer.delta %{{.*}} where %[[A]]
// CHECK: %[[Q:.*]] = steer.delta %{{.*}} where %[[B]]
// CHECK: %[[O:.*]] = steer.delta %{{.*}} where %[[A]]
// CHECK: %[[S:.*]] = steer.strength 2.000000e+00 where %[[A]]
// CHECK: steer.write %{{.*}}, %[[P]], %[[Q]], %[[O]], %[[S]] along [#flow.rows<decoder of @sae.res.1[5]>, #flow.rows<decoder of @sae.res.1[5]>, #flow.rows<decoder of @other.res.1[5]>, #flow.rows<decoder of @sae.res.1[5]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.collection @other <sae_lens> at "x" sites [#fx.site_kind<res>] layers 1 to 1
flow.dictionary @other.res.1 of @other at <1/res> reads <1/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@other:1/res/5>]
steer.policy @p #steer.ablate on %f
steer.policy @q #steer.set<1.0> on %f
steer.policy @o #steer.ablate on %g
steer.policy @s #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p, @o, @s]
steer.plan @b [@q]
// FIXTURE model

// -----

// Tokens and conditions do not separate two edits.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-note @below {{the other one is here}}
steer.policy @p #steer.ablate on %f tokens <set = prompt>
// expected-error @below {{'q' and 'p' both say what feature 1/res/5 becomes}}
steer.policy @q #steer.ablate on %f tokens <set = generated>
// expected-note @below {{the plan is here}}
steer.plan @a [@p, @q]
// FIXTURE model
