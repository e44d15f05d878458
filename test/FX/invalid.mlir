// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

// expected-error@+1 {{does not end with 'fx.return'}}
"fx.program"() <{sym_name = "main", inputs = [], input_names = []}> ({
^bb0:
  "x.end"() : () -> ()
}) : () -> ()

// -----

// expected-error@+1 {{has two values named 'x'}}
fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>,
                 %y: tensor<1xf32> = #fx.input<user_input> {name = "x"}) {
  fx.return []
}

// -----

// expected-error@+1 {{input 'w' of kind 'parameter' cannot have the type}}
fx.program @main(%w: tensor<?xf32, #fx.dims<s0>> = #fx.input<parameter "model"::"w">) {
  fx.return []
}

// -----

// expected-error@+1 {{input 'w' of kind 'custom_obj' cannot have the type 'tensor<1xf32>'}}
fx.program @main(%w: tensor<1xf32> = #fx.input<custom_obj "model"::"w">) {
  fx.return []
}

// -----

// expected-error@+1 {{an input of kind 'parameter' needs the name of a weight}}
fx.program @main(%w: tensor<1xf32> = #fx.input<parameter>) {
  fx.return []
}

// -----

// expected-error@+1 {{an input of kind 'user_input' has no weight}}
fx.program @main(%w: tensor<1xf32> = #fx.input<user_input "model"::"w">) {
  fx.return []
}

// -----

// expected-error@+1 {{only a buffer can be transient}}
fx.program @main(%w: tensor<1xf32> = #fx.input<parameter "model"::"w", transient>) {
  fx.return []
}

// -----

// expected-error@+1 {{unknown kind of input 'weight'}}
fx.program @main(%w: tensor<1xf32> = #fx.input<weight "model"::"w">) {
  fx.return []
}

// -----

// expected-error@+1 {{'extra' is not a JSON object}}
fx.program @main(%w: tensor<1xf32> = #fx.input<user_input, extra = "1">) {
  fx.return []
}

// -----

// expected-error@+1 {{'envelope' is not JSON}}
fx.program @main() attributes {envelope = "{"} {
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{returns 1 values for 2 outputs}}
  fx.return %x : tensor<1xf32> as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{'outputs' holds 1 : i64, which is not an #fx.output}}
  fx.return [1]
}

// -----

fx.program @main() {
  // expected-error@+1 {{an output of kind 'buffer_mutation' names what it is written to}}
  fx.return [#fx.output<buffer_mutation, literal = unit>]
}

// -----

fx.program @main() {
  // expected-error@+1 {{an output of kind 'user_output' is not written to anything}}
  fx.return [#fx.output<user_output "x", literal = unit>]
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{defines 'x', a name that is taken}}
  %y = fx.call @a() {names = ["x"]} : () -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has 1 results but 2 names}}
  %y = fx.call @a() {names = ["x", "y"]} : () -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has 1 results for outputs that take 2}}
  %y = fx.call @a() {outputs = [#fx.slot, #fx.slot]} : () -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has 1 results but 0 entries of 'meta'}}
  %y = fx.call @a() {meta = []} : () -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{metadata 'a' is not a string}}
  fx.call @a() {metadata = {a = 1}} : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has two arguments 'a'}}
  fx.call @a(a = 1, a = 2) : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{argument 'b' follows a keyword argument}}
  "fx.call"() <{target = "a", arg_names = ["a", "b"], args = [1, 2], arg_kinds = array<i8: 2, 1>}> : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{argument 'a' has the unknown kind 3}}
  "fx.call"() <{target = "a", arg_names = ["a"], args = [1], arg_kinds = array<i8: 3>}> : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{argument 'a' cannot be the constant 1 : i32}}
  fx.call @a(a = 1 : i32) : () -> ()
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has 1 operands for arguments that take 0}}
  "fx.call"(%x) <{target = "a", arg_names = ["a"], args = [1]}> : (tensor<1xf32>) -> ()
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{argument 'a' takes symints, not 'tensor<1xf32>'}}
  fx.call @a(a = [%x, 1]) : (tensor<1xf32>) -> ()
  fx.return []
}

// -----

fx.program @main(%x: !fx.symint<s0> = #fx.input<user_input>) {
  // expected-error@+1 {{argument 'a' takes tensors, not '!fx.symint<s0>'}}
  fx.call @a(a = tensors[%x]) : (!fx.symint<s0>) -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{the elements do not make a list of one kind}}
  fx.call @a(a = [1, "x"]) : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{a list of tensors cannot hold 1 : i64}}
  fx.call @a(a = tensors[1]) : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{arguments are nested too deeply}}
  fx.call @a(a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{a = dict{}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}) : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{keys are not in order at 'a'}}
  fx.call @a(a = dict{b = 1, a = 2}) : () -> ()
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{an argument after '*' is a keyword argument, use '='}}
  fx.call @a(a = 1, *, b: 2) : () -> ()
  fx.return []
}

// -----

// expected-error@+1 {{has 2 dynamic sizes, but #fx.dims names 1}}
fx.program @main(%x: tensor<?x?xf32, #fx.dims<s0>> = #fx.input<user_input>) {
  fx.return []
}

// -----

// expected-error@+1 {{a symint is an expression or an integer, not 1.000000e+00 : f64}}
fx.program @main(%x: !fx.symint<1.0> = #fx.input<user_input>) {
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has the dynamic type}}
  %c = fx.constant "x" : tensor<?xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{needs elements or a recipe, not "x"}}
  %c = "fx.constant"() <{value = "x"}> : () -> tensor<1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error@+1 {{has elements of type 'tensor<1xf32>' but the result type 'tensor<2xf32>'}}
  %c = "fx.constant"() <{value = dense<1.0> : tensor<1xf32>}> : () -> tensor<2xf32>
  fx.return []
}

// -----

fx.program @main(%x: tensor<1xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{unknown kind of site 'attention'}}
  %y = fx.site 0/attention of %x : tensor<1xf32>
  fx.return []
}
