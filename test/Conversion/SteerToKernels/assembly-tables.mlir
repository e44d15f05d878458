// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline="builtin.module(weir-lower{lower=kernel})" --mlir-print-op-generic -o %t.mlir
// RUN: weir-codegen %t.mlir --emit=asm --target x86_64-linux-gnu --variant v3 -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=AVX2,ALL
// RUN: weir-codegen %t.mlir --emit=asm --target x86_64-linux-gnu --variant v4 -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=AVX512,ALL
// RUN: weir-codegen %t.mlir --emit=asm --target aarch64-linux-gnu --variant neon -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=NEON,ALL
// Rows of a plan lie anywhere: several of them are read at a time, and added four at a
// time to a row that is loaded and stored once.

// Two rows, two sums of two registers each; then a single row.
// AVX2: loop: 8 fused on ymm
// AVX2: loop: 4 fused on ymm
// Four rows added, of two registers each; then a single one.
// AVX2: loop: 8 fused on ymm
// AVX2: loop: 2 fused on ymm
// Four rows, two sums of a register each.
// AVX512: loop: 8 fused on zmm
// AVX512: loop: 2 fused on zmm
// AVX512: loop: 4 fused on zmm
// AVX512: loop: 1 fused on zmm
// NEON: loop: 16 fused on 4s
// NEON: loop: 8 fused on 4s
// NEON: loop: 16 fused on 4s
// NEON: loop: 4 fused on 4s
// ALL: of 4 loops: 0 spills, 0 scalar
// ALL: calls: none

flow.dictionary @d of @sae at <3/res> reads <3/res> features 64 width 200 activation <relu>
steer.plan @a []
!x = tensor<?x?x200xf32>
!f = tensor<?x?x5xf32>
!i = tensor<?x1x5xi64>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %slot = steer.slot %plan in [1] : tensor<?xi64>
  %i = steer.lookup %slot : tensor<?xi64> in dense<[[0, 0, 0, 0, 0], [4, 2, 3, 1, 0]]> : tensor<2x5xi64>
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    %f = steer.row_read %h at %i of @d [1, 2, 3, 5, 8] activation <relu> size 64 : !x, !i
    %v = steer.scale_by %f [0.5] : !f
    %c = steer.delta %f to %v : !f
    %w = steer.row_write %h, %c at %i along [#flow.rows<decoder of @d[1, 2, 3, 5, 8]>] : !x, !f, !i
    steer.yield %w : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
