// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | weir-opt | FileCheck %s --check-prefix=SAME
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx))' | FileCheck %s
// One element stands for all rows and tokens, and broadcasts to those it meets.

// SAME: steer.plan @one [] fixed {k = 2.000000e+00 : f32}
// SAME: steer.constant false -> tensor<?x?x1xi1>
// SAME: steer.constant 2.000000e+00 : f32 -> tensor<?x1x1xf32>
steer.plan @one [] fixed {k = 2.0 : f32}

// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[NO:.*]] = fx.constant dense<false> : tensor<1xi1>
// CHECK-DAG: %[[K:.*]] = fx.constant dense<2.000000e+00> : tensor<1xf32>
// CHECK: %[[G:.*]] = fx.call pure @aten.logical_and.default(self: %[[NO]], other: %g) : (tensor<1xi1>, tensor<?x?x1xi1>) -> tensor<?x?x1xi1>
// CHECK: fx.call pure @aten.to.dtype(self: %[[G]]
// CHECK: %[[S:.*]] = fx.call pure @aten.mul.Tensor(self: %f, other: 3.000000e+00)
// CHECK: fx.call pure @aten.mul.Tensor(self: %[[S]], other: %[[K]]) : (tensor<?x?x2xf32>, tensor<1xf32>) -> tensor<?x?x2xf32>
fx.program @main(%g: tensor<?x?x1xi1> = #fx.input<user_input>, %f: tensor<?x?x2xf32> = #fx.input<user_input>) {
  %no = steer.constant false -> tensor<?x?x1xi1>
  %k = steer.constant 2.0 : f32 -> tensor<?x1x1xf32>
  steer.record_gate %no of @p as "watch" where %g : tensor<?x?x1xi1> : tensor<?x?x1xi1>
  %s = steer.scale_by %f [3.0, 3.0] times %k : tensor<?x1x1xf32> : tensor<?x?x2xf32>
  fx.return %s : tensor<?x?x2xf32> as [#fx.output<user_output>]
}
