// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-select-lowering{lower=auto}))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s --check-prefixes=CALLS
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-select-lowering{lower=auto compiled}))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s --check-prefixes=COMPILED
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-select-lowering{lower=auto compiled bandwidth=0.1}))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s --check-prefixes=SLOW
// What is estimated to be faster. Where operators are called one at a time, a kernel
// is ahead of two of them. A compiler fuses what is not a product of several rows,
// and gathered rows as well unless memory is slow. What nothing edits becomes nothing.

// CALLS: "site 0/res is lowered to a kernel; the site reads 256 bytes of rows and makes 128 operations a token; a token is estimated at 2.0 us as a kernel and at 2.4 us as 2 operators"
// COMPILED: "site 0/res is lowered to aten operators; {{.*}}; a token is estimated at 4.4 us as a kernel and at 0.2 us as 2 operators"
// CALLS: "site 1/res is lowered to a kernel; {{.*}}; a token is estimated at 2.4 us as a kernel and at 11.0 us as 8 operators"
// COMPILED: "site 1/res is lowered to a kernel; {{.*}}; a token is estimated at 4.8 us as a kernel and at 6.2 us as 8 operators"
// CALLS: "site 2/res is lowered to a kernel;
// COMPILED: "site 2/res is lowered to aten operators;
// SLOW: "site 2/res is lowered to a kernel;
// CALLS: "site 3/res is lowered to aten operators; {{.*}} as 0 operators"
flow.dictionary @d of @sae at <1/res> reads <1/res> features 16 width 64 activation <jumprelu>
flow.dictionary @e of @sae at <2/res> reads <2/res> features 16 width 64 activation <relu>
steer.plan @a []
!x = tensor<?x?x64xf32>
!f = tensor<?x?x8xf32>
!i = tensor<?x1x2xi64>
!g = tensor<?x?x2xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %slot = steer.slot %plan in [1] : tensor<?xi64>
  %i = steer.lookup %slot : tensor<?xi64> in dense<[[0, 0], [1, 0]]> : tensor<2x2xi64>
  %y = steer.patch %x at <0/res> {
  ^bb0(%h: !x):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[5]>] : !x, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  %z = steer.patch %y at <1/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [0, 1, 2, 3, 4, 5, 6, 7] activation <jumprelu> size 16 : !x
    %v = steer.scale_by %f [0.5] : !f
    %c = steer.delta %f to %v : !f
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[0, 1, 2, 3, 4, 5, 6, 7]>] : !x, !f
    steer.yield %w : !x
  } : !x
  %u = steer.patch %z at <2/res> {
  ^bb0(%h: !x):
    %f = steer.row_read %h at %i of @e [1, 2] activation <relu> size 16 : !x, !i
    %v = steer.scale_by %f [0.5] : !g
    %c = steer.delta %f to %v : !g
    %w = steer.row_write %h, %c at %i along [#flow.rows<decoder of @e[1, 2]>] : !x, !g, !i
    steer.yield %w : !x
  } : !x
  %t = steer.patch %u at <3/res> {
  ^bb0(%h: !x):
    steer.yield %h : !x
  } : !x
  fx.return %t : !x as [#fx.output<user_output>]
}
