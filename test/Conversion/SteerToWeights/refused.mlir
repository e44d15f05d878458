// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics '--pass-pipeline=builtin.module(steer-expand-policies,fx.program(cse),steer-fix-inputs,fx.program(canonicalize,cse,steer-merge,canonicalize),convert-steer-to-weights)'
// What does not fold is an error at its policy, with the reason.

// The residual connection goes past a projection at one layer.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
// expected-error@+1 {{'less' cannot be folded into weights: at 0/res, what 'aten.add.Tensor' gives is also read by 'aten.tanh.default', which would see it projected; the residual connection goes past a projection at single layers; 'layers: all' projects all that is written to the stream}}
steer.policy @less #steer.project_out on %res
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

// A norm behind a half is not linear.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
// expected-error@+1 {{'more' cannot be folded into weights: at 0/res, it comes from 'aten.tanh.default' in module 'layers.0.post_norm', which is no linear map of a stored weight}}
steer.policy @more #steer.add<#steer.constant<2.0>> on %res
steer.plan @a [@more]
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
  %dn = fx.call @aten.tanh.default(self = %d) {stack = #fx.stack<"k." "" : "Model", "k.layers.0.post_norm" "layers.0.post_norm" : "M">} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %dn : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// With a norm even the whole stream is not.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
// expected-error@+1 {{'less' cannot be folded into weights: at 0/res, it comes from 'aten.tanh.default' in module 'layers.0.post_norm', which is no linear map of a stored weight}}
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
  %dn = fx.call @aten.tanh.default(self = %d) {stack = #fx.stack<"k." "" : "Model", "k.layers.0.post_norm" "layers.0.post_norm" : "M">} : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %dn : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// What depends on the token, each at its policy.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
// expected-error@+1 {{policy 'off' cannot be folded into weights: what 'ablate' changes depends on the token; only 'add' and 'project_out' do the same to every token}}
steer.policy @off #steer.ablate on %res
// expected-error@+1 {{policy 'late' cannot be folded into weights: weights are the same for all tokens}}
steer.policy @late #steer.add<#steer.constant<2.0>> on %res tokens <set = generated>
// expected-error@+1 {{policy 'if' cannot be folded into weights: weights know of no condition}}
steer.policy @if #steer.add<#steer.constant<2.0>> on %res when #steer.when<feature = <@sae:0/res/3>, above = 0.5>
// expected-error@+1 {{policy 'dial' cannot be folded into weights: the knob 'k' is chosen at run time; give it one value with --knob k=NUMBER}}
steer.policy @dial #steer.add<#steer.constant<2.0>> on %res times @k
// expected-error@+1 {{policy 'round' cannot be folded into weights: bringing a token back to its norm is not linear}}
steer.policy @round #steer.add<#steer.constant<2.0>> on %res preserve_norm
// expected-error@+1 {{policy 'watch' cannot be folded into weights: a folded model has no output for what is recorded}}
steer.policy @watch #steer.record on %res
steer.plan @a [@off, @late, @if, @dial, @round, @watch]
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

// Two projections of the stream are done in turn at every layer.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%more = flow.select [#flow.feature<@sae:0/res/6>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
// expected-error@+1 {{'less' cannot be folded into weights: at 0/mid, another policy's projection of the stream follows at every layer, and weights cannot do the two in turn; one policy with the features of both folds}}
steer.policy @less #steer.project_out on %res layers <all>
steer.policy @other #steer.project_out on %more layers <all>
steer.plan @a [@less, @other]
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

// What is recorded is refused, and nothing else because of it.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.knob @k default 1.0
steer.policy @less #steer.project_out on %res layers <all>
// expected-error@+1 {{policy 'kept' cannot be folded into weights: a folded model has no output for what is recorded}}
steer.policy @kept #steer.record on %res
steer.plan @a [@less, @kept]
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
