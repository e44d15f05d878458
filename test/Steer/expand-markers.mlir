// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// Policies whose scopes look for markers, and policies of which tokens get a share.

// The tokens are kept for as many rows and positions as the cache has room for, behind what else is stored. Equal
// markers are looked for once.
// CHECK-LABEL: fx.program @main
// CHECK: %cache: tensor<3x65x2x4xf32> = #fx.input<buffer "model"::"cache", transient>,
// CHECK-NEXT: %b_weir_tokens: tensor<3x66xi64> = #fx.input<buffer "zeros"::"weir_tokens", transient>,
// CHECK-NEXT: %input_ids:
// CHECK: %knobs: {{.*}}) {
// CHECK-NEXT: %[[H:.*]] = steer.history %input_ids at %positions in %b_weir_tokens
// CHECK-NEXT: %[[RAMP:.*]] = steer.ramp %positions, %prompt_length in %[[H]] <set = generated, markers = <after = [5]>, over = 8>
// CHECK-NEXT: %[[A:.*]] = steer.in_plans %plan [0]
// CHECK-NEXT: %[[T:.*]] = steer.tokens %positions, %prompt_length <set = generated>
// CHECK-NEXT: %[[M:.*]] = steer.marked %positions in %[[H]] <after = [5]>
// CHECK-NEXT: %[[G:.*]] = steer.all %[[A]], %[[T]], %[[M]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>, tensor<?x?x1xi1>
// A share of every token leaves padding out.
// CHECK-NEXT: %[[E:.*]] = steer.tokens %positions, %prompt_length <>
// CHECK-NEXT: %[[G2:.*]] = steer.all %[[A]], %[[E]]
// CHECK-NEXT: %[[K:.*]] = steer.knob_value %knobs 0
// CHECK-NEXT: %[[DECAY:.*]] = steer.ramp %positions, %prompt_length <half = 4.000000e+00 : f64>
// CHECK-NEXT: %[[P:.*]] = steer.product %[[K]], %[[DECAY]] : tensor<?x1x1xf32>, tensor<?x?x1xf32>
// CHECK: steer.patch
// CHECK: steer.delta %{{.*}} where %[[G]] : tensor<?x?x1xi1> scaled by %[[RAMP]] : tensor<?x?x1xf32>
// CHECK: steer.strength 2.000000e+00 times %[[P]] : tensor<?x?x1xf32> where %[[G2]]
// CHECK: steer.record %{{.*}} where %[[G]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
steer.knob @k default 1.0
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @ramped #steer.ablate on %f tokens <set = generated, markers = <after = [5]>, over = 8>
steer.policy @decays #steer.add<#steer.constant<2.0>> on %f tokens <half = 4.0> times @k
steer.policy @seen #steer.record on %f tokens <set = generated, markers = <after = [5]>>
steer.plan @a [@ramped, @decays, @seen]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">, %cache: tensor<3x65x2x4xf32> = #fx.input<buffer "model"::"cache", transient>,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %v = fx.call @aten.view.default(self = %e, size = [-1, 2, 4]) : (tensor<?x?x8xf32>) -> tensor<?x2x4xf32>
  %c = fx.call @aten.index_put_.default(self = %cache, indices = [%positions], values = %v) : (tensor<3x65x2x4xf32>, tensor<?x?xi64>, tensor<?x2x4xf32>) -> tensor<3x65x2x4xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %r0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A functional program hands its cache on.
// CHECK-LABEL: fx.program @main
// CHECK: %b_weir_tokens_1: tensor<3x66xi64> = #fx.input<buffer "zeros"::"weir_tokens_1", transient>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @p #steer.ablate on %f tokens <markers = <until = [5]>>
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"weir_tokens">, %cache: tensor<3x65x8xf32> = #fx.input<buffer "model"::"cache", transient>,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %c = fx.call @aten.index_put.default(self = %cache, indices = [%positions], values = %e) : (tensor<3x65x8xf32>, tensor<?x?xi64>, tensor<?x?x8xf32>) -> tensor<3x65x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %c, %r0 : tensor<3x65x8xf32>, tensor<?x?x8xf32> as [#fx.output<buffer_mutation "cache">, #fx.output<user_output>]
}

// -----

// A policy that no plan names needs no cache.
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @unused #steer.ablate on %f tokens <markers = <until = [5]>>
// expected-error @below {{its scope looks for markers, and the program has no key-value cache, as `python -m weir export` makes it, so that it would not know the earlier tokens of a row}}
steer.policy @p #steer.ablate on %f tokens <markers = <until = [5]>>
steer.plan @a [@p]
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{its scope looks for markers in a row, and the program's tokens are flattened: which of them are of one row it does not know}}
steer.policy @p #steer.ablate on %f tokens <markers = <until = [5]>>
steer.plan @a [@p]
fx.program @main(%input_ids: tensor<?xi64> = #fx.input<user_input>, %positions: tensor<?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{has a marker that is text: 'steer-resolve-markers' makes ids of them}}
steer.policy @p #steer.ablate on %f tokens <markers = <until = ["a"]>>
steer.plan @a [@p]
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return []
}
