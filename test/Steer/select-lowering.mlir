// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-select-lowering))' --remark-format=emitRemark --remarks-filter='lowering' 2>&1 | FileCheck %s
// Every site says what it becomes and what it costs, at the line of each policy
// that edits it; a site that no policy is known of, at its own.

// CHECK: [[@LINE+11]]:1: remark: [Passed] LoweredToAten | Category:lowering | Remark="policy 'less' at 3/mlp is lowered to aten operators; the site reads 132 bytes of rows and makes 80 operations a token"
// CHECK: [[@LINE+11]]:1: remark: [Passed] LoweredToAten | Category:lowering | Remark="policy 'more' at 3/mlp is lowered to aten operators; the site reads 132 bytes of rows and makes 80 operations a token"
// CHECK: remark: [Passed] LoweredToAten | Category:lowering | Remark="site 3/res is lowered to aten operators; the site reads 32 bytes of rows and makes 16 operations a token"
// CHECK: remark: [Passed] LoweredToAten | Category:lowering | Remark="site 3/att is lowered to aten operators; the site reads 0 bytes of rows and makes 0 operations a token"
// CHECK-NOT: remark
// CHECK: fx.program @main
// CHECK: steer.patch %x at <mlp, 3> lowering <aten> {
// CHECK: steer.patch %{{.*}} at <res, 3> lowering <aten> {
// CHECK: steer.patch %{{.*}} at <att, 3> lowering <aten> {

flow.dictionary @d of @sae at <mlp, 3> reads <mlp, 3> features 16 width 8 activation <relu>
steer.policy @less #steer.scale<0.5> on @f
steer.policy @more #steer.add<#steer.constant<1.0>> on @f
!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <mlp, 3> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x loc(#merged)
    %v = steer.scale_by %f [0.5] : !s loc(#less)
    %c = steer.delta %f to %v : !s loc(#less)
    %b = steer.strength 2.0 loc(#node)
    %w = steer.write %h, %c, %b along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>] : !x, !s, tensor<1xf32> loc(#node)
    %r = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[6]>>] : !x loc(#more)
    steer.yield %r : !x
  } : !x
  %z = steer.patch %y at <res, 3> {
  ^bb0(%h: !x):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[5]>] : !x, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  // What was chosen before stays.
  %u = steer.patch %z at <att, 3> lowering <aten> {
  ^bb0(%h: !x):
    steer.yield %h : !x
  } : !x
  fx.return %u : !x as [#fx.output<user_output>]
}
#less = loc("less"("spec.yaml":4:3))
#more = loc("more"("spec.yaml":5:3))
#merged = loc(fused[#less, #more])
#node = loc("linear_3")
