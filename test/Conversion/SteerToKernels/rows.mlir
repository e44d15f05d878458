// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --convert-steer-to-kernels --canonicalize --cse | FileCheck %s
// Rows are stored once: features that edits of several plans have in common are places
// in one matrix, and sites that go along the same rows pass the same constant.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 40 activation <relu>
flow.dictionary @e of @sae at <4/res> reads <4/res> features 16 width 40 activation <relu>
steer.plan @a []
steer.plan @b []
!x = tensor<?x?x40xf32>
!f = tensor<?x?x2xf32>
!r = tensor<?x1x1xi1>

// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[PLACES:.*]] = fx.constant dense<[{{.*}}0, 1, 1, 2]> : tensor<{{.*}}xi64>
// CHECK-DAG: %[[UNION:.*]] = fx.constant #flow.rows<decoder of @d[1, 2, 7]> -> tensor<3x40xf32>
// CHECK-DAG: %[[OTHER:.*]] = fx.constant #flow.rows<decoder of @e[4, 5]> -> tensor<2x40xf32>
// CHECK-NOT: fx.constant #flow.rows
// CHECK: fx.call pure @weir.edit.default(x: %x, {{.*}}%[[PLACES]], %[[UNION]], %[[OTHER]]], kernel: "[[KERNEL:edit_[0-9a-f]+]]")
// CHECK: fx.call pure @weir.edit.default({{.*}}%[[UNION]], %[[OTHER]]], kernel: "[[KERNEL]]")
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>, %f: !f = #fx.input<user_input>) {
  %y = func.call @site.3.res(%x, %plan, %f) : (!x, tensor<?xi64>, !f) -> !x
  %z = func.call @site.4.res(%y, %plan, %f) : (!x, tensor<?xi64>, !f) -> !x
  fx.return %z : !x as [#fx.output<user_output>]
}

func.func private @site.3.res(%x: !x, %plan: tensor<?xi64>, %f: !f) -> !x attributes {steer.site = #flow.site<3/res>} {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %h = steer.in_plans %plan [1] : tensor<?xi64>
  %v = steer.scale_by %f [0.5, 0.5] : !f
  %c = steer.delta %f to %v where %g : !r : !f
  %e = steer.delta %f to %v where %h : !r : !f
  %w = steer.write %x, %c, %e, %f along [#flow.rows<decoder of @d[1, 2]>, #flow.rows<decoder of @d[2, 7]>, #flow.rows<decoder of @e[4, 5]>] : !x, !f, !f, !f
  return %w : !x
}
func.func private @site.4.res(%x: !x, %plan: tensor<?xi64>, %f: !f) -> !x attributes {steer.site = #flow.site<4/res>} {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %h = steer.in_plans %plan [1] : tensor<?xi64>
  %v = steer.scale_by %f [0.25, 0.25] : !f
  %c = steer.delta %f to %v where %g : !r : !f
  %e = steer.delta %f to %v where %h : !r : !f
  %w = steer.write %x, %c, %e, %f along [#flow.rows<decoder of @d[1, 2]>, #flow.rows<decoder of @d[2, 7]>, #flow.rows<decoder of @e[4, 5]>] : !x, !f, !f, !f
  return %w : !x
}
