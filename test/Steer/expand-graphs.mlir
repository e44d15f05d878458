// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// What parts of graphs bring along: weights of their features, and lists that conditions
// watch.

// A weight multiplies the row of its feature, at every layer.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 2.000000e+00 where
// CHECK: steer.write %{{.*}} along [#flow.sum<[5.000000e-01] * #flow.rows<decoder of @sae.res.0[3]>>
// CHECK: steer.patch %d at <1/mlp>
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.mlp.1[4]>]
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.write %{{.*}} along [#flow.sum<[2.500000e-01, 1.000000e+00] * #flow.rows<decoder of @sae.res.2[5, 7]>>
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@sae:1/mlp/4>, #flow.feature<@sae:2/res/5>, #flow.feature<@sae:2/res/7>] weights [0.5, 1.0, 0.25, 1.0]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// Any of the watched features, or all of them; the first list and the second.
// CHECK-LABEL: steer.policy @p
// CHECK-SAME: on %{{[^ ]*}} when #steer.all_of<[#steer.any_of<[#steer.when<feature = <@sae:0/res/1>, above = 5.000000e-01 : f64>, #steer.when<feature = <@sae:0/res/2>, above = 5.000000e-01 : f64>]>, #steer.all_of<[#steer.when<feature = <@sae:0/res/3>, below = 2.000000e+00 : f64>, #steer.when<feature = <@sae:1/mlp/4>, below = 2.000000e+00 : f64>]>, #steer.when<feature = <@sae:0/res/9>, above = 1.000000e+00 : f64>]>
// CHECK: fx.program @main
// CHECK-COUNT-5: steer.compare
// CHECK-NOT: steer.compare
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/3>]
%one = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>]
%two = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@sae:1/mlp/4>]
%three = flow.select [#flow.feature<@sae:0/res/9>]
steer.policy @p #steer.ablate on %f watching %one, %two, %three
    when #steer.all_of<[#steer.watch<features = 0, above = 0.5>, #steer.watch<features = 1, all = true, below = 2.0>, #steer.watch<features = 2, all = true, above = 1.0>]>
steer.plan @a [@p]
// FIXTURE model

// -----

%f = flow.select [#flow.feature<@sae:2/res/3>]
%one = flow.select [#flow.whole_site<@sae:0/res>]
%two = flow.select []
// expected-error @below {{the features that policy 'p' watches are not resolved yet}}
steer.policy @p #steer.ablate on %f watching %one when #steer.watch<features = 0, above = 0.5>
// expected-error @below {{policy 'q' watches no feature}}
steer.policy @q #steer.ablate on %f watching %two when #steer.watch<features = 0, above = 0.5>
steer.plan @a [@p, @q]
// FIXTURE model
