// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// What was measured at a site makes a strength of a dose.

// At 0/res the median norm is 50 and the sum of both rows is 4 long: 0.4 * 50 / 4.
// At 1/res the schedule has come to 0.2, and the direction is that of one row.
// CHECK-LABEL: fx.program @main
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 5.000000e+00 times %{{.*}} where
// CHECK: steer.write %{{.*}} along [#flow.sum<[1.000000e+00, 1.000000e+00] * #flow.rows<decoder of @sae.res.0[3, 4]>>]
// CHECK: steer.patch %l at <1/res>
// CHECK: steer.strength 6.000000e+00 times %{{.*}} where
// CHECK: steer.write %{{.*}} along [#flow.rows<decoder of @sae.res.1[5]>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 1
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>]
steer.knob @k default 1.0
steer.policy @p #steer.add<#steer.linear<0.4, 0.2> dose = "t.txt" measured = [<<0/res>, median = 50.0, length = 4.0>, <<1/res>, median = 60.0, length = 2.0>]> on %f times @k
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  %l = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 1/res of %l : tensor<?x?x8xf32>
  fx.return %r1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// What was measured without a dose changes no strength.
// CHECK-LABEL: fx.program @main
// CHECK: steer.strength 3.000000e+00 where
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 1
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/3>]
steer.policy @p #steer.add<#steer.constant<3.0> measured = [<<0/res>, median = 50.0, length = 0.0>]> on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %r0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 1
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/3>]
// expected-error@+1 {{the dose of policy 'p' at 0/res was not measured: run steer-measure-doses before}}
steer.policy @p #steer.add<#steer.constant<0.5> dose = "t.txt"> on %f
steer.plan @a [@p]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %r0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

%f = flow.select []
// expected-error@+2 {{failed to parse Steer_AddAttr parameter 'measured'}}
// expected-error@+1 {{a norm is a number from 0 on, got -1}}
steer.policy @p #steer.add<#steer.constant<0.5> measured = [<<0/res>, median = -1.0, length = 1.0>]> on %f

// -----

%f = flow.select []
// expected-error@+1 {{a direction of length 0 has no dose}}
steer.policy @p #steer.add<#steer.constant<0.5> dose = "t.txt" measured = [<<0/res>, median = 1.0, length = 0.0>]> on %f
