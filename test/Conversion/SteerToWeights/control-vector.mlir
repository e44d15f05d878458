// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics '--pass-pipeline=builtin.module(steer-expand-policies,fx.program(cse),steer-fix-inputs,fx.program(canonicalize,cse,steer-merge,canonicalize),steer-to-control-vector)' | FileCheck %s
// A control vector is added behind blocks: what is added to the last half of one is
// added there.

// CHECK-LABEL: fx.program @main
// CHECK-NOT: steer.patch %d1
// CHECK: steer.patch %r1 at <1/res>
// CHECK: %[[S:.*]] = steer.strength 1.000000e+00
// CHECK: steer.write %{{.*}}, %[[S]] along [#flow.sum<[3.000000e+00, 2.000000e+00] * #flow.concat<[#flow.rows<decoder of @sae.mlp.1[3]>, #flow.rows<decoder of @sae.res.1[5]>]>>]
// CHECK-NOT: steer.patch
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 1
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.1 of @sae at <1/att> reads <1/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.1 of @sae at <1/head> reads <1/head> features 16 width 8 activation <relu>
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
%res0 = flow.select [#flow.feature<@sae:0/res/5>]
%res1 = flow.select [#flow.feature<@sae:1/res/5>]
%mlp1 = flow.select [#flow.feature<@sae:1/mlp/3>]
%att1 = flow.select [#flow.feature<@sae:1/att/3>]
steer.policy @one #steer.add<#steer.constant<3.0>> on %mlp1
steer.policy @two #steer.add<#steer.constant<2.0>> on %res1
steer.plan @a [@one, @two]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wo: tensor<8x8xf32> = #fx.input<parameter "model"::"o.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %wte, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %a0 = fx.call @aten.linear.default(input = %e, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %as0 = fx.site 0/att of %a0 : tensor<?x?x8xf32>
  %m0 = fx.call @aten.add.Tensor(self = %e, other = %as0) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %n0 = fx.call @aten.tanh.default(self = %m0) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d0 = fx.call @aten.linear.default(input = %n0, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p0 = fx.site 0/mlp of %d0 : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m0, other = %p0) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %rs0 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %a1 = fx.call @aten.linear.default(input = %rs0, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %as1 = fx.site 1/att of %a1 : tensor<?x?x8xf32>
  %m1 = fx.call @aten.add.Tensor(self = %rs0, other = %as1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.call @aten.tanh.default(self = %m1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d1 = fx.call @aten.linear.default(input = %n1, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p1 = fx.site 1/mlp of %d1 : tensor<?x?x8xf32>
  %r1 = fx.call @aten.add.Tensor(self = %m1, other = %p1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %rs1 = fx.site 1/res of %r1 : tensor<?x?x8xf32>
  fx.return %rs1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 1
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.1 of @sae at <1/att> reads <1/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.1 of @sae at <1/head> reads <1/head> features 16 width 8 activation <relu>
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
%res0 = flow.select [#flow.feature<@sae:0/res/5>]
%res1 = flow.select [#flow.feature<@sae:1/res/5>]
%mlp1 = flow.select [#flow.feature<@sae:1/mlp/3>]
%att1 = flow.select [#flow.feature<@sae:1/att/3>]
// expected-error@+1 {{'first' cannot be folded into weights: a control vector has no direction for block 0}}
steer.policy @first #steer.add<#steer.constant<2.0>> on %res0
// expected-error@+1 {{'half' cannot be folded into weights: a control vector is added behind a block, and 1/att is read before the block's end}}
steer.policy @half #steer.add<#steer.constant<2.0>> on %att1
// expected-error@+1 {{'out' cannot be folded into weights: a control vector is added; the same vectors as a projection would be added, too}}
steer.policy @out #steer.project_out on %res1
steer.plan @a [@first, @half, @out]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wo: tensor<8x8xf32> = #fx.input<parameter "model"::"o.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %wte, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %a0 = fx.call @aten.linear.default(input = %e, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %as0 = fx.site 0/att of %a0 : tensor<?x?x8xf32>
  %m0 = fx.call @aten.add.Tensor(self = %e, other = %as0) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %n0 = fx.call @aten.tanh.default(self = %m0) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d0 = fx.call @aten.linear.default(input = %n0, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p0 = fx.site 0/mlp of %d0 : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m0, other = %p0) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %rs0 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %a1 = fx.call @aten.linear.default(input = %rs0, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %as1 = fx.site 1/att of %a1 : tensor<?x?x8xf32>
  %m1 = fx.call @aten.add.Tensor(self = %rs0, other = %as1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %n1 = fx.call @aten.tanh.default(self = %m1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d1 = fx.call @aten.linear.default(input = %n1, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p1 = fx.site 1/mlp of %d1 : tensor<?x?x8xf32>
  %r1 = fx.call @aten.add.Tensor(self = %m1, other = %p1) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %rs1 = fx.site 1/res of %r1 : tensor<?x?x8xf32>
  fx.return %rs1 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
