// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(steer-tabulate-plans{min-policies=2})' --remark-format=emitRemark --remarks-filter='steer' 2>&1 | FileCheck %s
// Every policy that became a row of a table says so at its own place.

// CHECK: x.yaml:1:1: remark: [Passed] Tabulated | Category:steer | Remark="policy 'one' became a row of a table at 3/res, one of 3"
// CHECK: x.yaml:2:1: remark: [Passed] Tabulated | Category:steer | Remark="policy 'two' became a row of a table at 3/res, one of 3"
// CHECK: x.yaml:3:1: remark: [Passed] Tabulated | Category:steer | Remark="policy 'three' became a row of a table at 3/res, one of 3"
// CHECK: x.yaml:4:1: remark: [Passed] Tabulated | Category:steer | Remark="policy 'third' became a row of a table at 3/res, one of 3"
// CHECK: [Missed] Counted | Category:steer | Remark="no policy became a row of a table at 4/res, where the edits of each one are counted"
// CHECK-NOT: remark

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
steer.plan @plan0 []
steer.plan @plan1 []
steer.plan @plan2 []

!x = tensor<?x?x8xf32>
!k = tensor<?x1x1xf32>
!r = tensor<?x1x1xi1>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %p0 = steer.in_plans %plan [0] : tensor<?xi64>
  %p1 = steer.in_plans %plan [1] : tensor<?xi64>
  %p2 = steer.in_plans %plan [2] : tensor<?xi64>
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    %a = steer.strength 1.0 where %p0 : !r loc("one"("x.yaml":1:1))
    %b = steer.strength 2.0 where %p1 : !r loc("two"("x.yaml":2:1))
    %c = steer.strength 3.0 where %p2 : !r loc("three"("x.yaml":3:1))
    %d = steer.strength 4.0 where %p2 : !r loc("third"("x.yaml":4:1))
    %w = steer.write %h, %a, %b, %c, %d along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>, #flow.rows<decoder of @d[3]>, #flow.rows<decoder of @d[4]>] : !x, !k, !k, !k, !k
    steer.yield %w : !x
  } : !x
  %t = steer.all %p0 : !r
  %z = steer.patch %y at <4/res> {
  ^bb0(%h: !x):
    %a = steer.strength 1.0 where %p0 : !r
    %b = steer.strength 2.0 where %p1 : !r
    %w = steer.write %h, %a, %b along [#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @d[2]>] : !x, !k, !k
    steer.count %a, %b as ["one", "two"] at <4/res> in %t : !r : !k, !k
    steer.yield %w : !x
  } : !x
  fx.return %z : !x as [#fx.output<user_output>]
}
