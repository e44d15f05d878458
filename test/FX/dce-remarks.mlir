// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-dce))' --remark-format=emitRemark --remarks-filter='fx-dce' 2>&1 | FileCheck %s
// What was removed and what it would have cost, and what could not be judged: each
// operator once.

!t = tensor<?x4xf32, #fx.dims<s0 = 2>>
!w = tensor<3x4xf32>
!o = tensor<?x3xf32, #fx.dims<s0 = 2>>

// CHECK: remark: [Missed] UnknownOperator | Category:fx-dce | {{.*}}the catalogue does not know 'mine.op.default': its calls stay, with all that they may read
// CHECK-NOT: [Missed]
// CHECK: remark: [Passed] DeadCode | Category:fx-dce | {{.*}}2 operations removed that nothing reads: 54 floating-point operations and 104 bytes read, at the sizes of the trace
// CHECK-LABEL: fx.program @main
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">, %x: !t = #fx.input<user_input>) {
  // 2 x 3 sums of 4 products, and 6 numbers: 8 + 12 numbers are read, and 6.
  %l = fx.call @aten.linear.default(input = %x, weight = %w) : (!t, !w) -> !o
  %r = fx.call @aten.relu.default(self = %l) : (!o) -> !o
  %a = fx.call @mine.op.default(x = %x) : (!t) -> !t
  %b = fx.call @mine.op.default(x = %x) : (!t) -> !t
  fx.return %x : !t as [#fx.output<user_output>]
}
