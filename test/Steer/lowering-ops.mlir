// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt --mlir-print-op-generic %s | weir-opt | FileCheck %s
// RUN: weir-opt %s --canonicalize | FileCheck %s --check-prefix=FOLDED
// The operations that patches are lowered by: printed and read again, and folded.

flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <jumprelu>
flow.dictionary @r of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
flow.dictionary @linear of @sae at <0/res> reads <0/res> features 16 width 8 activation <identity>
flow.dictionary @gates of @sae at <0/res> reads <0/res> features 16 width 8 activation <gated>
flow.dictionary @largest of @sae at <0/res> reads <0/res> features 16 width 8 activation <topk, 3>

!x = tensor<?x?x8xf32>
!b = tensor<?x?x8xbf16>
!f = tensor<?x?x2xf32>

// CHECK-LABEL: fx.program @main
fx.program @main(%x: !x = #fx.input<user_input>, %b: !b = #fx.input<user_input>, %t: tensor<4x8xf16> = #fx.input<user_input>) {
  // CHECK: %[[WIDE:.*]] = steer.widen %b : tensor<?x?x8xbf16>
  %wide = steer.widen %b : !b
  // CHECK: %[[TOKENS:.*]] = steer.widen %t : tensor<4x8xf16>
  %tokens = steer.widen %t : tensor<4x8xf16>
  // CHECK: %[[NORM:.*]] = steer.normalize %[[WIDE]] <layer_norm> : tensor<?x?x8xf32>
  %norm = steer.normalize %wide <layer_norm> : !x
  // CHECK: %[[UNIT:.*]] = steer.normalize %[[TOKENS]] <constant_norm> : tensor<4x8xf32>
  %unit = steer.normalize %tokens <constant_norm> : tensor<4x8xf32>
  // CHECK: %[[Z:.*]] = steer.encode %[[NORM]] of @d [4, 2] size 16 : tensor<?x?x8xf32>
  %z = steer.encode %norm of @d [4, 2] size 16 : !x
  // CHECK: %[[F:.*]] = steer.activate %[[Z]] <jumprelu> of @d [4, 2] : tensor<?x?x2xf32>
  %f = steer.activate %z <jumprelu> of @d [4, 2] : !f
  // CHECK: %[[P:.*]] = steer.encode %[[UNIT]] of @gates [1] size 16 unbiased : tensor<4x8xf32>
  %p = steer.encode %unit of @gates [1] size 16 unbiased : tensor<4x8xf32>
  // CHECK: %[[G:.*]] = steer.activate %[[P]] <gated> of @gates [1] : tensor<4x1xf32>
  %g = steer.activate %p <gated> of @gates [1] : tensor<4x1xf32>
  // CHECK: %[[ALL:.*]] = steer.encode %x of @largest [] size 16 : tensor<?x?x8xf32>
  %all = steer.encode %x of @largest [] size 16 : !x
  // CHECK: %[[TOP:.*]] = steer.activate %[[ALL]] <topk, 3> of @largest [] : tensor<?x?x16xf32>
  %top = steer.activate %all <topk, 3> of @largest [] : tensor<?x?x16xf32>
  // CHECK: %[[BF16:.*]] = steer.round %x to bf16 : tensor<?x?x8xf32>
  %bf16 = steer.round %x to bf16 : !x
  // CHECK: %[[F16:.*]] = steer.round %[[TOKENS]] to f16 : tensor<4x8xf32>
  %f16 = steer.round %tokens to f16 : tensor<4x8xf32>
  // CHECK: fx.return %[[F]], %[[G]], %[[TOP]], %[[BF16]], %[[F16]]
  fx.return %f, %g, %top, %bf16, %f16 : !f, tensor<4x1xf32>, tensor<?x?x16xf32>, !b, tensor<4x8xf16> as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// What was widened and not edited is what it was; to another type it is not, and
// what is rounded first is not what it was.
// FOLDED-LABEL: fx.program @round(
// FOLDED: %[[WIDE:.*]] = steer.widen %b
// FOLDED-NEXT: %[[OTHER:.*]] = steer.round %[[WIDE]] to f16
// FOLDED-NEXT: %[[ROUNDED:.*]] = steer.round %x to bf16
// FOLDED-NEXT: %[[LOSSY:.*]] = steer.widen %[[ROUNDED]]
// FOLDED-NEXT: fx.return %b, %[[OTHER]], %[[LOSSY]] :
fx.program @round(%x: !x = #fx.input<user_input>, %b: !b = #fx.input<user_input>) {
  %wide = steer.widen %b : !b
  %same = steer.round %wide to bf16 : !x
  %other = steer.round %wide to f16 : !x
  %rounded = steer.round %x to bf16 : !x
  %lossy = steer.widen %rounded : !b
  fx.return %same, %other, %lossy : !b, tensor<?x?x8xf16>, !x as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// The identity is nothing, and what is never negative is its own relu.
// FOLDED-LABEL: fx.program @activate(
// FOLDED: %[[JUMP:.*]] = steer.activate %f <jumprelu> of @d
// FOLDED-NEXT: %[[RELU:.*]] = steer.activate %f <relu> of @r
// FOLDED-NEXT: %[[AGAIN:.*]] = steer.activate %[[RELU]] <jumprelu> of @d
// FOLDED-NEXT: fx.return %f, %[[JUMP]], %[[AGAIN]], %[[RELU]] :
fx.program @activate(%f: !f = #fx.input<user_input>) {
  %same = steer.activate %f <identity> of @linear [4, 2] : !f
  %jump = steer.activate %f <jumprelu> of @d [4, 2] : !f
  %positive = steer.activate %jump <relu> of @r [4, 2] : !f
  %relu = steer.activate %same <relu> of @r [4, 2] : !f
  %again = steer.activate %relu <jumprelu> of @d [4, 2] : !f
  fx.return %same, %positive, %again, %relu : !f, !f, !f, !f as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// CHECK-LABEL: func.func @deliver
// CHECK: steer.deliver %{{.*}} to %{{.*}} : tensor<?x?x8xf32>, memref<8xf32, strided<[1], offset: ?>>
func.func @deliver(%y: tensor<?x?x8xf32>, %row: memref<8xf32, strided<[1], offset: ?>>) {
  steer.deliver %y to %row : tensor<?x?x8xf32>, memref<8xf32, strided<[1], offset: ?>>
  return
}

// A gate is a number there.
// CHECK-LABEL: func.func @deliver_gate
// CHECK: steer.deliver %{{.*}} to %{{.*}} : tensor<?x?x1xi1>, memref<1xf32, strided<[1], offset: ?>>
func.func @deliver_gate(%g: tensor<?x?x1xi1>, %row: memref<1xf32, strided<[1], offset: ?>>) {
  steer.deliver %g to %row : tensor<?x?x1xi1>, memref<1xf32, strided<[1], offset: ?>>
  return
}
