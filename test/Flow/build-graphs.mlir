// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-build-graphs="base=%t/flow cache=%t/cache" | FileCheck %s
// The second time everything is found.
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-build-graphs="base=%t/flow cache=%t/cache" | FileCheck %s
// Graphs are walked, and their parts become features. In these dictionaries 0/res/I,
// 1/res/I+1 and 2/res/I+3 (modulo 6) belong together, and 2/mlp/0 is similar to 2/res/2,
// 2/res/3 and 2/res/0.

// Only what a walk can get to is matched.
// CHECK-LABEL: flow.matching @flow
// CHECK-NEXT: %[[RES:.*]] = flow.match @sae.res.2 -> @sae.res.1
// CHECK-NEXT: %[[MLP:.*]] = flow.match @sae.res.2 -> @sae.mlp.2
// CHECK-NEXT: %[[MLP1:.*]] = flow.match @sae.res.1 -> @sae.mlp.1
// CHECK: flow.graph <backward> from %{{.*}} by @flow width 1 through %[[RES]], %[[MLP]], %[[MLP1]] : {{.*}} result <"sha256:[[HASH:[0-9a-f]+]]">
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/mlp/0>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/mlp/0>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/3>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/mlp/0>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/mlp/0>] weights [1.000000e+00, 1.000000e+00, 7.071068e-01]
// The same targets, written twice and in a list: the same graph.
// CHECK: flow.graph <backward> {{.*}} result <"sha256:[[HASH]]">
// What does not reach its threshold is not there.
// CHECK: flow.graph <backward> {{.*}} keep {{.*}} result <"sha256:
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>]{{$}}
// Forward, of equal ones the lower index.
// CHECK: flow.graph <forward>
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@sae:2/mlp/0>]{{$}}
// CHECK: %{{.*}} = flow.graph_union
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/2>, #flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/mlp/0>]{{$}}
// CHECK: %{{.*}} = flow.graph_difference
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/res/3>]{{$}}
// CHECK: %{{.*}} = flow.graph_intersection
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/mlp/0>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
%g = flow.graph <backward> from %f by @flow width 1
%all = flow.part %g
steer.policy @all #steer.record on %all
%roots = flow.part %g only <roots>
steer.policy @roots #steer.record on %roots
%leaves = flow.part %g only <leaves>
steer.policy @leaves #steer.record on %leaves
%sites = flow.part %g sites [#fx.site_kind<res>] steps 1
steer.policy @sites #steer.record on %sites
%layers = flow.part %g layers 2 to 7
steer.policy @layers #steer.record on %layers
%weights = flow.part %g weight <similarity>
steer.policy @weights #steer.record on %weights
%twice = flow.list %f, %f
%same = flow.graph <backward> from %twice by @flow width 1
%s = flow.part %same
steer.policy @same #steer.record on %s
%kept = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, similarity = 0.9>, #flow.keep<kind = mlp, similarity = 0.8>]
%k = flow.part %kept
steer.policy @kept #steer.record on %k
%m = flow.select [#flow.feature<@sae:2/mlp/0>]
%forward = flow.graph <forward> from %m by @flow width 1
%fp = flow.part %forward
steer.policy @forward #steer.record on %fp
%union = flow.graph_union %g, %forward
%up = flow.part %union
steer.policy @union #steer.record on %up
%difference = flow.graph_difference %g, %forward
%dp = flow.part %difference
steer.policy @difference #steer.record on %dp
%intersection = flow.graph_intersection %g, %forward
%ip = flow.part %intersection
steer.policy @intersection #steer.record on %ip

// -----

// A permutation is one chain, and leads forward. A path is matched between its ends.
// CHECK-LABEL: flow.matching @p
// CHECK-NEXT: %{{.*}} = flow.permutation @sae.res.0 -> @sae.res.1
// CHECK-NEXT: %{{.*}} = flow.permutation @sae.res.1 -> @sae.res.2
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:1/res/2>, #flow.feature<@sae:2/res/4>]{{$}}
// CHECK: flow.path {{.*}} result <"sha256:
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:1/res/2>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:1/res/2>]
%g = flow.graph <both> from %f by @p width 1
%all = flow.part %g
steer.policy @all #steer.record on %all
%path = flow.path #flow.feature<@sae:0/res/1> to #flow.feature<@sae:1/res/2> by @p
%ends = flow.part %path
steer.policy @ends #steer.record on %ends

// -----

// A graph that nothing uses is not built, and its matches are not made.
// CHECK-LABEL: flow.matching @unused
// CHECK-NOT: flow.match
// CHECK-NOT: flow.graph
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @unused of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:1/res/2>]
%g = flow.graph <both> from %f by @unused width 1
%h = flow.graph_union %g, %g
%part = flow.part %h
