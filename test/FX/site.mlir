// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s --canonicalize | FileCheck %s
// RUN: weir-opt %s --fx-strip-sites | FileCheck %s --check-prefix=STRIP --implicit-check-not=fx.site

!t = tensor<?x4xf32, #fx.dims<s0 = 2>>

// A mark stays until it is taken away on purpose.
// CHECK-LABEL: fx.program @main
// STRIP-LABEL: fx.program @main
fx.program @main(%x: !t = #fx.input<user_input>) {
  // CHECK: %[[A:.*]] = fx.site 0/res of %x : tensor<?x4xf32, #{{.*}}>
  // CHECK: %[[B:.*]] = fx.site 12/neuron of %[[A]]
  %a = fx.site 0/res of %x : !t
  %b = fx.site 12/neuron of %a : !t
  // CHECK: %y = fx.call @aten.relu.default(self = %[[B]])
  // STRIP: %y = fx.call @aten.relu.default(self = %x)
  %y = fx.call @aten.relu.default(self = %b) : (!t) -> !t
  %c = fx.site 3/mid of %y : !t
  // STRIP-NEXT: fx.return %y
  fx.return %c : !t as [#fx.output<user_output>]
}
