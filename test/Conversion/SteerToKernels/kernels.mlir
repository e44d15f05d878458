// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --convert-steer-to-kernels --canonicalize --cse | FileCheck %s
// An outlined site becomes a loop over tokens. Two sites that differ in rows, numbers
// and plans only share a kernel; what differs is passed.

flow.dictionary @d of @sae at <3/res> reads <3/res> features 16 width 40 activation <jumprelu>
flow.dictionary @e of @sae at <4/res> reads <4/res> features 16 width 40 activation <jumprelu>
steer.plan @a []
steer.plan @b []
!x = tensor<?x?x40xf32>
!f = tensor<?x?x2xf32>
!r = tensor<?x1x1xi1>

// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[ENC:.*]] = fx.constant #flow.rows<encoder of @d[1, 2]> -> tensor<2x40xf32>
// CHECK-DAG: %[[NUMBERS:.*]] = fx.constant dense<5.000000e-01> : tensor<1xf32>
// CHECK-DAG: %[[OTHERS:.*]] = fx.constant dense<2.500000e-01> : tensor<1xf32>
// CHECK: %[[Y:.*]] = fx.call pure @weir.edit.default(x: %x, inputs: [%plan], constants: [%[[NUMBERS]], %{{.*}}, %[[ENC]], %{{.*}}, %{{.*}}, %{{.*}}], kernel: "[[KERNEL:edit_[0-9a-f]+]]") {weir.site = #flow.site<3/res>}
// CHECK: fx.call pure @weir.edit.default(x: %[[Y]], inputs: [%plan], constants: [%[[OTHERS]], {{.*}}], kernel: "[[KERNEL]]")
// CHECK-NOT: site.3.res
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %y = func.call @site.3.res(%x, %plan) : (!x, tensor<?xi64>) -> !x
  %z = func.call @site.4.res(%y, %plan) : (!x, tensor<?xi64>) -> !x
  fx.return %z : !x as [#fx.output<user_output>]
}

// CHECK: module @steer.kernels
// CHECK: func.func @[[KERNEL]](%{{[^:]*}}: memref<?x?x40xf32, strided<[?, ?, 1]>> {weir.role = "value", weir.sizes = array<i64: -1, -2, 40>, weir.type = f32},
// CHECK-SAME: %{{[^:]*}}: memref<?xi64, strided<[?]>> {weir.role = "input", weir.sizes = array<i64: -1>, weir.type = i64},
// CHECK-SAME: %{{[^:]*}}: memref<?x?x40xf32, strided<[?, ?, 1]>> {weir.role = "result", weir.sizes = array<i64: -1, -2, 40>, weir.type = f32},
// CHECK-SAME: %[[BEGIN:[^:]*]]: index, %[[END:[^:]*]]: index,
// CHECK-SAME: %{{[^:]*}}: memref<1xf32> {weir.role = "constant", weir.sizes = array<i64: 1>, weir.type = f32},
// CHECK-SAME: memref<1xi64> {weir.role = "constant", weir.sizes = array<i64: 1>, weir.type = i64},
// CHECK-SAME: %[[W:[^:]*]]: memref<2x40xf32> {weir.role = "constant", weir.sizes = array<i64: 2, 40>, weir.type = f32}
// CHECK: scf.for %[[T:.*]] = %[[BEGIN]] to %[[END]]
// A token for which the gate does not hold keeps its row; nothing is read for it.
// CHECK: %[[GATE:.*]] = arith.cmpi eq
// CHECK-NOT: math.fma
// CHECK: scf.if %[[GATE]] {
// The sum of 40 numbers: 32 in two accumulators, 8 behind a mask in the first.
// CHECK: scf.for %[[J:.*]] = %c0 to %c2
// CHECK: %[[ROW:.*]] = memref.subview %[[W]][%[[J]], 0] [1, 40] [1, 1]
// CHECK: %[[FIRST:.*]] = math.fma %{{.*}}, %{{.*}}, %[[ZERO:.*]] : vector<16xf32>
// CHECK: %[[SECOND:.*]] = math.fma %{{.*}}, %{{.*}}, %[[ZERO]] : vector<16xf32>
// CHECK: vector.constant_mask [8] : vector<16xi1>
// CHECK: %[[REST:.*]] = math.fma %{{.*}}, %{{.*}}, %[[FIRST]] : vector<16xf32>
// CHECK: %[[BOTH:.*]] = arith.addf %[[REST]], %[[SECOND]] : vector<16xf32>
// CHECK: vector.reduction <add>, %[[BOTH]] fastmath<reassoc> : vector<16xf32> into f32
// Strictly above the threshold.
// CHECK: arith.cmpf ogt
// Rows are added where their coefficient is not zero: a list of them, four at a
// time, then what is left.
// CHECK: %[[ADDED:.*]] = scf.for %[[COLUMN:.*]] = %c0 to %c2 step %c1 iter_args(%[[KNOWN:.*]] = %c0)
// CHECK: memref.store %[[COLUMN]], %[[LIST:.*]][%[[KNOWN]]]
// CHECK: %[[SOME:.*]] = arith.cmpf une, %{{.*}}, %{{.*}} : f32
// CHECK: %[[ONE:.*]] = arith.index_castui %[[SOME]] : i1 to index
// CHECK: arith.addi %[[KNOWN]], %[[ONE]]
// CHECK: scf.for %{{.*}} = %c0 to %[[WHOLE:.*]] step %c4
// CHECK-COUNT-4: memref.load %[[LIST]]
// CHECK: %[[A:.*]] = math.fma %{{.*}}, %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK: %[[B:.*]] = math.fma %{{.*}}, %{{.*}}, %[[A]] : vector<16xf32>
// CHECK: %[[C:.*]] = math.fma %{{.*}}, %{{.*}}, %[[B]] : vector<16xf32>
// CHECK: %[[D:.*]] = math.fma %{{.*}}, %{{.*}}, %[[C]] : vector<16xf32>
// CHECK: vector.store %[[D]]
// CHECK: vector.maskedstore
// CHECK: scf.for %{{.*}} = %[[WHOLE]] to %[[ADDED]] step %c1
// CHECK: math.fma
// CHECK: vector.store
// CHECK: vector.maskedstore
// CHECK: } else {
// CHECK-NOT: math.fma
// CHECK: vector.store
// CHECK-NOT: func.func @edit
func.func private @site.3.res(%x: !x, %plan: tensor<?xi64>) -> !x attributes {steer.site = #flow.site<3/res>} {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %z = steer.encode %x of @d [1, 2] size 16 : !x
  %f = steer.activate %z <jumprelu> of @d [1, 2] : !f
  %v = steer.scale_by %f [0.5, 0.5] : !f
  %c = steer.delta %f to %v where %g : !r : !f
  %w = steer.write %x, %c along [#flow.rows<decoder of @d[1, 2]>] : !x, !f
  return %w : !x
}
func.func private @site.4.res(%x: !x, %plan: tensor<?xi64>) -> !x attributes {steer.site = #flow.site<4/res>} {
  %g = steer.in_plans %plan [1] : tensor<?xi64>
  %z = steer.encode %x of @e [7, 3] size 16 : !x
  %f = steer.activate %z <jumprelu> of @e [7, 3] : !f
  %v = steer.scale_by %f [0.25, 0.25] : !f
  %c = steer.delta %f to %v where %g : !r : !f
  %w = steer.write %x, %c along [#flow.rows<decoder of @e[7, 3]>] : !x, !f
  return %w : !x
}
