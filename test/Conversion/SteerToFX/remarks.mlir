// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(convert-steer-to-fx))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s
// Every site says how it was lowered.

// CHECK: remark: [Passed] LoweredToAten | Category:lowering | Remark="site 3/mlp lowered to aten operators"
// CHECK: remark: [Passed] LoweredToAten | Category:lowering | Remark="site 3/res lowered to aten operators"
// CHECK-NOT: remark
// CHECK: fx.program @main
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <3/mlp> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[4]>] : tensor<?x?x8xf32>, tensor<?x1x1xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  %z = steer.patch %y at <3/res> {
  ^bb0(%h: tensor<?x?x8xf32>):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[5]>] : tensor<?x?x8xf32>, tensor<?x1x1xf32>
    steer.yield %w : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  fx.return %z : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
