// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt %s --mlir-print-op-generic | weir-opt | FileCheck %s
// Graphs, their algebra and their parts.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <relu>
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%map = flow.match @sae.res.2 -> @sae.res.1 top_k 2 by <cosine> over <decoder> for @flow : !flow.map<6 -> 6>

// CHECK: flow.label <@sae:2/res/3> "faith \22and\22 more"
flow.label #flow.feature<@sae:2/res/3> "faith \22and\22 more"

%f = flow.select [#flow.feature<@sae:2/res/3>]
// CHECK: %[[A:.*]] = flow.graph <backward> from %{{.*}} by @flow width 1{{$}}
%a = flow.graph <backward> from %f by @flow width 1
// CHECK: %[[B:.*]] = flow.graph <both> from %{{.*}} by @flow width 2 layers 1 to 2 keep [#flow.keep<kind = res, similarity = 5.000000e-01 : f64>, #flow.keep<kind = mlp, null = {{.*}} : f64, effect = 3.000000e-01 : f64>] text "held-out.jsonl" through %{{.*}} : !flow.map<6 -> 6> result <"sha256:{{0+}}">
%b = flow.graph <both> from %f by @flow width 2 layers 1 to 2
    keep [#flow.keep<kind = res, similarity = 0.5>, #flow.keep<kind = mlp, null = 0.99, effect = 0.3>]
    text "held-out.jsonl" through %map : !flow.map<6 -> 6>
    result <"sha256:0000000000000000000000000000000000000000000000000000000000000000">
// CHECK: %[[C:.*]] = flow.graph <forward> from
%c = flow.graph <forward> from %f by @flow width 1
// CHECK: %[[P:.*]] = flow.path <@sae:0/res/1> to <@sae:2/res/3> by @flow text "held-out.jsonl" through %{{.*}} : !flow.map<6 -> 6>
%p = flow.path #flow.feature<@sae:0/res/1> to #flow.feature<@sae:2/res/3> by @flow text "held-out.jsonl" through %map : !flow.map<6 -> 6>
// CHECK: %[[E:.*]] = flow.empty_graph
%e = flow.empty_graph
// CHECK: %[[U:.*]] = flow.graph_union %[[A]], %[[B]], %[[P]], %[[E]]
%u = flow.graph_union %a, %b, %p, %e
// CHECK: %[[I:.*]] = flow.graph_intersection %[[U]], %[[C]]
%i = flow.graph_intersection %u, %c
// CHECK: %[[D:.*]] = flow.graph_difference %[[U]], %[[I]]
%d = flow.graph_difference %u, %i
// CHECK: %{{.*}} = flow.part %[[D]]{{$}}
%all = flow.part %d
// CHECK: %{{.*}} = flow.part %[[B]] sites [#fx.site_kind<res>] layers 1 to 2 only <roots> steps 3 weight <effect>
%some = flow.part %b sites [#fx.site_kind<res>] layers 1 to 2 only <roots> steps 3 weight <effect>
// CHECK: %[[L:.*]] = flow.part %[[A]] only <leaves> weight <similarity>
%leaves = flow.part %a only <leaves> weight <similarity>
// CHECK: %{{.*}} = flow.opposed to %[[L]] most 2
%against = flow.opposed to %leaves most 2
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>] weights [5.400000e-01, 1.000000e+00]
%weighted = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>] weights [0.54, 1.0]
