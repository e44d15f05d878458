// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches))' | FileCheck %s
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-widen-patches))' | FileCheck %s
// A site of a narrow type is edited in f32, and rounded once.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu> normalization <layer_norm>

!x = tensor<?x?x8xf32>
!b = tensor<?x?x8xbf16>
!h = tensor<4x8xf16>
!s = tensor<?x?x1xf32>
!k = tensor<?x1x1xf32>

// Widened once, where it is first used; reads, edits and the norm that the value
// is brought back to see the same f32.
// CHECK-LABEL: fx.program @edited(
// CHECK: ^bb0(%[[H:.*]]: tensor<?x?x8xbf16>):
// CHECK-NEXT: %[[X:.*]] = steer.widen %[[H]] : tensor<?x?x8xbf16>
// CHECK-NEXT: steer.read %[[X]] of @d [4] {{.*}} : tensor<?x?x8xf32>
// CHECK-NEXT: steer.input_scale %[[X]] <layer_norm> : tensor<?x?x8xf32>
// CHECK: %[[W:.*]] = steer.write %[[X]], {{.*}} : tensor<?x?x8xf32>, tensor<?x?x1xf32>
// CHECK-NEXT: %[[P:.*]] = steer.project %[[W]] {{.*}} : tensor<?x?x8xf32>
// CHECK-NEXT: %[[R:.*]] = steer.rescale %[[P]] like %[[X]] : tensor<?x?x8xf32>
// CHECK-NEXT: %[[Y:.*]] = steer.round %[[R]] to bf16 : tensor<?x?x8xf32>
// CHECK-NEXT: steer.yield %[[Y]] : tensor<?x?x8xbf16>
fx.program @edited(%x: !b = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !b):
    %f = steer.read %h of @d [4] activation <relu> normalization <layer_norm> size 16 : !b
    %n = steer.input_scale %h <layer_norm> : !b
    %v = steer.set_to %f [0.0] : !s
    %c = steer.delta %f to %v scaled by %n : !s : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[4]>] : !b, !s
    %p = steer.project %w out of [#flow.basis<#flow.rows<decoder of @d[2]>>] : !b
    %q = steer.rescale %p like %h : !b
    steer.yield %q : !b
  } : !b
  fx.return %y : !b as [#fx.output<user_output>]
}

// Of f16, and of flattened tokens.
// CHECK-LABEL: fx.program @half(
// CHECK: %[[X:.*]] = steer.widen %{{.*}} : tensor<4x8xf16>
// CHECK-NEXT: %[[W:.*]] = steer.write %[[X]], %c {{.*}} : tensor<4x8xf32>, tensor<1x1xf32>
// CHECK-NEXT: %[[Y:.*]] = steer.round %[[W]] to f16 : tensor<4x8xf32>
// CHECK-NEXT: steer.yield %[[Y]] : tensor<4x8xf16>
fx.program @half(%x: !h = #fx.input<user_input>, %c: tensor<1x1xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !h):
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[4]>] : !h, tensor<1x1xf32>
    steer.yield %w : !h
  } : !h
  fx.return %y : !h as [#fx.output<user_output>]
}

// A value of an earlier site that a condition reads here, and one that is read
// outside of all patches, for several sites.
// CHECK-LABEL: fx.program @elsewhere(
// CHECK: %[[Z:.*]] = steer.widen %z : tensor<?x?x8xbf16>
// CHECK-NEXT: steer.read %[[Z]] of @d [1] {{.*}} : tensor<?x?x8xf32>
// CHECK-NEXT: steer.read %[[Z]] of @d [2] {{.*}} : tensor<?x?x8xf32>
// CHECK: steer.patch %x at
// CHECK: %[[O:.*]] = steer.widen %z : tensor<?x?x8xbf16>
// CHECK-NEXT: %[[F:.*]] = steer.read %[[O]] of @d [3] {{.*}} : tensor<?x?x8xf32>
// CHECK-NEXT: %[[X:.*]] = steer.widen %{{.*}} : tensor<?x?x8xbf16>
// CHECK-NEXT: steer.write %[[X]], %[[F]]
fx.program @elsewhere(%x: !b = #fx.input<user_input>, %z: !b = #fx.input<user_input>) {
  %e = steer.read %z of @d [1] activation <relu> normalization <layer_norm> size 16 : !b
  %i = steer.read %z of @d [2] activation <relu> normalization <layer_norm> size 16 : !b
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !b):
    %f = steer.read %z of @d [3] activation <relu> normalization <layer_norm> size 16 : !b
    %w = steer.write %h, %f, %e, %i along [#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @d[5]>, #flow.rows<decoder of @d[6]>] : !b, !s, !s, !s
    steer.yield %w : !b
  } : !b
  fx.return %y : !b as [#fx.output<user_output>]
}

// What is only read keeps its value to the bit, and f32 stays as it is.
// CHECK-LABEL: fx.program @recorded(
// CHECK: ^bb0(%[[H:.*]]: tensor<?x?x8xbf16>):
// CHECK: steer.widen %[[H]]
// CHECK-NOT: steer.round
// CHECK: steer.yield %[[H]] : tensor<?x?x8xbf16>
// CHECK: steer.patch %z
// CHECK-NOT: steer.widen
// CHECK-NOT: steer.round
// CHECK: fx.return
fx.program @recorded(%x: !b = #fx.input<user_input>, %z: !x = #fx.input<user_input>, %k: !k = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: !b):
    %f = steer.read %h of @d [3] activation <relu> normalization <layer_norm> size 16 : !b
    steer.record %f as "r" [#flow.feature<@sae, res, 0, 3>] : !s
    steer.yield %h : !b
  } : !b
  %u = steer.patch %z at <res, 1> {
  ^bb0(%h: !x):
    %w = steer.write %h, %k along [#flow.rows<decoder of @d[4]>] : !x, !k
    steer.yield %w : !x
  } : !x
  fx.return %y, %u : !b, !x as [#fx.output<user_output>, #fx.output<user_output>]
}
