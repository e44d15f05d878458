// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/archive.py make %t.pt2
// RUN: weir-translate --export-pt2 --archive %t.pt2 -o %t.out.pt2 --split-input-file --verify-diagnostics --allow-unregistered-dialect %s
// RUN: not weir-translate --export-pt2 -o %t.none.pt2 %S/Inputs/added.mlir 2>&1 | FileCheck %s --check-prefix=NOARCHIVE
// NOARCHIVE: error: --export-pt2 needs --archive, the archive with the program's weights
// RUN: not weir-translate --export-pt2 --archive %t.missing.pt2 -o %t.none.pt2 %S/Inputs/added.mlir 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: error: {{.*}}missing.pt2
// RUN: not ls %t.none.pt2

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has no form in an archive; lower it first}}
  "other.op"() : () -> ()
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has no form in an archive; lower it first}}
  %0 = "other.op"() : () -> tensor<4xf32>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@+1 {{input 'w' needs the weight 'gone'}}
fx.program @main(%w: tensor<4xf32> = #fx.input<parameter "model"::"gone">,
                 %x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@+1 {{input 'w' begins with zeros, which only a transient buffer of numbers does}}
fx.program @main(%w: tensor<4xf32> = #fx.input<buffer "zeros"::"kept">,
                 %x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@+1 {{input 'w' begins with zeros, which only a transient buffer of numbers does}}
fx.program @main(%w: tensor<4xf32> = #fx.input<parameter "zeros"::"kept">,
                 %x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error-re@+1 {{input 'w' begins with zeros, and {{.*}} holds a tensor 'table'}}
fx.program @main(%w: tensor<4xf32> = #fx.input<buffer "zeros"::"table", transient>,
                 %x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has a dynamic size without an expression}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> tensor<?xf32>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{which must say the value's expression to be exported}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> !fx.symint
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has the expression 's0 <', which cannot be read}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> !fx.symint<"s0 <">
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has elements of type 'i7', which archives cannot hold}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> tensor<4xi7>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has elements of type 'f8E4M3FN', which cannot be stored}}
  %y = fx.constant dense<1.0> : tensor<4xf8E4M3FN>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@+1 {{has 0 user inputs and 0 user outputs}}
fx.program @main() {
  fx.return []
}

// -----

// expected-error@unknown {{there is no fx.program to export}}
module {
}

// -----

// expected-error@+1 {{'envelope' has no graph or no signature to fill in}}
fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) attributes {envelope = "{}"} {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@+1 {{the program's 'in_spec' is not positional arguments and keywords}}
fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>, %y: tensor<4xf32> = #fx.input<user_input>)
    attributes {envelope = "{\22graph_module\22:{\22graph\22:{},\22signature\22:{},\22module_call_graph\22:[{\22fqn\22:\22\22,\22signature\22:{\22in_spec\22:\22[1, 2]\22}}]}}"} {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// The strides would be no 64-bit integers.
fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{has the type 'tensor<4000000000x4000000000x4000000000xf32>', whose strides cannot be computed}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> tensor<4000000000x4000000000x4000000000xf32>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  // expected-error@+1 {{whose strides cannot be computed}}
  %y = fx.call pure @a(x: %x) : (tensor<4xf32>) -> tensor<2x?xf32, #fx.dims<"99999999999999999999*s0" = 2>>
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}
