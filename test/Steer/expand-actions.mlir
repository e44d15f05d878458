// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// What each action becomes.

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [3.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.set<3.0> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [3.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] only_active where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.set<3.0> on %f only_active
steer.plan @a [@p]
// FIXTURE model

// -----

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.scale_by %[[F]] [-1.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.scale<-1.0> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.clamp_to %[[F]] min 5.000000e-01 max 2.000000e+00 :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.clamp<min = 0.5 : f64, max = 2.0 : f64> on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.clamp_to %[[F]] max 2.000000e+00 :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] only_active where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.clamp<max = 2.0 : f64> on %f only_active
steer.plan @a [@p]
// FIXTURE model

// -----

// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5, 6] activation <relu> size 16
// CHECK-NEXT: %[[V:.*]] = steer.set_to %[[F]] [0.000000e+00] :
// CHECK-NEXT: %[[D:.*]] = steer.delta %[[F]] to %[[V]] where
// CHECK-NEXT: steer.write %[[H]], %[[D]] along [#flow.rows<decoder of @sae.res.1[5, 6]>]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/res/6>]
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model

// -----

// A normalised dictionary's edits are brought back to the size of the value;
// what is added is not in its units.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[F:.*]] = steer.read %[[H]] of @sae.res.1 [5] activation <relu> normalization <layer_norm> size 16
// CHECK: %[[S:.*]] = steer.input_scale %[[H]] <layer_norm>
// CHECK: steer.delta %[[F]] to %{{.*}} scaled by %[[S]]
// CHECK-NOT: input_scale
// CHECK: steer.strength
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu> normalization <layer_norm>
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.ablate on %f
steer.policy @q #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// Neurons: read where they are, written where the projection goes.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %d at <1/mlp> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK-NEXT: %[[F:.*]] = steer.read %u of @neurons.mlp.1 [5] activation <identity> size 8 gather
// CHECK: steer.delta %[[F]]
// CHECK: steer.write %[[H]], %{{.*}} along [#flow.rows<decoder of @neurons.mlp.1[5]>]
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @neurons.mlp.1 of @neurons at <1/mlp> reads <1/neuron> features 8 width 8 activation <identity>
%f = flow.select [#flow.feature<@neurons:1/mlp/5>]
steer.policy @p #steer.ablate on %f
steer.plan @a [@p]
// FIXTURE model
