// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-select-lowering{lower=kernel}))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s
// What has no kernel form stays on aten, and a remark says why.

// CHECK: [Passed] LoweredToKernel | Category:lowering | Remark="site 3/res is lowered to a kernel;
// CHECK: [Passed] LoweredToKernel | Category:lowering | Remark="site 3/att is lowered to a kernel;
// CHECK: [Passed] LoweredToAten | Category:lowering | Remark="site 4/res is lowered to aten operators; {{.*}}; it has no kernel: its TopK dictionary keeps 20000 features of a token (up to 16384 have a kernel)"
// CHECK: [Passed] LoweredToKernel | Category:lowering | Remark="site 5/res is lowered to a kernel;
// CHECK: steer.patch %x at <3/res> lowering <kernel>
// CHECK: steer.patch %{{.*}} at <3/att> lowering <kernel>
// CHECK: steer.patch %{{.*}} at <4/res> lowering <aten>
// CHECK: steer.patch %{{.*}} at <5/res> lowering <kernel>

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 8 activation <relu>
flow.dictionary @t of @sae at <4/res> reads <4/res> features 70000 width 8 activation <topk, 20000>
%list = flow.select [#flow.feature<@sae:3/res/1>]
steer.policy @p #steer.add<#steer.constant<1.0>> on %list
!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x
    %v = steer.scale_by %f [0.5] : !s
    %c = steer.delta %f to %v : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[4]>] : !x, !s
    steer.yield %w : !x
  } : !x
  %z = steer.patch %y at <3/att> {
  ^bb0(%h: !x):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[5]>] : !x, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  %u = steer.patch %z at <4/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @t [4] activation <topk, 20000> size 70000 : !x
    %v = steer.set_to %f [0.0] : !s
    %c = steer.delta %f to %v : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @t[4]>] : !x, !s
    steer.yield %w : !x
  } : !x
  %t = steer.patch %u at <5/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x
    %g = steer.compare %f above 1.0 : !s
    steer.record_gate %g of @p as "watch" : tensor<?x?x1xi1>
    %v = steer.set_to %f [0.0] : !s
    %c = steer.delta %f to %v where %g : tensor<?x?x1xi1> : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[4]>] : !x, !s
    steer.yield %w : !x
  } : !x
  fx.return %t : !x as [#fx.output<user_output>]
}
