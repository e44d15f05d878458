// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-find-sites --split-input-file --verify-diagnostics
// One block each in which the names are right and the graph is not.

// The stream is added twice, attention never.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // expected-note@+1 {{as family 'llama': the sum of module 'model.layers.0' adds two values of one origin: 'aten.embedding.default' in module 'model.embed' and 'aten.embedding.default' in module 'model.embed'}}
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %h) {stack = #model_layers_0} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// What attention makes is turned round before it is added; no family does that.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %k = fx.call @aten.neg.default(self = %o) {stack = #model_layers_0} : (!t) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %k) {stack = #model_layers_0} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  // expected-note@+1 {{as family 'llama': the sum of module 'model.layers.0' should add the output of module 'model.layers.0.self_attn'; it adds 'aten.embedding.default' in module 'model.embed' and 'aten.neg.default' in module 'model.layers.0' and 'aten.linear.default' in module 'model.layers.0.mlp.down_proj'}}
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// A dropout that is switched on is not looked through.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %k = fx.call @aten.dropout.default(input = %o, p = 0.5, train = true) {stack = #model_layers_0} : (!t) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %k) {stack = #model_layers_0} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  // expected-note@+1 {{should add the output of module 'model.layers.0.self_attn'; it adds 'aten.embedding.default' in module 'model.embed' and 'aten.dropout.default' in module 'model.layers.0'}}
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// An addition with a factor is no residual addition.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %o, alpha = 2) {stack = #model_layers_0} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  // expected-note@+1 {{should add the stream that enters it; it adds 'aten.add.Tensor' in module 'model.layers.0' and 'aten.linear.default' in module 'model.layers.0.mlp.down_proj'}}
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// The block goes on after its sum.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %o) {stack = #model_layers_0} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  // expected-note@+1 {{as family 'llama': looked for a block whose output is its last addition; module 'model.layers.0' goes on with 'aten.mul.Tensor'}}
  %z = fx.call @aten.mul.Tensor(self = %r, other = 2) {stack = #model_layers_0} : (!t) -> !t
  %n = fx.call @aten.relu.default(self = %z) {stack = #model_embed} : (!t) -> !t
  fx.return %n : !t as [#fx.output<user_output>]
}

// -----

// There is no sum.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+3 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-note@+2 {{as family 'llama': looked for residual additions (aten.add.Tensor) made by module 'model.layers.0' itself, found none}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %g = fx.call @aten.linear.default(input = %o, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %o, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_0_mlp_down_proj} : (!t, !w) -> !t
  fx.return %y : !t as [#fx.output<user_output>]
}

// -----

// The first block is missing.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_1 = #fx.stack<"k." "" : "Model", "k.model.layers.1" "model.layers.1" : "1">
#model_layers_1_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.1.self_attn" "model.layers.1.self_attn" : "self_attn">
#model_layers_1_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.1.self_attn.o_proj" "model.layers.1.self_attn.o_proj" : "o_proj">
#model_layers_1_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.1.mlp" "model.layers.1.mlp" : "mlp">
#model_layers_1_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.1.mlp.gate_proj" "model.layers.1.mlp.gate_proj" : "gate_proj">
#model_layers_1_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.1.mlp.up_proj" "model.layers.1.mlp.up_proj" : "up_proj">
#model_layers_1_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.1.mlp.down_proj" "model.layers.1.mlp.down_proj" : "down_proj">

// expected-note@+3 {{as family 'gemma2': looked for module 'model.layers.0', found 'model.layers.1' as the next of 1 blocks}}
// expected-note@+2 {{as family 'llama': looked for module 'model.layers.0', found 'model.layers.1' as the next of 1 blocks}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_1_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_1_self_attn_o_proj} : (!t, !w) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %o) {stack = #model_layers_1} : (!t, !t) -> !t
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_1_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_1_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_1_mlp} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %x, weight = %w) {stack = #model_layers_1_mlp_down_proj} : (!t, !w) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_1} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// Two values enter the last projection.
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#model_embed = #fx.stack<"k." "" : "Model", "k.model.embed" "model.embed" : "embed">
#model_layers_0 = #fx.stack<"k." "" : "Model", "k.model.layers.0" "model.layers.0" : "0">
#model_layers_0_self_attn = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn" "model.layers.0.self_attn" : "self_attn">
#model_layers_0_self_attn_o_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.self_attn.o_proj" "model.layers.0.self_attn.o_proj" : "o_proj">
#model_layers_0_mlp = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp" "model.layers.0.mlp" : "mlp">
#model_layers_0_mlp_gate_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.gate_proj" "model.layers.0.mlp.gate_proj" : "gate_proj">
#model_layers_0_mlp_up_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.up_proj" "model.layers.0.mlp.up_proj" : "up_proj">
#model_layers_0_mlp_down_proj = #fx.stack<"k." "" : "Model", "k.model.layers.0.mlp.down_proj" "model.layers.0.mlp.down_proj" : "down_proj">

// expected-note@+2 {{as family 'gemma2': looked for module 'model.layers.0.post_attention_layernorm', which no call is made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) {stack = #model_embed} : (!w, tensor<?x?xi64, #d>) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #model_layers_0_self_attn} : (!t) -> !t
  %o = fx.call @aten.linear.default(input = %a, weight = %w) {stack = #model_layers_0_self_attn_o_proj} : (!t, !w) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %o) {stack = #model_layers_0} : (!t, !t) -> !t
  // expected-note@+1 {{as family 'llama': module 'model.layers.0.mlp.down_proj' takes more than one value: 'aten.mul.Tensor' in module 'model.layers.0.mlp' and 'aten.linear.default' in module 'model.layers.0.mlp.gate_proj'}}
  %g = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_gate_proj} : (!t, !w) -> !t
  %u = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #model_layers_0_mlp_up_proj} : (!t, !w) -> !t
  %x = fx.call @aten.mul.Tensor(self = %g, other = %u) {stack = #model_layers_0_mlp} : (!t, !t) -> !t
  %y = fx.call @x.two(input = %x, weight = %w, more = %g) {stack = #model_layers_0_mlp_down_proj} : (!t, !w, !t) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #model_layers_0} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}

// -----

// No call says where it was made.
!t = tensor<4xf32>
// expected-note@+2 {{no call says which module it was made in}}
// expected-error@+1 {{the sites of the model were not found}}
fx.program @main(%x: !t = #fx.input<user_input>) {
  fx.return %x : !t as [#fx.output<user_output>]
}
