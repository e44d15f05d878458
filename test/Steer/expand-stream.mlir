// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// A projection with `layers <all>` is one at every value of the residual stream.

// CHECK-LABEL: fx.program @main
// CHECK: %[[E:.*]] = steer.patch %e at <0/emb>
// CHECK: steer.project %{{.*}} out of [#flow.basis<#flow.rows<decoder of @sae.res.0[5]>>]
// CHECK: fx.call @aten.tanh.default(self = %[[E]])
// CHECK: steer.patch %mid0 at <0/mid>
// CHECK: steer.project
// CHECK: steer.patch %r0 at <0/res>
// CHECK: steer.project
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.policy @less #steer.project_out on %res layers <all>
steer.plan @a [@less]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wo: tensor<8x8xf32> = #fx.input<parameter "model"::"o.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %wte, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %s = fx.site 0/emb of %e : tensor<?x?x8xf32>
  %n1 = fx.call @aten.tanh.default(self = %s) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %h = fx.site 0/head of %n1 : tensor<?x?x8xf32>
  %o = fx.call @aten.linear.default(input = %h, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %a = fx.site 0/att of %o : tensor<?x?x8xf32>
  %mid0 = fx.call @aten.add.Tensor(self = %s, other = %a) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %m = fx.site 0/mid of %mid0 : tensor<?x?x8xf32>
  %n2 = fx.call @aten.tanh.default(self = %m) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n2, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %d : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%head = flow.select [#flow.feature<@sae:0/head/2>]
// expected-error@+1 {{feature 0/head/2 is a direction of attention's heads and none of the residual stream, which 'layers: all' is about}}
steer.policy @less #steer.project_out on %head layers <all>
steer.plan @a [@less]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wo: tensor<8x8xf32> = #fx.input<parameter "model"::"o.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %wte, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %s = fx.site 0/emb of %e : tensor<?x?x8xf32>
  %n1 = fx.call @aten.tanh.default(self = %s) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %h = fx.site 0/head of %n1 : tensor<?x?x8xf32>
  %o = fx.call @aten.linear.default(input = %h, weight = %wo) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %a = fx.site 0/att of %o : tensor<?x?x8xf32>
  %mid0 = fx.call @aten.add.Tensor(self = %s, other = %a) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %m = fx.site 0/mid of %mid0 : tensor<?x?x8xf32>
  %n2 = fx.call @aten.tanh.default(self = %m) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %d = fx.call @aten.linear.default(input = %n2, weight = %wd) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %d : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
