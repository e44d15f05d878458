// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s
// Reading: the encoder rows that are named, then the activation.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>
flow.dictionary @linear of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <identity>
flow.dictionary @jump of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <jumprelu>
flow.dictionary @gates of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <gated>
flow.dictionary @largest of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <topk, 3>
flow.dictionary @unit of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <identity> normalization <constant_norm>
flow.dictionary @normed of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <identity> normalization <layer_norm>
flow.dictionary @neurons of @sae at <mlp, 0> reads <neuron, 0> features 8 width 8 activation <identity>

!x = tensor<?x?x8xf32>
!f = tensor<?x?x2xf32>
!s = tensor<?x?x1xf32>
!g = tensor<?x?x1xi1>
!r = tensor<?x1x1xi1>
!k = tensor<?x1x1xf32>

// CHECK-LABEL: fx.program @identity(
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.rows<encoder of @linear[4, 2]> -> tensor<2x8xf32>
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.rows<encoder_bias of @linear[4, 2]> -> tensor<2xf32>
// CHECK: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[W]], bias: %[[B]]) : (tensor<?x?x8xf32>, tensor<2x8xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[Z]]
fx.program @identity(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @linear [4, 2] activation <identity> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @relu(
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.rows<encoder of @d[4, 2]> -> tensor<2x8xf32>
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.rows<encoder_bias of @d[4, 2]> -> tensor<2xf32>
// CHECK: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[W]], bias: %[[B]]) : (tensor<?x?x8xf32>, tensor<2x8xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.relu.default(self: %[[Z]])
// CHECK-NEXT: fx.return %[[F]]
fx.program @relu(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @d [4, 2] activation <relu> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Strictly above the threshold, and never negative.
// CHECK-LABEL: fx.program @jumprelu(
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.rows<encoder of @jump[4, 2]> -> tensor<2x8xf32>
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.rows<encoder_bias of @jump[4, 2]> -> tensor<2xf32>
// CHECK: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[W]], bias: %[[B]]) : (tensor<?x?x8xf32>, tensor<2x8xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
// CHECK: %[[T:.*]] = fx.constant #flow.rows<threshold of @jump[4, 2]> -> tensor<2xf32>
// CHECK: %[[ON:.*]] = fx.call pure @aten.gt.Tensor(self: %[[Z]], other: %[[T]]) : {{.*}} -> tensor<?x?x2xi1>
// CHECK-NEXT: %[[K:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[ON]], self: %[[Z]], other: 0.000000e+00)
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.relu.default(self: %[[K]])
// CHECK-NEXT: fx.return %[[F]]
fx.program @jumprelu(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @jump [4, 2] activation <jumprelu> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// The gate has its bias; magnitudes have their own scale and bias.
// CHECK-LABEL: fx.program @gated(
// CHECK: %[[W:.*]] = fx.constant #flow.rows<encoder of @gates[4, 2]>
// CHECK-NEXT: %[[P:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[W]]) :
// CHECK-NEXT: %[[B:.*]] = fx.constant #flow.rows<encoder_bias of @gates[4, 2]>
// CHECK-NEXT: %[[Z:.*]] = fx.call pure @aten.add.Tensor(self: %[[P]], other: %[[B]])
// CHECK-NEXT: %[[OPEN:.*]] = fx.call pure @aten.gt.Scalar(self: %[[Z]], other: 0.000000e+00)
// CHECK-DAG: %[[S:.*]] = fx.constant #flow.rows<magnitude_scale of @gates[4, 2]>
// CHECK-DAG: %[[O:.*]] = fx.constant #flow.rows<magnitude_bias of @gates[4, 2]>
// CHECK: %[[PS:.*]] = fx.call pure @aten.mul.Tensor(self: %[[P]], other: %[[S]])
// CHECK-NEXT: %[[M:.*]] = fx.call pure @aten.add.Tensor(self: %[[PS]], other: %[[O]])
// CHECK-NEXT: %[[R:.*]] = fx.call pure @aten.relu.default(self: %[[M]])
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.where.ScalarOther(condition: %[[OPEN]], self: %[[R]], other: 0.000000e+00)
// CHECK-NEXT: fx.return %[[F]]
fx.program @gated(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @gates [4, 2] activation <gated> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// The whole encoder, exactly k of it by index, then the columns that are named.
// CHECK-LABEL: fx.program @topk(
// CHECK-DAG: %[[W:.*]] = fx.constant #flow.rows<encoder of @largest[]> -> tensor<16x8xf32>
// CHECK-DAG: %[[B:.*]] = fx.constant #flow.rows<encoder_bias of @largest[]> -> tensor<16xf32>
// CHECK: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %x, weight: %[[W]], bias: %[[B]]) : {{.*}} -> tensor<?x?x16xf32>
// CHECK-NEXT: %[[TOP:.*]]:2 = fx.call pure @aten.topk.default(self: %[[Z]], k: 3, dim: -1, largest: true, sorted: false) : (tensor<?x?x16xf32>) -> (tensor<?x?x3xf32>, tensor<?x?x3xi64>)
// CHECK-NEXT: %[[ZEROS:.*]] = fx.call pure @aten.zeros_like.default(self: %[[Z]])
// CHECK-NEXT: %[[KEPT:.*]] = fx.call pure @aten.relu.default(self: %[[TOP]]#0)
// CHECK-NEXT: %[[ALL:.*]] = fx.call pure @aten.scatter.src(self: %[[ZEROS]], dim: -1, index: %[[TOP]]#1, src: %[[KEPT]]) : {{.*}} -> tensor<?x?x16xf32>
// CHECK: %[[LIST:.*]] = fx.constant dense<[4, 2]> : tensor<2xi64>
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.index_select.default(self: %[[ALL]], dim: -1, index: %[[LIST]])
// CHECK-NEXT: fx.return %[[F]]
fx.program @topk(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @largest [4, 2] activation <topk, 3> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// Neurons are read as they are; neighbours are a slice.
// CHECK-LABEL: fx.program @gather(
// CHECK-NEXT: %x:
// CHECK-NEXT: %[[LIST:.*]] = fx.constant dense<[4, 2]> : tensor<2xi64>
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.index_select.default(self: %x, dim: -1, index: %[[LIST]])
// CHECK-NEXT: fx.return %[[F]]
fx.program @gather(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @neurons [4, 2] activation <identity> size 8 gather : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @gather_run(
// CHECK-NEXT: %x:
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.slice.Tensor(self: %x, dim: -1, start: 4, end: 6) : (tensor<?x?x8xf32>) -> tensor<?x?x2xf32>
// CHECK-NEXT: fx.return %[[F]]
fx.program @gather_run(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @neurons [4, 5] activation <identity> size 8 gather : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// x sqrt(d) / |x|, and x itself where that is zero.
// CHECK-LABEL: fx.program @constant_norm(
// CHECK: %[[N:.*]] = fx.call pure @aten.linalg_vector_norm.default(self: %x, ord: 2, dim: [-1], keepdim: true) : {{.*}} -> tensor<?x?x1xf32>
// CHECK: %[[ROOT:.*]] = fx.constant dense<2.82842708> : tensor<1xf32>
// CHECK-NEXT: %[[S:.*]] = fx.call pure @aten.div.Tensor(self: %[[N]], other: %[[ROOT]])
// CHECK-DAG: %[[POS:.*]] = fx.call pure @aten.gt.Scalar(self: %[[S]], other: 0.000000e+00)
// CHECK-DAG: %[[ONE:.*]] = fx.constant dense<1.000000e+00> : tensor<1xf32>
// CHECK: %[[SAFE:.*]] = fx.call pure @aten.where.self(condition: %[[POS]], self: %[[S]], other: %[[ONE]])
// CHECK-NEXT: %[[X:.*]] = fx.call pure @aten.div.Tensor(self: %x, other: %[[SAFE]])
// CHECK: fx.call pure @aten.linear.default(input: %[[X]],
fx.program @constant_norm(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @unit [4, 2] activation <identity> normalization <constant_norm> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// (x - mean) / (std + 1e-5) with the sample's standard deviation.
// CHECK-LABEL: fx.program @layer_norm(
// CHECK: %[[M:.*]] = fx.call pure @aten.mean.dim(self: %x, dim: [-1], keepdim: true)
// CHECK-NEXT: %[[C:.*]] = fx.call pure @aten.sub.Tensor(self: %x, other: %[[M]])
// CHECK-NEXT: %[[STD:.*]] = fx.call pure @aten.std.correction(self: %x, dim: [-1], correction: 1, keepdim: true)
// CHECK: %[[EPS:.*]] = fx.constant dense<9.99999974E-6> : tensor<1xf32>
// CHECK-NEXT: %[[D:.*]] = fx.call pure @aten.add.Tensor(self: %[[STD]], other: %[[EPS]])
// CHECK-NEXT: %[[X:.*]] = fx.call pure @aten.div.Tensor(self: %[[C]], other: %[[D]])
// CHECK: fx.call pure @aten.linear.default(input: %[[X]],
fx.program @layer_norm(%x: !x = #fx.input<user_input>) {
  %0 = steer.read %x of @normed [4, 2] activation <identity> normalization <layer_norm> size 16 : !x
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @scale_constant_norm(
// CHECK: %[[N:.*]] = fx.call pure @aten.linalg_vector_norm.default(self: %x, ord: 2, dim: [-1], keepdim: true)
// CHECK: %[[ROOT:.*]] = fx.constant dense<2.82842708> : tensor<1xf32>
// CHECK-NEXT: %[[S:.*]] = fx.call pure @aten.div.Tensor(self: %[[N]], other: %[[ROOT]])
// CHECK-NEXT: fx.return %[[S]]
fx.program @scale_constant_norm(%x: !x = #fx.input<user_input>) {
  %0 = steer.input_scale %x <constant_norm> : !x
  fx.return %0 : !s as [#fx.output<user_output>]
}

// Without the 1e-5, which only keeps the division finite.
// CHECK-LABEL: fx.program @scale_layer_norm(
// CHECK-NEXT: %x:
// CHECK-NEXT: %[[STD:.*]] = fx.call pure @aten.std.correction(self: %x, dim: [-1], correction: 1, keepdim: true)
// CHECK-NEXT: fx.return %[[STD]]
fx.program @scale_layer_norm(%x: !x = #fx.input<user_input>) {
  %0 = steer.input_scale %x <layer_norm> : !x
  fx.return %0 : !s as [#fx.output<user_output>]
}

// A narrow value is widened first.
// CHECK-LABEL: fx.program @narrow(
// CHECK: %[[X:.*]] = fx.call pure @aten.to.dtype(self: %b, dtype: dtype<f32>) : (tensor<?x?x8xbf16>) -> tensor<?x?x8xf32>
// CHECK: fx.call pure @aten.linear.default(input: %[[X]],
fx.program @narrow(%b: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  %0 = steer.read %b of @d [4, 2] activation <relu> size 16 : tensor<?x?x8xbf16>
  fx.return %0 : !f as [#fx.output<user_output>]
}

// CHECK-LABEL: fx.program @pick(
// CHECK: %[[A:.*]] = fx.call pure @aten.slice.Tensor(self: %f, dim: -1, start: 1, end: 2) : (tensor<?x?x2xf32>) -> tensor<?x?x1xf32>
// CHECK: %[[LIST:.*]] = fx.constant dense<[1, 0]> : tensor<2xi64>
// CHECK-NEXT: %[[B:.*]] = fx.call pure @aten.index_select.default(self: %f, dim: -1, index: %[[LIST]])
// CHECK-NEXT: fx.return %[[A]], %[[B]]
fx.program @pick(%f: !f = #fx.input<user_input>) {
  %0 = steer.pick %f [1] : !f
  %1 = steer.pick %f [1, 0] : !f
  fx.return %0, %1 : !s, !f as [#fx.output<user_output>, #fx.output<user_output>]
}
