// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(weir-lower{lower=kernel})' | FileCheck %s
// What records and counts look at within a patch of bf16: gates leave the kernel as
// numbers and become gates again, the site's own value is widened outside, and all else
// is in f32. Values of 16 bits are integers in memory.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 8 activation <relu>
%list = flow.select [#flow.feature<@sae:3/res/4>]
steer.policy @p #steer.add<#steer.constant<1.0>> on %list
steer.plan @a [@p]
!x = tensor<?x?x8xbf16>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>

// CHECK-LABEL: fx.program @main
// CHECK: %[[Y:.*]]:3 = fx.call pure @weir.edit_and_read.default(x: %x, {{.*}}columns: [1, 1], kernel: "edit_{{[0-9a-f]+}}")
// CHECK-SAME: -> (tensor<?x?x8xbf16>, tensor<?x?x1xf32>, tensor<?x?x1xf32>)
// CHECK-DAG: %[[GATE:.*]] = fx.call pure @aten.ne.Scalar(self: %[[Y]]#1, other: 0.000000e+00) : (tensor<?x?x1xf32>) -> tensor<?x?x1xi1>
// CHECK-DAG: fx.call pure @aten.to.dtype(self: %[[GATE]], dtype: dtype<f32>)
// CHECK-DAG: %[[BEFORE:.*]] = fx.call pure @aten.to.dtype(self: %x, dtype: dtype<f32>)
// CHECK-DAG: fx.call pure @aten.ne.Scalar(self: %[[Y]]#2, other: 0.000000e+00)
// CHECK: fx.return %[[Y]]#0
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>,
                 %positions: tensor<?x?xi64> = #fx.input<user_input>,
                 %prompt_length: tensor<?xi64> = #fx.input<user_input>) {
  %t = steer.tokens %positions, %prompt_length <set = sampled> : tensor<?x?xi64>, tensor<?xi64>
  %always = steer.constant true -> tensor<?x1x1xi1>
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x
    %c = steer.compare %f above 0.5 : !s
    %g = steer.all %t, %always, %c : !g, tensor<?x1x1xi1>, !g
    steer.record_value %h of <3/res> as "before" where %t : !g : !x
    steer.record_gate %g of @p as "gate" : !g
    %v = steer.scale_by %f [0.5] : !s
    %e = steer.delta %f to %v where %g : !g : !s
    %w = steer.write %h, %e along [#flow.rows<decoder of @d[4]>] : !x, !s
    steer.count %e as ["p"] at <3/res> in %t : !g : !s
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK: func.func @edit_
// CHECK-SAME: memref<?x?x8xi16, strided<[?, ?, 1]>> {weir.role = "value", weir.sizes = array<i64: -1, -2, 8>, weir.type = bf16}
// CHECK-SAME: memref<?x?x1xf32, strided<[?, ?, 1]>> {weir.role = "read", weir.sizes = array<i64: -1, -2, 1>, weir.type = f32}
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK-DAG: arith.uitofp %{{.*}} : i1 to f32
// CHECK-DAG: arith.truncf %{{.*}} : f32 to bf16
