// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --cse --canonicalize --split-input-file | FileCheck %s
// Calls that the compiler makes have no effects; those of an archive may have.

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

// CHECK-LABEL: fx.program @imported
fx.program @imported(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %a = fx.call @aten.add.Tensor
  // CHECK-NEXT: %b = fx.call @aten.add.Tensor
  // CHECK-NEXT: %w = fx.call @aten.add_.Tensor
  // CHECK-NEXT: fx.return %a
  %a = fx.call @aten.add.Tensor(self = %x, other = %x) : (!t, !t) -> !t
  %b = fx.call @aten.add.Tensor(self = %x, other = %x) : (!t, !t) -> !t
  %w = fx.call @aten.add_.Tensor(self = %x, other = %x) : (!t, !t) -> !t
  fx.return %a : !t as [#fx.output<user_output>]
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
