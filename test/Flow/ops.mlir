// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt --mlir-print-op-generic %s | weir-opt | FileCheck %s
// Every operation of the dialect, printed and read again.

// CHECK: flow.collection @sae <sae_lens> at "d/{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 9 to 16
flow.collection @sae <sae_lens> at "d/{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 9 to 16
// CHECK: flow.collection @scope <gemma_scope> at "a" sites [#fx.site_kind<att>] layers 3 to 3
flow.collection @scope <gemma_scope> at "a" sites [#fx.site_kind<att>] layers 3 to 3
// CHECK: flow.collection @scope2 <gemma_scope_2> at "b" sites [#fx.site_kind<mid>] layers 0 to 0
flow.collection @scope2 <gemma_scope_2> at "b" sites [#fx.site_kind<mid>] layers 0 to 0
// CHECK: flow.collection @llama <llama_scope> at "c" sites [#fx.site_kind<head>] layers 1 to 1
flow.collection @llama <llama_scope> at "c" sites [#fx.site_kind<head>] layers 1 to 1
// CHECK: flow.collection @dir <directions> at "x.npy" sites [#fx.site_kind<res>] layers 1 to 1
flow.collection @dir <directions> at "x.npy" sites [#fx.site_kind<res>] layers 1 to 1
// CHECK: flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 29
flow.collection @neurons <neurons> sites [#fx.site_kind<mlp>] layers 0 to 29
// CHECK: flow.collection @words <unembedding> sites [#fx.site_kind<res>] layers 0 to 29
flow.collection @words <unembedding> sites [#fx.site_kind<res>] layers 0 to 29

// CHECK: flow.dictionary @sae.res.12 of @sae at <12/res> reads <12/res> features 1536 width 576 activation <jumprelu>{{$}}
flow.dictionary @sae.res.12 of @sae at <12/res> reads <12/res> features 1536 width 576 activation <jumprelu>
// CHECK: flow.dictionary @sae.mlp.12 {{.*}} activation <topk, 32> normalization <constant_norm>
flow.dictionary @sae.mlp.12 of @sae at <12/mlp> reads <12/mlp> features 1536 width 576 activation <topk, 32> normalization <constant_norm>
// CHECK: flow.dictionary @sae.res.13 {{.*}} activation <gated> normalization <layer_norm>
flow.dictionary @sae.res.13 of @sae at <13/res> reads <13/res> features 1536 width 576 activation <gated> normalization <layer_norm>
// CHECK: flow.dictionary @sae.res.14 {{.*}} activation <relu>
flow.dictionary @sae.res.14 of @sae at <14/res> reads <14/res> features 1536 width 576 activation <relu>
// CHECK: flow.dictionary @neurons.mlp.3 of @neurons at <3/mlp> reads <3/neuron> features 1536 width 576 activation <identity>
flow.dictionary @neurons.mlp.3 of @neurons at <3/mlp> reads <3/neuron> features 1536 width 576 activation <identity>

// CHECK: %[[NONE:.*]] = flow.select []
%none = flow.select []
// CHECK: %[[SOME:.*]] = flow.select [#flow.feature<@sae:10/res/811>, #flow.antagonists<<@sae:9/res/4>, 2>, #flow.whole_site<@dir:1/res>]
%some = flow.select [#flow.feature<@sae:10/res/811>, #flow.antagonists<<@sae:9/res/4>, 2>, #flow.whole_site<@dir:1/res>]
// CHECK: %[[TWICE:.*]] = flow.select [#flow.feature<@sae:10/res/811>] had_repeats
%twice = flow.select [#flow.feature<@sae:10/res/811>] had_repeats
// CHECK: flow.list %[[SOME]], %[[NONE]], %[[SOME]]{{$}}
%list = flow.list %some, %none, %some
// CHECK: flow.union %[[SOME]], %[[TWICE]]{{$}}
%union = flow.union %some, %twice
// CHECK: flow.intersection %[[SOME]], %[[TWICE]]{{$}}
%intersection = flow.intersection %some, %twice
// CHECK: flow.difference %[[SOME]], %[[TWICE]] {note = 1 : i64}
%difference = flow.difference %some, %twice {note = 1 : i64}
