// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/../Flow/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-measure-doses=base=%t | FileCheck %s
// Without a model nothing can be measured. What is measured on one:
// test/Integration/test_doses.py.

// Where nobody gives a dose, nothing is.
// CHECK-LABEL: flow.collection @sae
// CHECK: steer.policy @plain #steer.add<#steer.constant<2.000000e+00 : f64>> on
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/2>]
steer.policy @plain #steer.add<#steer.constant<2.0>> on %f
steer.policy @nobody #steer.add<#steer.constant<2.0> dose = "t.txt"> on %f
steer.plan @a [@plain]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/2>]
// expected-error@+1 {{measures the values of a model, which needs one}}
steer.policy @share #steer.add<#steer.constant<0.5> dose = "t.txt"> on %f
steer.plan @a [@share]
fx.program @main(%w: tensor<8x4xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x4xf32>
  fx.return %r0 : tensor<?x?x4xf32> as [#fx.output<user_output>]
}
