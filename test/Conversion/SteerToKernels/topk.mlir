// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-decompose-reads))' | FileCheck %s --check-prefix=READ
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-decompose-reads),steer-outline-patches,convert-steer-to-kernels,canonicalize,cse)' | FileCheck %s
// A TopK dictionary is searched for the features that stay, and nothing of its size is
// stored: neither products nor activations.

flow.dictionary @t of @sae at <3/res> reads <3/res> features 100000 width 40 activation <topk, 3>
steer.plan @a []
!x = tensor<?x?x40xf32>
!f = tensor<?x?x2xf32>

// READ: steer.patch %x at <3/res> lowering <kernel>
// READ: steer.read %{{.*}} of @t [5, 9] activation <topk, 3> size 100000
// READ: steer.patch %{{.*}} at <4/res> lowering <aten>
// READ: steer.encode %{{.*}} of @t [] size 100000
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %g = steer.in_plans %plan [0] : tensor<?xi64>
  %y = steer.patch %x at <3/res> lowering <kernel> {
  ^bb0(%h: !x):
    %f = steer.read %h of @t [5, 9] activation <topk, 3> size 100000 : !x
    %v = steer.scale_by %f [0.5, 0.5] : !f
    %c = steer.delta %f to %v where %g : tensor<?x1x1xi1> : !f
    %w = steer.write %h, %c along [#flow.rows<decoder of @t[5, 9]>] : !x, !f
    steer.yield %w : !x
  } : !x
  %z = steer.patch %y at <4/res> lowering <aten> {
  ^bb0(%h: !x):
    %f = steer.read %h of @t [5, 9] activation <topk, 3> size 100000 : !x
    %c = steer.delta %f to %f where %g : tensor<?x1x1xi1> : !f
    %w = steer.write %h, %c along [#flow.rows<decoder of @t[5, 9]>] : !x, !f
    steer.yield %w : !x
  } : !x
  fx.return %z : !x as [#fx.output<user_output>]
}

// CHECK: func.func @edit_
// CHECK-SAME: %[[W:[^:]*]]: memref<100000x40xf32>
// CHECK-NOT: memref.alloca() {{.*}}100000
// CHECK: %[[HELD:.*]] = memref.alloca() {alignment = 64 : i64} : memref<24x32xi64>
// Which tokens an edit is meant for, then what they hold before the search.
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c24
// CHECK: %[[COUNT:.*]] = scf.for
// Some features' rows for all tokens of the block, side by side.
// CHECK: scf.for %[[FROM:.*]] = %c0 to %c100000 step %c256 {
// CHECK: arith.minsi
// CHECK: scf.for %{{.*}} = %c0 to %[[COUNT]] step %c1 {
// CHECK: memref.subview %[[W]]
// CHECK: math.fma
// CHECK: } {weir.jam = "rows"}
// CHECK: } {weir.jam = "tokens"}
// A vector of them is offered at a time: what is above the bound is held, and a list
// without room for another vector is cut to three.
// CHECK: arith.cmpi ugt, %{{.*}} : vector<16xi64>
// CHECK: vector.reduction <or>
// CHECK: scf.if
// CHECK: vector.compressstore %[[LISTED:.*]][%{{.*}}], %{{.*}} : memref<32xi64
// CHECK: arith.cmpi sgt, %{{.*}}, %c16
// CHECK: scf.if
// The bound, bit by bit until three are left, and the least of them.
// CHECK: scf.while
// CHECK: arith.cmpi uge, %{{.*}} : vector<16xi64>
// CHECK: vector.bitcast %{{.*}} : vector<16xi1> to vector<1xi16>
// CHECK: math.ctpop
// CHECK: arith.cmpi sge, %{{.*}}, %c3_i64
// CHECK: scf.condition
// CHECK: vector.reduction <minui>
// The patch's own features: their products again, and whether they stay.
// CHECK: scf.for %{{.*}} = %c0 to %c2 step %c1
// CHECK: memref.subview %[[W]]
// CHECK: arith.cmpi uge, %{{.*}} : i64
// CHECK-NOT: steer.
