// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt --mlir-print-op-generic %s | weir-opt | FileCheck %s
// Matches: every operation, attribute and type, printed and read again.

flow.collection @sae <sae_lens> at "d/{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 1536 width 576 activation <jumprelu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 1024 width 576 activation <jumprelu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 2048 width 576 activation <jumprelu>

// CHECK: flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>{{$}}
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
// What is the default is not printed.
// CHECK: flow.matching @dot of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<256, dot> over <encoder>{{$}}
flow.matching @dot of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<256, dot> over <encoder> fold <none>
// CHECK: flow.matching @folded of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<2, mse> over <encoder_bias> fold <decoder_norm>{{$}}
flow.matching @folded of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<2, mse> over <encoder_bias> fold <decoder_norm>
// CHECK: flow.matching @pearson of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, pearson> over <decoder> text "a.jsonl"{{$}}
flow.matching @pearson of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, pearson> over <decoder> text "a.jsonl"
// CHECK: flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.assignment<mse> over <decoder|encoder|encoder_bias> fold <threshold>{{$}}
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.assignment<mse> over <decoder|encoder|encoder_bias> fold <threshold>
// CHECK: flow.matching @means of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.assignment<cosine> over <decoder> fold <mean_activation> text "b.jsonl" {note = 1 : i64}
flow.matching @means of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.assignment<cosine> over <decoder> fold <mean_activation> text "b.jsonl" {note = 1 : i64}

// CHECK: %[[M:.*]] = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> : !flow.map<1024 -> 1536>
%m = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> : !flow.map<1024 -> 1536>
// CHECK: %[[N:.*]] = flow.match @sae.res.2 -> @sae.res.1 top_k 3 by <dot> over <decoder|encoder> fold <threshold> for @flow result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> {note = 1 : i64} : !flow.map<2048 -> 1024>
%n = flow.match @sae.res.2 -> @sae.res.1 top_k 3 by <dot> over <decoder|encoder> fold <threshold> for @flow result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> {note = 1 : i64} : !flow.map<2048 -> 1024>
// CHECK: flow.match @sae.res.2 -> @sae.res.1 top_k 3 by <pearson> over <decoder> text "a.jsonl" for @pearson : !flow.map<2048 -> 1024>
%t = flow.match @sae.res.2 -> @sae.res.1 top_k 3 by <pearson> over <decoder> text "a.jsonl" for @pearson : !flow.map<2048 -> 1024>
// CHECK: %[[P:.*]] = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> : !flow.map<1536 -> 1024>
%p = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> : !flow.map<1536 -> 1024>
// CHECK: %[[Q:.*]] = flow.permutation @sae.res.1 -> @sae.res.2 by <mse> over <decoder|encoder_bias> fold <mean_activation> text "b.jsonl" for @permutation result <"sha256:{{[0-9a-f]*}}"> : !flow.map<1024 -> 2048>
%q = flow.permutation @sae.res.1 -> @sae.res.2 by <mse> over <decoder|encoder_bias> fold <mean_activation> text "b.jsonl" for @permutation result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> : !flow.map<1024 -> 2048>

// CHECK: flow.compose %[[P]], %[[Q]] : (!flow.map<1536 -> 1024>, !flow.map<1024 -> 2048>) -> !flow.map<1536 -> 2048>
flow.compose %p, %q : (!flow.map<1536 -> 1024>, !flow.map<1024 -> 2048>) -> !flow.map<1536 -> 2048>
// CHECK: flow.compose %[[N]], %[[M]] keep 4 result <"sha256:{{[0-9a-f]*}}"> {note = 1 : i64} : (!flow.map<2048 -> 1024>, !flow.map<1024 -> 1536>) -> !flow.map<2048 -> 1536>
flow.compose %n, %m keep 4 result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> {note = 1 : i64} : (!flow.map<2048 -> 1024>, !flow.map<1024 -> 1536>) -> !flow.map<2048 -> 1536>

// CHECK: %[[F:.*]] = flow.select
%f = flow.select [#flow.feature<@sae:2/res/4>]
// CHECK: %[[L:.*]] = flow.follow <predecessors> of %[[F]] by @flow most 3{{$}}
%l = flow.follow <predecessors> of %f by @flow most 3
// CHECK: flow.follow <successors> of %[[L]] by @permutation most 1 through %[[N]], %[[M]] : !flow.map<2048 -> 1024>, !flow.map<1024 -> 1536> {note = 1 : i64}
flow.follow <successors> of %l by @permutation most 1 through %n, %m : !flow.map<2048 -> 1024>, !flow.map<1024 -> 1536> {note = 1 : i64}
