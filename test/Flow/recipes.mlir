// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// Recipes name rows of dictionaries and what is made of them.

// CHECK: module attributes {weir.site = #flow.site<3/neuron>}
builtin.module attributes {weir.site = #flow.site<3/neuron>} {}
fx.program @main() {
  // CHECK: fx.constant #flow.rows<encoder of @d[4, 2]> -> tensor<2x8xf32>
  %0 = fx.constant #flow.rows<encoder of @d[4, 2]> -> tensor<2x8xf32>
  // CHECK: fx.constant #flow.rows<encoder of @d[]> -> tensor<16x8xf32>
  %1 = fx.constant #flow.rows<encoder of @d[]> -> tensor<16x8xf32>
  // CHECK: fx.constant #flow.rows<encoder_bias of @d[4]> -> tensor<1xf32>
  %2 = fx.constant #flow.rows<encoder_bias of @d[4]> -> tensor<1xf32>
  // CHECK: fx.constant #flow.rows<threshold of @d[4]> -> tensor<1xf32>
  %3 = fx.constant #flow.rows<threshold of @d[4]> -> tensor<1xf32>
  // CHECK: fx.constant #flow.rows<magnitude_scale of @d[4]> -> tensor<1xf32>
  %4 = fx.constant #flow.rows<magnitude_scale of @d[4]> -> tensor<1xf32>
  // CHECK: fx.constant #flow.rows<magnitude_bias of @d[4]> -> tensor<1xf32>
  %5 = fx.constant #flow.rows<magnitude_bias of @d[4]> -> tensor<1xf32>
  // CHECK: fx.constant #flow.rows<decoder of @d[1, 2, 3]> -> tensor<3x8xf32>
  %6 = fx.constant #flow.rows<decoder of @d[1, 2, 3]> -> tensor<3x8xf32>
  // CHECK: fx.constant #flow.rows<unit_decoder of @d[1]> -> tensor<1x8xf32>
  %7 = fx.constant #flow.rows<unit_decoder of @d[1]> -> tensor<1x8xf32>
  // CHECK: fx.constant #flow.sum<[8.000000e+00, -5.000000e-01] * #flow.rows<decoder of @d[4, 2]>> -> tensor<1x8xf32>
  %8 = fx.constant #flow.sum<[8.0, -0.5] * #flow.rows<decoder of @d[4, 2]>> -> tensor<1x8xf32>
  // CHECK: fx.constant #flow.concat<[#flow.rows<decoder of @d[4, 2]>, #flow.rows<unit_decoder of @e[1]>]> -> tensor<3x8xf32>
  %9 = fx.constant #flow.concat<[#flow.rows<decoder of @d[4, 2]>, #flow.rows<unit_decoder of @e[1]>]> -> tensor<3x8xf32>
  // CHECK: fx.constant #flow.basis<#flow.concat<[#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @e[1]>]>> -> tensor<2x8xf32>
  %10 = fx.constant #flow.basis<#flow.concat<[#flow.rows<decoder of @d[4]>, #flow.rows<decoder of @e[1]>]>> -> tensor<2x8xf32>
  // CHECK: fx.constant #flow.folded_weight<<"model"::"a.weight"> out_in reads [] gives [#flow.basis<#flow.rows<decoder of @d[4]>>]> -> tensor<8x4xbf16>
  %11 = fx.constant #flow.folded_weight<<"model"::"a.weight"> out_in reads [] gives [#flow.basis<#flow.rows<decoder of @d[4]>>]> -> tensor<8x4xbf16>
  // CHECK: fx.constant #flow.folded_bias<<"model"::"a.weight"> in_out bias <"model"::"a.bias"> reads [#flow.sum<[1.000000e+00] * #flow.rows<decoder of @d[4]>>] gives []> -> tensor<4xf32>
  %12 = fx.constant #flow.folded_bias<<"model"::"a.weight"> in_out bias <"model"::"a.bias"> reads [#flow.sum<[1.0] * #flow.rows<decoder of @d[4]>>] gives []> -> tensor<4xf32>
  fx.return []
}
