// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// v_b := f_b + f_a, v_a := 0.

// At one site: both activations before the edit.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[A:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6]
// CHECK: %[[ZERO:.*]] = steer.set_to %[[A]] [0.000000e+00]
// CHECK: %[[OFF:.*]] = steer.delta %[[A]] to %[[ZERO]] where
// CHECK: %[[B:.*]] = steer.read %[[H]] of @sae.res.1 [1, 2]
// CHECK: %[[A2:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6]
// CHECK: %[[SUM:.*]] = steer.sum %[[B]], %[[A2]]
// CHECK: %[[ON:.*]] = steer.delta %[[B]] to %[[SUM]] where
// CHECK: steer.write %[[H]], %[[OFF]], %[[ON]] along [#flow.rows<decoder of @sae.res.1[5, 6]>, #flow.rows<decoder of @sae.res.1[1, 2]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
%g = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:1/res/2>]
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// From an earlier site: its value before its own edit.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.set_to
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[B:.*]] = steer.read %[[H]] of @sae.res.1 [1]
// CHECK: %[[A:.*]] = steer.read %e of @sae.res.0 [5]
// CHECK: steer.sum %[[B]], %[[A]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/1>]
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// Pairs across sites are grouped by where their ends are, in order.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.read %{{.*}} of @sae.res.0 [5, 9]
// CHECK: steer.patch %d at <1/mlp>
// CHECK: %[[B:.*]] = steer.read %{{.*}} of @sae.mlp.1 [7]
// CHECK: %[[A:.*]] = steer.read %e of @sae.res.0 [9]
// CHECK: steer.sum %[[B]], %[[A]]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.read %{{.*}} of @sae.res.1 [6]
// CHECK: %[[B2:.*]] = steer.read %{{.*}} of @sae.res.1 [1]
// CHECK: %[[A2:.*]] = steer.read %e of @sae.res.0 [5]
// CHECK: steer.sum %[[B2]], %[[A2]]
// CHECK: %[[B3:.*]] = steer.read %{{.*}} of @sae.res.1 [2]
// CHECK: %[[A3:.*]] = steer.read %{{.*}} of @sae.res.1 [6]
// CHECK: steer.sum %[[B3]], %[[A3]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>, #flow.feature<@sae:0/res/9>, #flow.feature<@sae:1/res/6>]
%g = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:1/mlp/7>, #flow.feature<@sae:1/res/2>]
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
%g = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a transfer pairs its features in order, but there are 2 to take from and 1 to give to}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{feature 1/res/5 is transferred to itself}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// A set that named a feature twice is no list of partners any more.
// FIXTURE dictionaries
// expected-note @below {{this one}}
%f = flow.select [#flow.feature<@sae:1/res/5>] had_repeats
%g = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a transfer pairs its features in order, but one of its sets names a feature twice}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-note @below {{this one}}
%g = flow.select [#flow.feature<@sae:1/res/6>] had_repeats
// expected-error @below {{a transfer pairs its features in order, but one of its sets names a feature twice}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// A feature that gives and takes, or takes twice.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
%g = flow.select [#flow.feature<@sae:1/res/6>, #flow.feature<@sae:1/res/7>]
// expected-error @below {{'p' says twice what feature 1/res/6 becomes}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:0/res/6>]
%g = flow.select [#flow.feature<@sae:1/res/7>, #flow.feature<@sae:1/res/7>]
// expected-error @below {{'p' says twice what feature 1/res/7 becomes}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// Not from a later site.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a feature of policy 'p' is read at 2/res, which comes after 1/res}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:2/mlp/1>]
// expected-error @below {{feature 2/mlp/1 has no dictionary that was opened}}
steer.policy @p #steer.transfer on %f to %g
steer.plan @a [@p]
// FIXTURE model

