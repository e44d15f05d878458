// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --cse --canonicalize --split-input-file | FileCheck %s
// Calls that the compiler makes have no effects; those of an archive have what the
// catalogue says of their operators.

!t = tensor<4xf32>

// CHECK-LABEL: fx.program @pure
fx.program @pure(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %[[SUM:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %x)
  // CHECK-NEXT: fx.return %[[SUM]], %[[SUM]]
  %a = fx.call pure @aten.add.Tensor(self: %x, other: %x) : (!t, !t) -> !t
  %b = fx.call pure @aten.add.Tensor(self: %x, other: %x) : (!t, !t) -> !t
  %dead = fx.call pure @aten.mul.Tensor(self: %b, other: 2) : (!t) -> !t
  fx.return %a, %b : !t, !t as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// Equal calls stay two, since each makes memory that may be written.
// CHECK-LABEL: fx.program @imported
fx.program @imported(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %a = fx.call @aten.add.Tensor
  // CHECK-NEXT: %b = fx.call @aten.add.Tensor
  // CHECK-NEXT: %w = fx.call @aten.add_.Tensor
  // CHECK-NEXT: fx.return %a, %b
  %a = fx.call @aten.add.Tensor(self = %x, other = %x) {names = ["a"]} : (!t, !t) -> !t
  %b = fx.call @aten.add.Tensor(self = %x, other = %x) {names = ["b"]} : (!t, !t) -> !t
  %w = fx.call @aten.add_.Tensor(self = %x, other = %x) : (!t, !t) -> !t
  fx.return %a, %b : !t, !t as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

!t = tensor<4xf32>
!m = tensor<2x2xf32>

// What is dead vanishes, whatever follows it: calls without effects, views, calls
// that could draw random numbers and do not, marks of sites.
// CHECK-LABEL: fx.program @dead
fx.program @dead(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: fx.return %x
  %a = fx.call @aten.add.Tensor(self = %x, other = %x) : (!t, !t) -> !t
  %b = fx.call @aten.view.default(self = %a, size = [2, 2]) : (!t) -> !m
  %c = fx.call @aten.dropout.default(input = %b, p = 0.5, train = false) : (!m) -> !m
  %d = fx.call @aten.scaled_dot_product_attention.default(query = %c, key = %c, value = %c) : (!m, !m, !m) -> !m
  %e = fx.call @aten.scaled_dot_product_attention.default(query = %d, key = %c, value = %c, attn_mask = none, dropout_p = 0.0) : (!m, !m, !m) -> !m
  %f = fx.site 0/res of %e : !m
  %n = fx.call @aten.sym_size.int(self = %f, dim = 0) : (!m) -> !fx.symint<2>
  %o = fx.call @_operator.mul(_ = %n, _ = 2) : (!fx.symint<2>) -> !fx.symint<4>
  fx.return %x : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// What writes, draws, checks, or is not known, stays with all it takes.
// CHECK-LABEL: fx.program @effects
fx.program @effects(%k: !t = #fx.input<buffer "model"::"k">, %x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %a = fx.call @aten.neg.default
  // CHECK-NEXT: %b = fx.call @aten.copy_.default(self = %k, src = %a)
  // CHECK-NEXT: %c = fx.call @aten.rand_like.default
  // CHECK-NEXT: %d = fx.call @aten.dropout.default
  // CHECK-NEXT: %e = fx.call @aten.scaled_dot_product_attention.default
  // CHECK-NEXT: fx.call @aten._assert_tensor_metadata.default
  // CHECK-NEXT: %f = fx.call @mine.reads_the_clock.default
  // CHECK-NEXT: fx.return %x
  %a = fx.call @aten.neg.default(self = %x) : (!t) -> !t
  %b = fx.call @aten.copy_.default(self = %k, src = %a) : (!t, !t) -> !t
  %c = fx.call @aten.rand_like.default(self = %x) : (!t) -> !t
  %d = fx.call @aten.dropout.default(input = %x, p = 0.5, train = true) : (!t) -> !t
  %e = fx.call @aten.scaled_dot_product_attention.default(query = %x, key = %x, value = %x, dropout_p = 0.25) : (!t, !t, !t) -> !t
  fx.call @aten._assert_tensor_metadata.default(a = %x, dtype = dtype<f32>) : (!t) -> ()
  %f = fx.call @mine.reads_the_clock.default(x = %x) : (!t) -> !t
  fx.return %x : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<2xf32>

// Constants are folded into one, and into the order that canonicalization likes.
// CHECK-LABEL: fx.program @constants
fx.program @constants(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %[[C:.*]] = fx.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
  // CHECK-NEXT: %[[A:.*]] = fx.call pure @aten.add.Tensor(self: %x, other: %[[C]])
  // CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.mul.Tensor(self: %[[A]], other: %[[C]])
  // CHECK-NEXT: fx.return %[[B]]
  %c = fx.constant dense<[1.0, 2.0]> : !t
  %a = fx.call pure @aten.add.Tensor(self: %x, other: %c) : (!t, !t) -> !t
  %d = fx.constant dense<[1.0, 2.0]> : !t
  %b = fx.call pure @aten.mul.Tensor(self: %a, other: %d) : (!t, !t) -> !t
  fx.return %b : !t as [#fx.output<user_output>]
}
