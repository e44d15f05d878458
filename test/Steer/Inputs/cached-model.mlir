// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A model of three layers that keep what they have seen in buffers of their own.

fx.program @main(%emb: tensor<4x4xf32> = #fx.input<parameter "model"::"emb">,
    %w0: tensor<4x4xf32> = #fx.input<parameter "model"::"w0">,
    %w1: tensor<4x4xf32> = #fx.input<parameter "model"::"w1">,
    %w2: tensor<4x4xf32> = #fx.input<parameter "model"::"w2">,
    %k0: tensor<4x4xf32> = #fx.input<buffer "model"::"k0">,
    %k1: tensor<4x4xf32> = #fx.input<buffer "model"::"k1">,
    %k2: tensor<4x4xf32> = #fx.input<buffer "model"::"k2">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>,
    %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %emb, indices = %input_ids) : (tensor<4x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
  %c0 = fx.call @aten.copy_.default(self = %k0, src = %w0) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %a0 = fx.call @aten.linear.default(input = %e, weight = %k0) : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %m0 = fx.site 0/mlp of %a0 : tensor<?x?x4xf32>
  %y0 = fx.call @aten.add.Tensor(self = %e, other = %m0) : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %r0 = fx.site 0/res of %y0 : tensor<?x?x4xf32>
  %c1 = fx.call @aten.copy_.default(self = %k1, src = %w1) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %a1 = fx.call @aten.linear.default(input = %r0, weight = %k1) : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %m1 = fx.site 1/mlp of %a1 : tensor<?x?x4xf32>
  %y1 = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %r1 = fx.site 1/res of %y1 : tensor<?x?x4xf32>
  %c2 = fx.call @aten.copy_.default(self = %k2, src = %w2) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %a2 = fx.call @aten.linear.default(input = %r1, weight = %k2) : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %m2 = fx.site 2/mlp of %a2 : tensor<?x?x4xf32>
  %y2 = fx.call @aten.add.Tensor(self = %r1, other = %m2) : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %r2 = fx.site 2/res of %y2 : tensor<?x?x4xf32>
  fx.return %r2 : tensor<?x?x4xf32> as [#fx.output<user_output>]
}
