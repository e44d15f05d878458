// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-slice{from=0/res to=1/res slots=5},fx-strip-sites,fx-dce{unread-state}))' | FileCheck %s
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-slice{from=1/att to=1/res slots=5},fx-strip-sites,fx-dce{unread-state}))' | FileCheck %s --check-prefix=HALF --implicit-check-not=attention --implicit-check-not=linear --implicit-check-not=slice_cache
// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(fx-slice{from=0/res to=1/res},fx-strip-sites,fx-dce{unread-state}))' | FileCheck %s --check-prefix=WHOLE

// A block with attention over a cache of eight positions, and a spare one. Cut at
// the stream that enters it, all of the block is left; cut at what attention adds,
// only the sum.

#d = #fx.dims<s0 = 2, s1 = 3>
!ids = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>

// CHECK-LABEL: fx.program @main
// CHECK: %slice_positions: tensor<?x?xi64, #[[D:.*]]> = #fx.input<user_input>,
// CHECK: %slice_value: tensor<?x?x4xf32, #[[D]]> = #fx.input<user_input>,
// CHECK: %slice_rows: tensor<?xi64, #[[B:.*]]> = #fx.input<user_input>,
// CHECK: %slice_cache0: tensor<3x9x1x4xf32> = #fx.input<user_input>)
// The rows of the caches that the rows of the batch ask for, and five positions.
// CHECK: %[[FIRST:.*]] = fx.call pure @aten.slice.Tensor(self: %slice_cache0, dim: 1, start: 0, end: 5)
// CHECK-SAME: -> tensor<3x5x1x4xf32>
// CHECK: %[[OWN:.*]] = fx.call @aten.index_select.default(self: %[[FIRST]], dim: 0, index: %slice_rows)
// CHECK-SAME: -> tensor<?x5x1x4xf32, #[[B]]>
// The mask is that of the positions of the slice.
// CHECK: %[[LAST:.*]] = fx.call @aten.view.default(self = %slice_positions
// CHECK: %[[ALL:.*]] = fx.call @aten.le.Tensor(self = %{{.*}}, other = %[[LAST]])
// CHECK: fx.call @aten.linear.default(input = %slice_value, weight = %w)
// CHECK: fx.call @aten.index_put_.default(self = %[[OWN]], indices = [%{{.*}}, %slice_positions]
// CHECK-SAME: -> tensor<?x5x1x4xf32, #[[B]]>
// CHECK: %[[KEYS:.*]] = fx.call @aten.transpose.int({{.*}} -> tensor<?x1x5x4xf32, #[[B]]>
// And as wide as the cache.
// CHECK: %[[MASK:.*]] = fx.call pure @aten.slice.Tensor(self: %[[ALL]], dim: 3, start: 0, end: 5)
// CHECK: fx.call @aten.scaled_dot_product_attention.default(query = %{{.*}}, key = %[[KEYS]], value = %[[KEYS]], attn_mask = %[[MASK]])
// CHECK: fx.return %{{.*}} as [#fx.output<user_output>]

// HALF-LABEL: fx.program @main
// HALF: %slice_value: tensor<?x?x4xf32, #[[D:.*]]> = #fx.input<user_input>,
// HALF: %slice_carried0: tensor<?x?x4xf32, #[[D]]> = #fx.input<user_input>)
// HALF-NEXT: %[[SUM:.*]] = fx.call @aten.add.Tensor(self = %slice_carried0, other = %slice_value)
// HALF-NEXT: fx.return %[[SUM]]

// Without a number all positions of the cache are read.
// WHOLE-LABEL: fx.program @main
// WHOLE: fx.call @aten.index_select.default(self: %slice_cache0, dim: 0, index: %slice_rows)
// WHOLE-SAME: -> tensor<?x9x1x4xf32
fx.program @main(
    %w: tensor<4x4xf32> = #fx.input<parameter "model"::"w">,
    %table: tensor<9x4xf32> = #fx.input<parameter "model"::"table">,
    %cache: tensor<3x9x1x4xf32> = #fx.input<buffer "model"::"cache", transient>,
    %input_ids: !ids = #fx.input<user_input>,
    %positions: !ids = #fx.input<user_input>) {
  %b = fx.call @aten.sym_size.int(self = %input_ids, dim = 0) : (!ids) -> !fx.symint<s0 = 2>
  %s = fx.call @aten.sym_size.int(self = %positions, dim = 1) : (!ids) -> !fx.symint<s1 = 3>
  %slots = fx.call @aten.arange.default(end = 8) : () -> tensor<8xi64>
  %slots_1 = fx.call @aten.view.default(self = %slots, size = [1, 1, 1, 8]) : (tensor<8xi64>) -> tensor<1x1x1x8xi64>
  %last = fx.call @aten.view.default(self = %positions, size = [%b, 1, %s, 1]) : (!ids, !fx.symint<s0 = 2>, !fx.symint<s1 = 3>) -> tensor<?x1x?x1xi64, #d>
  %mask = fx.call @aten.le.Tensor(self = %slots_1, other = %last) : (tensor<1x1x1x8xi64>, tensor<?x1x?x1xi64, #d>) -> tensor<?x1x?x8xi1, #d>
  %range = fx.call @aten.arange.default(end = %b) : (!fx.symint<s0 = 2>) -> tensor<?xi64, #fx.dims<s0 = 2>>
  %rows = fx.call @aten.unsqueeze.default(self = %range, dim = 1) : (tensor<?xi64, #fx.dims<s0 = 2>>) -> tensor<?x1xi64, #fx.dims<s0 = 2>>
  %stream = fx.call @aten.embedding.default(weight = %table, indices = %input_ids) : (tensor<9x4xf32>, !ids) -> !t
  %res0 = fx.site 0/res of %stream : !t
  %linear = fx.call @aten.linear.default(input = %res0, weight = %w) : (!t, tensor<4x4xf32>) -> !t
  %new = fx.call @aten.unsqueeze.default(self = %linear, dim = 2) : (!t) -> tensor<?x?x1x4xf32, #d>
  %written = fx.call @aten.index_put_.default(self = %cache, indices = [%rows, %positions], values = %new) : (tensor<3x9x1x4xf32>, tensor<?x1xi64, #fx.dims<s0 = 2>>, !ids, tensor<?x?x1x4xf32, #d>) -> tensor<3x9x1x4xf32>
  %mine = fx.call @aten.slice.Tensor(self = %written, dim = 0, start = none, end = %b) : (tensor<3x9x1x4xf32>, !fx.symint<s0 = 2>) -> tensor<?x9x1x4xf32, #fx.dims<s0 = 2>>
  %seen = fx.call @aten.slice.Tensor(self = %mine, dim = 1, start = none, end = 8) : (tensor<?x9x1x4xf32, #fx.dims<s0 = 2>>) -> tensor<?x8x1x4xf32, #fx.dims<s0 = 2>>
  %keys = fx.call @aten.transpose.int(self = %seen, dim0 = 1, dim1 = 2) : (tensor<?x8x1x4xf32, #fx.dims<s0 = 2>>) -> tensor<?x1x8x4xf32, #fx.dims<s0 = 2>>
  %query = fx.call @aten.transpose.int(self = %new, dim0 = 1, dim1 = 2) : (tensor<?x?x1x4xf32, #d>) -> tensor<?x1x?x4xf32, #d>
  %heads = fx.call @aten.scaled_dot_product_attention.default(query = %query, key = %keys, value = %keys, attn_mask = %mask) : (tensor<?x1x?x4xf32, #d>, tensor<?x1x8x4xf32, #fx.dims<s0 = 2>>, tensor<?x1x8x4xf32, #fx.dims<s0 = 2>>, tensor<?x1x?x8xi1, #d>) -> tensor<?x1x?x4xf32, #d>
  %att = fx.call @aten.squeeze.dim(self = %heads, dim = 1) : (tensor<?x1x?x4xf32, #d>) -> !t
  %att1 = fx.site 1/att of %att : !t
  %sum = fx.call @aten.add.Tensor(self = %res0, other = %att1) : (!t, !t) -> !t
  %res1 = fx.site 1/res of %sum : !t
  fx.return %res1 : !t as [#fx.output<user_output>]
}
