// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --convert-steer-to-kernels --canonicalize --cse | FileCheck %s
// A site that reads many features takes tokens in blocks, so that a row serves several
// of them. Which iterations a processor takes side by side is left to its code generator.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 40 activation <relu>
flow.dictionary @n of @sae at <3/res> reads <3/res> features 16 width 40 activation <relu> normalization <layer_norm>
steer.plan @a []
!x = tensor<?x?x40xf32>
!f = tensor<?x?x4xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %y = func.call @site.3.res(%x, %plan) : (!x, tensor<?xi64>) -> !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK: func.func @edit_
// CHECK-SAME: %[[BEGIN:[^:]*]]: index, %[[END:[^:]*]]: index, %{{[^:]*}}: memref<2xi64>
// CHECK: scf.for %[[FIRST:.*]] = %[[BEGIN]] to %[[END]] step %c24 {
// CHECK: %[[LAST:.*]] = arith.minsi %{{.*}}, %[[END]]
// CHECK: %[[COUNT:.*]] = arith.subi %[[LAST]], %[[FIRST]]
// First a list of the tokens that an edit is meant for; the others keep their rows.
// CHECK: %[[EDITED:.*]] = scf.for %{{.*}} = %c0 to %[[COUNT]] step %c1 iter_args(%[[KNOWN:.*]] = %c0)
// CHECK: scf.if
// CHECK: memref.store %{{.*}}, %[[LIST:.*]][%[[KNOWN]]]
// CHECK: } else {
// CHECK: vector.store
// Then their products with each row, in the order of sums that a single token has.
// CHECK: scf.for %[[I:.*]] = %c0 to %[[EDITED]] step %c1 {
// CHECK: memref.load %[[LIST]][%[[I]]]
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c4 step %c1 {
// CHECK: math.fma
// CHECK: memref.store %{{.*}}, %[[Z:.*]][%[[I]], %[[ROW]]]
// CHECK: } {weir.jam = "rows"}
// CHECK: } {weir.jam = "tokens"}
// What a dictionary normalises is made once a token, before its products.
// CHECK: scf.for %[[N:.*]] = %c0 to %[[EDITED]] step %c1 {
// CHECK: memref.subview %[[INPUTS:.*]][%[[N]], 0] [1, 40]
// CHECK: math.sqrt
// CHECK: scf.for %[[J:.*]] = %c0 to %[[EDITED]] step %c1 {
// CHECK: memref.subview %[[INPUTS]][%[[J]], 0] [1, 40]
// CHECK: } {weir.jam = "rows"}
// CHECK: } {weir.jam = "tokens"}
// The rest, token by token.
// CHECK: scf.for %[[T:.*]] = %c0 to %[[EDITED]] step %c1 {
// CHECK: memref.load %[[LIST]][%[[T]]]
// CHECK-DAG: memref.subview %[[Z]][%[[T]], 0] [1, 4]
// CHECK: math.fma
// CHECK: vector.store
// CHECK-NOT: math.sqrt
// CHECK-NOT: weir.jam
func.func private @site.3.res(%x: !x, %plan: tensor<?xi64>) -> !x attributes {steer.site = #flow.site<3/res>} {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %z = steer.encode %x of @d [1, 2, 3, 4] size 16 : !x
  %f = steer.activate %z <relu> of @d [1, 2, 3, 4] : !f
  %h = steer.normalize %x <layer_norm> : !x
  %u = steer.encode %h of @n [1, 2, 3, 4] size 16 : !x
  %e = steer.activate %u <relu> of @n [1, 2, 3, 4] : !f
  %c = steer.delta %f to %e where %g : tensor<?x1x1xi1> : !f
  %w = steer.write %x, %c along [#flow.rows<decoder of @d[1, 2, 3, 4]>] : !x, !f
  return %w : !x
}

// -----

// A projection of several rows has its products made for a block as well.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 40 activation <relu>
steer.plan @a []
!x = tensor<?x?x40xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %y = func.call @site.3.res(%x, %plan) : (!x, tensor<?xi64>) -> !x
  fx.return %y : !x as [#fx.output<user_output>]
}

// CHECK: func.func @edit_
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c24 {
// CHECK: scf.for %[[I:.*]] = %c0 to %{{.*}} step %c1 {
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c4 step %c1 {
// CHECK: math.fma
// CHECK: memref.store %{{.*}}, %[[Z:.*]][%[[I]], %[[ROW]]]
// CHECK: } {weir.jam = "rows"}
// CHECK: } {weir.jam = "tokens"}
// What is taken away from a token's row takes them from there.
// CHECK: scf.for %[[T:.*]] = %c0 to %{{.*}} step %c1 {
// CHECK: memref.subview %[[Z]][%[[T]], 0] [1, 4]
// CHECK-NOT: weir.jam
func.func private @site.3.res(%x: !x, %plan: tensor<?xi64>) -> !x attributes {steer.site = #flow.site<3/res>} {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %y = steer.project %x out of [#flow.basis<#flow.rows<decoder of @d[1, 2, 3, 4]>>] where %g : tensor<?x1x1xi1> : !x
  return %y : !x
}
