// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-decompose-reads))' | FileCheck %s
// A read becomes what it does: normalise, encode, activate.

flow.dictionary @linear of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <identity>
flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @jump of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <jumprelu> normalization <constant_norm>
flow.dictionary @gates of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <gated> normalization <layer_norm>
flow.dictionary @largest of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <topk, 3>
flow.dictionary @neurons of @sae at <mlp, 0> reads <neuron, 0> features 8 width 8 activation <identity>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>

// CHECK-LABEL: fx.program @identity(
// CHECK-NEXT: %x: tensor
// CHECK-NEXT: %[[Z:.*]] = steer.encode %x of @linear [4, 2] size 16 : tensor<?x?x8xf32>
// CHECK-NEXT: fx.return %[[Z]]
fx.program @identity(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @linear [4, 2] activation <identity> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @relu(
// CHECK: %[[Z:.*]] = steer.encode %x of @d [4, 2] size 16 : tensor<?x?x8xf32>
// CHECK-NEXT: %[[F:.*]] = steer.activate %[[Z]] <relu> of @d [4, 2] : tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @relu(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @d [4, 2] activation <relu> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @jumprelu(
// CHECK: %[[N:.*]] = steer.normalize %x <constant_norm> : tensor<?x?x8xf32>
// CHECK-NEXT: %[[Z:.*]] = steer.encode %[[N]] of @jump [4, 2] size 16 : tensor<?x?x8xf32>
// CHECK-NEXT: %[[F:.*]] = steer.activate %[[Z]] <jumprelu> of @jump [4, 2] : tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @jumprelu(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @jump [4, 2] activation <jumprelu> normalization <constant_norm> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Gates and magnitudes share the products, and have a bias each.
// CHECK-LABEL: fx.program @gated(
// CHECK: %[[N:.*]] = steer.normalize %x <layer_norm> : tensor<?x?x8xf32>
// CHECK-NEXT: %[[Z:.*]] = steer.encode %[[N]] of @gates [4, 2] size 16 unbiased : tensor<?x?x8xf32>
// CHECK-NEXT: %[[F:.*]] = steer.activate %[[Z]] <gated> of @gates [4, 2] : tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @gated(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @gates [4, 2] activation <gated> normalization <layer_norm> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Who is among the largest depends on all features.
// CHECK-LABEL: fx.program @topk(
// CHECK: %[[Z:.*]] = steer.encode %x of @largest [] size 16 : tensor<?x?x8xf32>
// CHECK-NEXT: %[[A:.*]] = steer.activate %[[Z]] <topk, 3> of @largest [] : tensor<?x?x16xf32>
// CHECK-NEXT: %[[F:.*]] = steer.pick %[[A]] [4, 2] : tensor<?x?x16xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @topk(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @largest [4, 2] activation <topk, 3> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Neurons are columns of the value.
// CHECK-LABEL: fx.program @gather(
// CHECK: %[[F:.*]] = steer.pick %x [4, 2] : tensor<?x?x8xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @gather(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @neurons [4, 2] activation <identity> size 8 gather : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// In patches too, and of flattened tokens.
// CHECK-LABEL: fx.program @patch(
// CHECK: ^bb0(%[[H:.*]]: tensor<4x8xf32>):
// CHECK-NEXT: %[[Z:.*]] = steer.encode %[[H]] of @d [4] size 16 : tensor<4x8xf32>
// CHECK-NEXT: %[[F:.*]] = steer.activate %[[Z]] <relu> of @d [4] : tensor<4x1xf32>
// CHECK-NEXT: steer.write %[[H]], %[[F]]
fx.program @patch(%x: tensor<4x8xf32> = #fx.input<user_input>) {
  %y = steer.patch %x at <res, 0> {
  ^bb0(%h: tensor<4x8xf32>):
    %f = steer.read %h of @d [4] activation <relu> size 16 : tensor<4x8xf32>
    %w = steer.write %h, %f along [#flow.rows<decoder of @d[4]>] : tensor<4x8xf32>, tensor<4x1xf32>
    steer.yield %w : tensor<4x8xf32>
  } : tensor<4x8xf32>
  fx.return %y : tensor<4x8xf32> as [#fx.output<user_output>]
}
