// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --weir-lower-to-aten | FileCheck %s
// Lowering leaves nothing behind that nobody reads, and what is written for others.

!t = tensor<4xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%k: !t = #fx.input<buffer "model"::"k">, %x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %b = fx.call @aten.copy_.default(self = %k, src = %x)
  // CHECK-NEXT: fx.return %x
  %a = fx.call @aten.clone.default(self = %x) : (!t) -> !t
  %w = fx.call @aten.neg_.default(self = %a) : (!t) -> !t
  %b = fx.call @aten.copy_.default(self = %k, src = %x) : (!t, !t) -> !t
  %s = fx.site 0/res of %b : !t
  fx.return %x : !t as [#fx.output<user_output>]
}
