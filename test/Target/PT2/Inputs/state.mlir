// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#d = #fx.dims<s0 = 2>
#stack = #fx.stack<"L__self__" "" : "main.Model">
!t = tensor<?x4xf32, #d>

fx.program @main(
    %p_table: tensor<8x4xf32> = #fx.input<parameter "model"::"table"> {requires_grad = true},
    %b_kept: tensor<3x5xi64> = #fx.input<buffer "zeros"::"kept", transient>,
    %ids: tensor<?xi64, #d> = #fx.input<user_input>,
    %at: tensor<?x1xi64, #d> = #fx.input<user_input>) {
  %rows = fx.call @aten.embedding.default(weight = %p_table, indices = %ids) {stack = #stack} : (tensor<8x4xf32>, tensor<?xi64, #d>) -> !t
  %0 = fx.call @aten.scatter_.src(self: %b_kept, dim: 1, index: %at, src: %at) : (tensor<3x5xi64>, tensor<?x1xi64, #d>, tensor<?x1xi64, #d>) -> tensor<3x5xi64>
  fx.return %rows, %0 : !t, tensor<3x5xi64> as [#fx.output<user_output>, #fx.output<user_output>]
}
