// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{unknown role of an input 'plans'}}
fx.program @main(%x: tensor<?xi64> = #fx.input<user_input, role = plans>) {
  fx.return []
}

// -----

// expected-error@+1 {{an input of kind 'buffer' has no role: nobody passes it}}
fx.program @main(%x: tensor<1xi64> = #fx.input<buffer "model"::"k", role = plan>) {
  fx.return []
}

// -----

// expected-error@+1 {{has two inputs with the role 'plan'}}
fx.program @main(%x: tensor<?xi64> = #fx.input<user_input, role = plan>,
                 %y: tensor<?xi64> = #fx.input<user_input, role = plan>) {
  fx.return []
}

// -----

// expected-error@+1 {{the input with the role 'plan' is [batch] of i64, not 'tensor<?x?xi64>'}}
fx.program @main(%x: tensor<?x?xi64> = #fx.input<user_input, role = plan>) {
  fx.return []
}

// -----

// expected-error@+1 {{the input with the role 'prompt_length' is [batch] of i64, not 'tensor<?xi32>'}}
fx.program @main(%x: tensor<?xi32> = #fx.input<user_input, role = prompt_length>) {
  fx.return []
}

// -----

// expected-error@+1 {{the input with the role 'input_ids' is [batch, sequence] or [tokens] of i64, not 'tensor<?x?x1xi64>'}}
fx.program @main(%x: tensor<?x?x1xi64> = #fx.input<user_input, role = input_ids>) {
  fx.return []
}

// -----

// expected-error@+1 {{the input with the role 'positions' is [batch, sequence] or [tokens] of i64, not '!fx.symint<s0>'}}
fx.program @main(%x: !fx.symint<s0> = #fx.input<user_input, role = positions>) {
  fx.return []
}

// -----

// expected-error@+1 {{the input with the role 'knobs' is [batch, knobs] of f32, not 'tensor<?x2xf64>'}}
fx.program @main(%x: tensor<?x2xf64> = #fx.input<user_input, role = knobs>) {
  fx.return []
}

// -----

fx.program @main(%x: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{returns the logits twice}}
  fx.return %x, %x : tensor<?x2xf32>, tensor<?x2xf32> as [#fx.output<user_output, role = #fx.logits>, #fx.output<user_output, role = #fx.logits>]
}

// -----

fx.program @main(%x: tensor<?x1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{returns two records 'a'}}
  fx.return %x, %x : tensor<?x1xf32>, tensor<?x1xf32> as [#fx.output<user_output, role = #fx.record<"a", [1]>>, #fx.output<user_output, role = #fx.record<"a", [2]>>]
}

// -----

fx.program @main(%x: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{the record 'a' names 1 columns of 'tensor<?x2xf32>'}}
  fx.return %x : tensor<?x2xf32> as [#fx.output<user_output, role = #fx.record<"a", [1]>>]
}

// -----

fx.program @main(%x: tensor<?x2xi64> = #fx.input<user_input>) {
  // expected-error@+1 {{the output with the role #fx.logits is a tensor of numbers, not 'tensor<?x2xi64>'}}
  fx.return %x : tensor<?x2xi64> as [#fx.output<user_output, role = #fx.logits>]
}

// -----

fx.program @main() {
  // expected-error@+1 {{only a value that the caller gets has a role}}
  fx.return [#fx.output<user_output, literal = unit, role = #fx.logits>]
}

// -----

fx.program @main(%x: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{only a value that the caller gets has a role}}
  fx.return %x : tensor<?x2xf32> as [#fx.output<buffer_mutation "k", role = #fx.logits>]
}

// -----

fx.program @main(%x: tensor<?x2xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{the role of an output is #fx.logits or an #fx.record, not "logits"}}
  fx.return %x : tensor<?x2xf32> as [#fx.output<user_output, role = "logits">]
}

// -----

fx.program @main(%x: tensor<?x1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{a record without a name}}
  fx.return %x : tensor<?x1xf32> as [#fx.output<user_output, role = #fx.record<"", [1]>>]
}

// -----

fx.program @main(%x: tensor<?x1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{the record 'a' has no columns}}
  fx.return %x : tensor<?x1xf32> as [#fx.output<user_output, role = #fx.record<"a", []>>]
}

// -----

// expected-error@+1 {{a layer has 'up', 'gate' and 'down', no 'side'}}
fx.program @main() attributes {weights = #fx.weights<layers = [<side = <"model"::"w">>]>} {
  fx.return []
}

// -----

// expected-error@+1 {{a weight is named twice}}
fx.program @main() attributes {weights = #fx.weights<layers = [<up = <"model"::"w">, up = <"model"::"w">>]>} {
  fx.return []
}

// -----

// expected-error@+1 {{attribute 'weights' failed to satisfy constraint}}
fx.program @main() attributes {weights = {layers = []}} {
  fx.return []
}

// -----

// expected-error@+1 {{attribute 'edited' failed to satisfy constraint}}
fx.program @main() attributes {edited = [1]} {
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{is marked pure, and aten.add_.Tensor writes into an argument}}
  %y = fx.call pure @aten.add_.Tensor(self: %x, other: %x) : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{is marked pure, and aten.rand_like.default draws random numbers}}
  %y = fx.call pure @aten.rand_like.default(self: %x) : (tensor<1xf32>) -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{is marked pure, and aten._assert_async.default is a check}}
  fx.call pure @aten._assert_async.default(self: %x) : (tensor<1xf32>) -> ()
  fx.return []
}

// -----

// Without chance nothing is drawn.
fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  %y = fx.call pure @aten.dropout.default(input: %x, p: 0.0, train: true) : (tensor<1xf32>) -> tensor<1xf32>
  fx.return []
}

// -----

// expected-error@+1 {{input 0 lacks its #fx.input or its name}}
"fx.program"() <{sym_name = "main", inputs = [1], input_names = ["x"]}> ({
^bb0(%x: tensor<1xf32>):
  fx.return []
}) : () -> ()

// -----

// expected-error@+1 {{input 0 lacks its #fx.input or its name}}
"fx.program"() <{sym_name = "main", inputs = [#fx.input<user_input>], input_names = [1]}> ({
^bb0(%x: tensor<1xf32>):
  fx.return []
}) : () -> ()
