// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --steer-outline-patches | FileCheck %s
// What a patch needs goes with it, gates and knobs included; what only looks stays
// behind and gets one more result. What was computed with a value of an earlier
// site is passed.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 8 activation <relu>
steer.plan @a []
steer.plan @b []
steer.knob @k default 1.0
!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>

// CHECK-LABEL: fx.program @main
// CHECK: edited = [#fx.edited<res, 3>]
// CHECK: %[[EARLIER:.*]] = steer.encode %x of @d [7]
// CHECK-NOT: steer.patch %x
// CHECK: %[[Y:.*]]:2 = func.call @site.3.res(%x, %knobs, %plan, %positions, %prompt_length, %[[EARLIER]])
// CHECK-SAME: -> (tensor<?x?x8xf32>, tensor<?x?x1xf32>)
// CHECK: steer.record %[[Y]]#1 as "watch"
// CHECK: steer.patch %[[Y]]#0 at <4/res> lowering <aten>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>,
                 %positions: tensor<?x?xi64> = #fx.input<user_input>,
                 %prompt_length: tensor<?xi64> = #fx.input<user_input>,
                 %knobs: tensor<?x1xf32> = #fx.input<user_input>) {
  %p = steer.in_plans %plan [1] : tensor<?xi64>
  %t = steer.tokens %positions, %prompt_length <set = generated> : tensor<?x?xi64>, tensor<?xi64>
  %e = steer.encode %x of @d [7] size 16 : !x
  %c = steer.compare %e above 0.5 : !s
  %g = steer.all %p, %t, %c : tensor<?x1x1xi1>, !g, !g
  %k = steer.knob_value %knobs 0 : tensor<?x1xf32>
  %y = steer.patch %x at <3/res> lowering <kernel> {
  ^bb0(%h: !x):
    %z = steer.encode %h of @d [4] size 16 : !x
    %f = steer.activate %z <relu> of @d [4] : !s
    %v = steer.scale_by %f [0.5] times %k : tensor<?x1x1xf32> : !s
    %c2 = steer.delta %f to %v where %g : !g : !s
    steer.record %f as "watch" [#flow.feature<@sae:3/res/4>] where %t : !g : !s
    %w = steer.write %h, %c2 along [#flow.rows<decoder of @d[4]>] : !x, !s
    steer.yield %w : !x
  } : !x
  %n = steer.patch %y at <4/res> lowering <aten> {
  ^bb0(%h: !x):
    steer.yield %h : !x
  } : !x
  fx.return %n : !x as [#fx.output<user_output>]
}

// CHECK: func.func private @site.3.res(%[[X:[^:]*]]: tensor<?x?x8xf32>, %{{[^:]*}}: tensor<?x1xf32>, %[[PLAN:[^:]*]]: tensor<?xi64>,
// CHECK: %[[IN:.*]] = steer.in_plans %[[PLAN]] [1]
// CHECK: %[[WHEN:.*]] = steer.compare
// CHECK: %[[GATE:.*]] = steer.all %[[IN]], %{{.*}}, %[[WHEN]]
// CHECK: %[[F:.*]] = steer.activate
// CHECK: %[[W:.*]] = steer.write %[[X]]
// CHECK: return %[[W]], %[[F]]
