// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Where an addition is written, and how strong.

// Own: each feature at its own layer and site.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 2.000000e+00 where
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.res.0[3]>]
// CHECK: steer.patch %d at <1/mlp>
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.mlp.1[4]>]
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.write %{{.*}} along [#flow.sum<[1.000000e+00, 1.000000e+00] * #flow.rows<decoder of @sae.res.2[5, 7]>>]
// CHECK-NOT: steer.patch
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@sae:1/mlp/4>, #flow.feature<@sae:2/res/5>, #flow.feature<@sae:2/res/7>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// Cumulative: the row of layer 2 at every layer up to it that the collection
// covers. The schedule runs from the lowest layer written to the highest.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 5.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.strength 2.000000e+00 where
// CHECK: along [#flow.rows<decoder of @sae.res.2[5]>]
// CHECK-NOT: steer.patch
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0, 2.0>> on %f layers <cumulative>
steer.plan @a [@p]
// FIXTURE model

// -----

// The collection begins at layer 1.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: at <0/res>
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: steer.patch %l at <2/res>
// CHECK: steer.strength 1.000000e+00 where
// CHECK-NOT: steer.patch
// CHECK: fx.return
flow.collection @late <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 1 to 2
flow.dictionary @late.res.2 of @late at <2/res> reads <2/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@late:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0>> on %f layers <cumulative>
steer.plan @a [@p]
// FIXTURE model

// -----

// A range, whatever the feature's own layer.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 8.000000e+00 where
// CHECK: along [#flow.rows<unit_decoder of @sae.res.2[5]>]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 4.85
// CHECK-NOT: steer.patch
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.exponential<8.0, -0.5> normalize = true> on %f layers <range, 0, 1>
steer.plan @a [@p]
// FIXTURE model

// -----

// A gaussian is largest at its center.
// CHECK-LABEL: fx.program @main
// CHECK: at <0/res>
// CHECK: steer.strength 4.85
// CHECK: at <1/res>
// CHECK: steer.strength 8.000000e+00
// CHECK: at <2/res>
// CHECK: steer.strength 4.85
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.gaussian<8.0, 1.0, 1.0>> on %f layers <cumulative>
steer.plan @a [@p]
// FIXTURE model

// -----

// With one layer a linear schedule has its first value.
// CHECK-LABEL: fx.program @main
// CHECK: steer.strength 8.000000e+00
// CHECK-NOT: steer.strength
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
steer.policy @p #steer.add<#steer.linear<8.0, 2.0>> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// A number that f64 cannot hold.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:2/res/5>]
// expected-error @below {{'steer.strength' op has a number that is not finite}}
steer.policy @p #steer.add<#steer.exponential<8.0, 1000.0>> on %f layers <cumulative>
steer.plan @a [@p]
// FIXTURE model
