// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#d = #fx.dims<s0 = 2, s1 = 3>
#stack = #fx.stack<"L__self__" "" : "main.Model">
!t = tensor<?x2x?x4xf32, #d>

fx.program @main(
    %p_table: tensor<8x4xf32> = #fx.input<parameter "model"::"table"> {requires_grad = true},
    %ids: tensor<?x2x?xi64, #d> = #fx.input<user_input>,
    %plan: tensor<?xi64, #fx.dims<s0 = 2>> = #fx.input<user_input>) {
  %weir_0 = fx.call @aten.embedding.default(weight = %p_table, indices = %ids) {stack = #stack} : (tensor<8x4xf32>, tensor<?x2x?xi64, #d>) -> !t
  %c = fx.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %same = fx.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %flags = fx.constant dense<[true, false]> : tensor<2xi1>
  %mark = fx.site 0/res of %weir_0 : !t
  %a = fx.call pure @aten.add.Tensor(self: %mark, other: %c) : (!t, tensor<2x1xf32>) -> !t
  %b = fx.call pure @aten.mul.Tensor(self: %a, other: %same) : (!t, tensor<2x1xf32>) -> !t
  %e = fx.call pure @aten.logical_not.default(self: %flags) : (tensor<2xi1>) -> tensor<2xi1>
  fx.return %a, %b : !t, !t as [#fx.output<user_output>, #fx.output<user_output>]
}
