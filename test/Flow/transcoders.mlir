// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/transcoders.py %t
// RUN: weir-opt %s --split-input-file --flow-resolve=base=%t | FileCheck %s
// Where transcoders read and write.

// What their files say: the MLP's input, or the stream before it.
// CHECK: flow.collection @t
// CHECK-DAG: flow.dictionary @t.mlp.0 of @t at <0/mlp> reads <0/mlp_in> features 6 width 4 activation <relu>{{$}}
// CHECK-DAG: flow.dictionary @t.mlp.1 of @t at <1/mlp> reads <1/mid> features 6 width 4 activation <relu>{{$}}
flow.collection @t <sae_lens> at "sae/{layer}" sites [#fx.site_kind<mlp>] layers 0 to 2
%f = flow.select [#flow.feature<@t:0/mlp/5>, #flow.feature<@t:1/mlp/5>]

// -----

// What the spec says, where they do not.
// CHECK: flow.collection @p <circuit_tracer> at "layer_{layer}.safetensors" sites [#fx.site_kind<mlp>] layers 0 to 2 reads <att>{{$}}
// CHECK-NEXT: flow.dictionary @p.mlp.2 of @p at <2/mlp> reads <2/att> features 6 width 4 activation <relu>{{$}}
flow.collection @p <circuit_tracer> at "layer_{layer}.safetensors" sites [#fx.site_kind<mlp>] layers 0 to 2 reads <att>
%f = flow.select [#flow.feature<@p:2/mlp/5>]

// -----

// A cross-layer transcoder has a dictionary for each layer that its features
// write at. One that nobody names a feature of is not opened.
// CHECK: flow.collection @c
// CHECK-NEXT: flow.dictionary @c.mlp.1.to.2 of @c at <2/mlp> reads <1/mid> features 6 width 4 activation <relu>{{$}}
// CHECK-NEXT: flow.dictionary @c.mlp.1 of @c at <1/mlp> reads <1/mid> features 6 width 4 activation <relu> further [@c.mlp.1.to.2]{{$}}
// CHECK-NEXT: %{{.*}} = flow.select
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 1
%f = flow.select [#flow.feature<@c:1/mlp/5>]

// -----

// Two names of one: the further decoders go with it.
// CHECK: %{{.*}} = flow.select [#flow.feature<@c:2/mlp/5>, #flow.feature<@c:1/mlp/4>]{{$}}
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 2
flow.collection @d <circuit_tracer> at "./clt" sites [#fx.site_kind<mlp>] layers 0 to 2
%f = flow.select [#flow.feature<@c:2/mlp/5>, #flow.feature<@d:1/mlp/4>]
%g = flow.select [#flow.feature<@c:1/mlp/3>]
