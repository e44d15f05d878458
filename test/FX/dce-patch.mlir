// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --canonicalize --split-input-file | FileCheck %s
// RUN: weir-opt %s --fx-dce --split-input-file | FileCheck %s
// A patch whose value nobody reads is dead with all that was made for it, unless it
// gives something to the caller.

!x = tensor<?x?x8xf32>
!f = tensor<?x?x1xf32>
flow.collection @c <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 0 to 5
flow.dictionary @d of @c at <3/mlp> reads <3/mlp> features 16 width 8 activation <relu>

// CHECK-LABEL: fx.program @dead
fx.program @dead(%x: !x = #fx.input<user_input>, %k: tensor<?x1x1xf32> = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>) {
  // CHECK-NEXT: fx.return %x
  %g = steer.compare %k above 0.5 : tensor<?x1x1xf32>
  %c = steer.strength 2.0 times %k : tensor<?x1x1xf32> where %g : tensor<?x1x1xi1>
  %y = steer.patch %x at <3/mlp> {
  ^bb0(%h: !x):
    %w = steer.write %h, %c along [#flow.rows<decoder of @d[4]>] : !x, tensor<?x1x1xf32>
    steer.yield %w : !x
  } : !x
  fx.return %x : !x as [#fx.output<user_output>]
}

// -----

!x = tensor<?x?x8xf32>
!f = tensor<?x?x1xf32>
flow.collection @c <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 0 to 5
flow.dictionary @d of @c at <3/mlp> reads <3/mlp> features 16 width 8 activation <relu>

// CHECK-LABEL: fx.program @records
fx.program @records(%x: !x = #fx.input<user_input>) {
  // CHECK: steer.patch
  // CHECK: steer.record
  %y = steer.patch %x at <3/mlp> {
  ^bb0(%h: !x):
    %f = steer.read %h of @d [4] activation <relu> size 16 : !x
    %w = steer.write %h, %f along [#flow.rows<decoder of @d[4]>] : !x, !f
    steer.record %f as "four" [#flow.feature<@c:3/mlp/4>] : !f
    steer.yield %w : !x
  } : !x
  fx.return %x : !x as [#fx.output<user_output>]
}
