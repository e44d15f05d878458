// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt %s --canonicalize | FileCheck %s --check-prefix=FOLD
// What takes the place of layers.

flow.dictionary @a of @sae at <1/res> reads <1/res> features 16 width 8 activation <jumprelu>
flow.dictionary @b of @sae at <2/res> reads <2/res> features 12 width 8 activation <jumprelu>
flow.dictionary @n of @sae at <3/res> reads <3/res> features 16 width 8 activation <topk, 4> normalization <layer_norm>

// CHECK-LABEL: fx.program @main
// CHECK: steer.reconstruct %x of @a activation <jumprelu> size 16 along [#flow.carried<@a -> @b by <"sha256:00{{0*}}"> fold = threshold quantile = 9.000000e-01 : f64>] plus [#flow.rows<decoder_bias of @b[]>] : tensor<?x?x8xf32>
// CHECK: steer.reconstruct %{{.*}} of @n activation <topk, 4> normalization <layer_norm> size 16 along [#flow.rows<decoder of @n[]>] plus [#flow.rows<decoder_bias of @n[]>]
// CHECK: steer.choose %{{.*}} where %g : tensor<?x1x1xi1> else %x at <2/res> : tensor<?x?x8xf32>
// CHECK: steer.decode %f along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x16xf32> -> tensor<?x?x8xf32>
// CHECK: steer.denormalize %{{.*}} like %x <layer_norm> : tensor<?x?x8xf32>
fx.program @main(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %f: tensor<?x?x16xf32> = #fx.input<user_input>, %g: tensor<?x1x1xi1> = #fx.input<user_input>) {
  %0 = steer.reconstruct %x of @a activation <jumprelu> size 16 along [#flow.carried<@a -> @b by <"sha256:0000000000000000000000000000000000000000000000000000000000000000"> fold = threshold quantile = 0.9>] plus [#flow.rows<decoder_bias of @b[]>] : tensor<?x?x8xf32>
  %1 = steer.reconstruct %0 of @n activation <topk, 4> normalization <layer_norm> size 16 along [#flow.rows<decoder of @n[]>] plus [#flow.rows<decoder_bias of @n[]>] : tensor<?x?x8xf32>
  %2 = steer.choose %1 where %g : tensor<?x1x1xi1> else %x at <2/res> : tensor<?x?x8xf32>
  %3 = steer.decode %f along [#flow.rows<decoder of @a[]>] plus [#flow.rows<decoder_bias of @a[]>] : tensor<?x?x16xf32> -> tensor<?x?x8xf32>
  %4 = steer.denormalize %3 like %x <layer_norm> : tensor<?x?x8xf32>
  fx.return %2, %4 : tensor<?x?x8xf32>, tensor<?x?x8xf32> as [#fx.output<user_output>, #fx.output<user_output>]
}

// Where it is known what is chosen, nothing is; and of two that are one, either.
// FOLD-LABEL: fx.program @chosen
// FOLD-NOT: steer.choose
// FOLD: fx.return %x, %y, %x
fx.program @chosen(%x: tensor<?x?x8xf32> = #fx.input<user_input>, %y: tensor<?x?x8xf32> = #fx.input<user_input>, %g: tensor<?x1x1xi1> = #fx.input<user_input>) {
  %yes = steer.constant true -> tensor<?x1x1xi1>
  %no = steer.constant false -> tensor<?x1x1xi1>
  %0 = steer.choose %x where %yes : tensor<?x1x1xi1> else %y at <2/res> : tensor<?x?x8xf32>
  %1 = steer.choose %x where %no : tensor<?x1x1xi1> else %y at <2/res> : tensor<?x?x8xf32>
  %2 = steer.choose %x where %g : tensor<?x1x1xi1> else %x at <2/res> : tensor<?x?x8xf32>
  fx.return %0, %1, %2 : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}
