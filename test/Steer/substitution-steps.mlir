// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches))' | FileCheck %s --check-prefix=WIDE
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads))' | FileCheck %s
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-widen-patches,steer-decompose-reads,convert-steer-to-fx))' | FileCheck %s --check-prefix=ATEN --implicit-check-not='= steer.'
// What takes the place of a layer is made in f32 and rounded once; it is chosen in
// the model's type.

flow.dictionary @n of @sae at <1/res> reads <1/res> features 16 width 8 activation <jumprelu> normalization <layer_norm>

// WIDE-LABEL: fx.program @narrow
// WIDE: %[[W:.*]] = steer.widen %x : tensor<?x?x8xbf16>
// WIDE: %[[Y:.*]] = steer.reconstruct %[[W]] of @n {{.*}} : tensor<?x?x8xf32>
// WIDE: %[[R:.*]] = steer.round %[[Y]] to bf16 : tensor<?x?x8xf32>
// WIDE: steer.choose %[[R]] where %g : tensor<?x1x1xi1> else %y at <2/res> : tensor<?x?x8xbf16>
// CHECK-LABEL: fx.program @narrow
// CHECK: %[[W:.*]] = steer.widen %x
// CHECK: %[[N:.*]] = steer.normalize %[[W]] <layer_norm>
// CHECK: %[[Z:.*]] = steer.encode %[[N]] of @n [] size 16
// CHECK: %[[F:.*]] = steer.activate %[[Z]] <jumprelu> of @n []
// CHECK: %[[D:.*]] = steer.decode %[[F]] along [#flow.rows<decoder of @n[]>] plus [#flow.rows<decoder_bias of @n[]>] : tensor<?x?x16xf32> -> tensor<?x?x8xf32>
// CHECK: %[[B:.*]] = steer.denormalize %[[D]] like %[[W]] <layer_norm>
// CHECK: steer.round %[[B]] to bf16
// ATEN-LABEL: fx.program @narrow
// ATEN: %[[MATRIX:.*]] = fx.constant #flow.rows<decoder of @n[]> -> tensor<16x8xf32>
// ATEN: %[[M:.*]] = fx.call pure @aten.matmul.default(self: %{{.*}}, other: %[[MATRIX]]) : (tensor<?x?x16xf32>, tensor<16x8xf32>) -> tensor<?x?x8xf32>
// ATEN: %[[BIAS:.*]] = fx.constant #flow.rows<decoder_bias of @n[]> -> tensor<8xf32>
// ATEN: %[[S:.*]] = fx.call pure @aten.add.Tensor(self: %[[M]], other: %[[BIAS]])
// ATEN: %[[STD:.*]] = fx.call pure @aten.std.correction
// ATEN: %[[P:.*]] = fx.call pure @aten.mul.Tensor(self: %[[S]], other: %[[STD]])
// ATEN: %[[MEAN:.*]] = fx.call pure @aten.mean.dim
// ATEN: %[[Q:.*]] = fx.call pure @aten.add.Tensor(self: %[[P]], other: %[[MEAN]])
// ATEN: %[[R:.*]] = fx.call pure @aten.to.dtype(self: %[[Q]]
// ATEN: fx.call pure @aten.where.self(condition: %g, self: %[[R]], other: %y) : (tensor<?x1x1xi1>, tensor<?x?x8xbf16>, tensor<?x?x8xbf16>) -> tensor<?x?x8xbf16>
fx.program @narrow(%x: tensor<?x?x8xbf16> = #fx.input<user_input>, %y: tensor<?x?x8xbf16> = #fx.input<user_input>, %g: tensor<?x1x1xi1> = #fx.input<user_input>) {
  %0 = steer.reconstruct %x of @n activation <jumprelu> normalization <layer_norm> size 16 along [#flow.rows<decoder of @n[]>] plus [#flow.rows<decoder_bias of @n[]>] : tensor<?x?x8xbf16>
  %1 = steer.choose %0 where %g : tensor<?x1x1xi1> else %y at <2/res> : tensor<?x?x8xbf16>
  fx.return %1 : tensor<?x?x8xbf16> as [#fx.output<user_output>]
}
