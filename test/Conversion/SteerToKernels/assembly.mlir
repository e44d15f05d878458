// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline="builtin.module(weir-lower{lower=kernel})" --mlir-print-op-generic -o %t.mlir
// RUN: weir-codegen %t.mlir --emit=asm --target x86_64-linux-gnu --variant v3 -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=AVX2,ALL
// RUN: weir-codegen %t.mlir --emit=asm --target x86_64-linux-gnu --variant v4 -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=AVX512,ALL
// RUN: weir-codegen %t.mlir --emit=asm --target aarch64-linux-gnu --variant neon -o - | %python %S/Inputs/inner_loops.py | FileCheck %s --check-prefixes=NEON,ALL
// What the code of each processor is, cross-compiled. Where rows are multiplied, there
// are fused instructions on whole registers, several sums, and nothing on the stack;
// nowhere is a function called, whatever a site does.

// Three tokens with one row: 3 x 32 sums in registers of 8. Then a single token: two
// sums of two registers.
// AVX2: loop: 12 fused on ymm
// AVX2: loop: 4 fused on ymm
// AVX2-NOT: xmm
// Three tokens with four rows: 12 x 32 sums in registers of 16.
// AVX512: loop: 24 fused on zmm
// AVX512: loop: 2 fused on zmm
// AVX512-NOT: {{[xy]mm}}
// Registers of 4.
// NEON: loop: 24 fused on 4s
// NEON: loop: 8 fused on 4s
// ALL: of {{[0-9]+}} loops: 0 spills, 0 scalar
// ALL: calls: none

flow.dictionary @d of @sae at <3/res> reads <3/res> features 64 width 200 activation <jumprelu>
flow.dictionary @n of @sae at <3/res> reads <3/res> features 64 width 200 activation <gated> normalization <layer_norm>
flow.dictionary @t of @sae at <3/res> reads <3/res> features 64 width 200 activation <topk, 5>
steer.plan @a []
!x = tensor<?x?x200xf32>
!f = tensor<?x?x8xf32>
fx.program @main(%x: !x = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  %p = steer.in_plans %plan [0] : tensor<?xi64>
  %y = steer.patch %x at <3/res> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [1, 2, 3, 5, 8, 13, 21, 34] activation <jumprelu> size 64 : !x
    %g = steer.read %h of @n [1, 2, 3, 5, 8, 13, 21, 34] activation <gated> normalization <layer_norm> size 64 : !x
    %t = steer.read %h of @t [1, 2, 3, 5, 8, 13, 21, 34] activation <topk, 5> size 64 : !x
    %s = steer.sum %f, %g : !f
    %v = steer.clamp_to %s min 0.5 max 2.0 : !f
    %c = steer.delta %f to %v where %p : tensor<?x1x1xi1> : !f
    %u = steer.scale_by %t [0.5] : !f
    %e = steer.delta %t to %u where %p : tensor<?x1x1xi1> : !f
    %w = steer.write %h, %c, %e along [#flow.rows<decoder of @d[1, 2, 3, 5, 8, 13, 21, 34]>, #flow.rows<decoder of @t[1, 2, 3, 5, 8, 13, 21, 34]>] : !x, !f, !f
    %r = steer.rescale %w like %h where %p : tensor<?x1x1xi1> : !x
    steer.yield %r : !x
  } : !x
  fx.return %y : !x as [#fx.output<user_output>]
}
