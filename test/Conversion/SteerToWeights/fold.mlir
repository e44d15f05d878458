// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file '--pass-pipeline=builtin.module(steer-expand-policies,fx.program(cse),steer-fix-inputs,fx.program(canonicalize,cse,steer-merge,canonicalize),convert-steer-to-weights)' | FileCheck %s
// RUN: weir-opt %s --split-input-file '--pass-pipeline=builtin.module(steer-expand-policies,fx.program(cse),steer-fix-inputs,fx.program(canonicalize,cse,steer-merge,canonicalize),convert-steer-to-weights)' --mlir-print-op-generic | weir-opt --split-input-file -o /dev/null
// The edits of a plan that does the same to every token are no operations: the
// weights of what makes a value make the edited one.

// What is added to the stream is the bias of what a block adds last, which had none;
// the projection that is behind the stream is no place for it.
// CHECK-LABEL: fx.program @main
// CHECK: edited = [#fx.edited<res, 0>]
// CHECK: %[[B:.*]] = fx.constant #flow.folded_bias<<"model"::"down.weight"> out_in reads [] gives [#flow.sum<[2.000000e+00] * #flow.rows<decoder of @sae.res.0[5]>>]> -> tensor<8xf32>
// CHECK-NEXT: fx.call @aten.linear.default(input = %{{.*}}, weight = %wd, bias = %[[B]])
// CHECK-NOT: steer.patch
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
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
  %p = fx.site 0/mlp of %d : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// One that it had is kept; a factor that the block multiplies with is divided out.
// CHECK-LABEL: fx.program @main
// CHECK: %[[B:.*]] = fx.constant #flow.folded_bias<<"model"::"down.weight"> out_in bias <"model"::"down.bias"> reads [] gives [#flow.sum<[8.000000e+00] * #flow.rows<decoder of @sae.res.0[5]>>]>
// CHECK-NEXT: fx.call @aten.linear.default(input = %{{.*}}, weight = %wd, bias = %[[B]])
// CHECK-NEXT: fx.call @aten.mul.Tensor(self = %{{.*}}, other = 2.500000e-01)
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.policy @more #steer.add<#steer.constant<2.0>> on %res
steer.plan @a [@more]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wo: tensor<8x8xf32> = #fx.input<parameter "model"::"o.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %bd: tensor<8xf32> = #fx.input<parameter "model"::"down.bias">,
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
  %d = fx.call @aten.linear.default(input = %n2, weight = %wd, bias = %bd) : (tensor<?x?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %dm = fx.call @aten.mul.Tensor(self = %d, other = 0.25) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %dm : tensor<?x?x8xf32>
  %r0 = fx.call @aten.add.Tensor(self = %m, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r1 = fx.site 0/res of %r0 : tensor<?x?x8xf32>
  %n3 = fx.call @aten.tanh.default(self = %r1) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %r = fx.call @aten.linear.default(input = %n3, weight = %wte) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// The input of the attention's last projection is edited in front of it: what is
// added goes through the weight, what is taken out is not read.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.folded_bias<<"model"::"o.weight"> out_in reads [#flow.sum<[2.000000e+00] * #flow.rows<decoder of @sae.head.0[2]>>, #flow.basis<#flow.rows<decoder of @sae.head.0[2]>>] gives []>
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.folded_weight<<"model"::"o.weight"> out_in reads [#flow.sum<[2.000000e+00] * #flow.rows<decoder of @sae.head.0[2]>>, #flow.basis<#flow.rows<decoder of @sae.head.0[2]>>] gives []>
// CHECK: fx.call @aten.linear.default(input = %{{.*}}, weight = %[[W]], bias = %[[B]])
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.policy @more #steer.add<#steer.constant<2.0>> on %head
steer.policy @less #steer.project_out on %head
steer.plan @a [@more, @less]
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

// A half alone may be projected: the stream that it is added to stays.
// CHECK-LABEL: fx.program @main
// CHECK: %[[W:.*]] = fx.constant #flow.folded_weight<<"model"::"o.weight"> out_in reads [] gives [#flow.basis<#flow.rows<decoder of @sae.att.0[4]>>]>
// CHECK-NEXT: fx.call @aten.linear.default(input = %{{.*}}, weight = %[[W]])
// CHECK-NOT: fx.constant
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.policy @less #steer.project_out on %att
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

// A projection of the whole stream is one of all that is written to it, the
// embedding included. What reads the same table elsewhere, as a tied head does, has
// the old one. What is added at a site comes before the projection there.
// CHECK-LABEL: fx.program @main
// CHECK: edited = [#fx.edited<emb, 0>, #fx.edited<mid, 0>, #fx.edited<res, 0>]
// CHECK: %[[E:.*]] = fx.constant #flow.folded_weight<<"model"::"wte.weight"> in_out reads [] gives [#flow.basis<#flow.rows<decoder of @sae.res.0[5]>>]>
// CHECK: fx.call @aten.embedding.default(weight = %[[E]]
// CHECK: %[[O:.*]] = fx.constant #flow.folded_weight<<"model"::"o.weight">
// CHECK: fx.call @aten.linear.default(input = %{{.*}}, weight = %[[O]])
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.folded_bias<<"model"::"down.weight"> out_in reads [] gives [#flow.sum<
// CHECK-DAG: %[[D:.*]] = fx.constant #flow.folded_weight<<"model"::"down.weight"> out_in reads [] gives [#flow.sum<
// CHECK: fx.call @aten.linear.default(input = %{{.*}}, weight = %[[D]], bias = %[[B]])
// CHECK: fx.call @aten.linear.default(input = %{{.*}}, weight = %wte)
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
steer.policy @more #steer.add<#steer.constant<2.0>> on %res
steer.plan @a [@less, @more]
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

// A Conv1D stores its weight the other way round and gives its product another
// shape.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.folded_bias<<"model"::"down.weight"> in_out bias <"model"::"down.bias"> reads [] gives [#flow.basis<
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.folded_weight<<"model"::"down.weight"> in_out reads [] gives [#flow.basis<
// CHECK: fx.call @aten.addmm.default(self = %[[B]], mat1 = %{{.*}}, mat2 = %[[W]])
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>, #fx.site_kind<att>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 0 to 0
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @sae.mlp.0 of @sae at <0/mlp> reads <0/mlp> features 16 width 8 activation <relu>
flow.dictionary @sae.att.0 of @sae at <0/att> reads <0/att> features 16 width 8 activation <relu>
flow.dictionary @sae.head.0 of @sae at <0/head> reads <0/head> features 16 width 8 activation <relu>
%res = flow.select [#flow.feature<@sae:0/res/5>]
%mlp = flow.select [#flow.feature<@sae:0/mlp/3>]
%att = flow.select [#flow.feature<@sae:0/att/4>]
%head = flow.select [#flow.feature<@sae:0/head/2>]
steer.policy @less #steer.project_out on %mlp
steer.plan @a [@less]
fx.program @main(%wte: tensor<8x8xf32> = #fx.input<parameter "model"::"wte.weight">,
    %wd: tensor<8x8xf32> = #fx.input<parameter "model"::"down.weight">,
    %bd: tensor<8xf32> = #fx.input<parameter "model"::"down.bias">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %wte, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %n2 = fx.call @aten.tanh.default(self = %e) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %v = fx.call @aten.view.default(self = %n2, size = [-1, 8]) : (tensor<?x?x8xf32>) -> tensor<?x8xf32>
  %d2 = fx.call @aten.addmm.default(self = %bd, mat1 = %v, mat2 = %wd) : (tensor<8xf32>, tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %d = fx.call @aten.view.default(self = %d2, size = [2, -1, 8]) : (tensor<?x8xf32>) -> tensor<?x?x8xf32>
  %p = fx.site 0/mlp of %d : tensor<?x?x8xf32>
  %r = fx.call @aten.add.Tensor(self = %e, other = %p) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  fx.return %r : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
