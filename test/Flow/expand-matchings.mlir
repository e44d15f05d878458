// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow | FileCheck %s --check-prefix=NEEDED
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow all=true" | FileCheck %s --check-prefix=ALL
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow all=true compose=true" | FileCheck %s --check-prefix=COMPOSE
// Running it again makes nothing twice.
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow all=true" --flow-expand-matchings="base=%t/flow all=true" --flow-expand-matchings=base=%t/flow | FileCheck %s --check-prefix=ALL

// The sites before the residual stream of a layer are that of the layer before it
// and the MLP of its own; only what the selectors ask for is made.
// NEEDED-LABEL: flow.collection @sae
// NEEDED-DAG: flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <jumprelu>
// NEEDED-DAG: flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <jumprelu>
// NEEDED-DAG: flow.dictionary @sae.mlp.2 of @sae at <2/mlp> reads <2/mlp> features 3 width 4 activation <relu>
// NEEDED-NOT: flow.dictionary
// NEEDED: flow.matching @flow
// NEEDED-NEXT: %[[R:.*]] = flow.match @sae.res.2 -> @sae.res.1 top_k 1 by <dot> over <decoder|encoder> fold <decoder_norm> for @flow : !flow.map<6 -> 6>
// NEEDED-NEXT: %[[M:.*]] = flow.match @sae.res.2 -> @sae.mlp.2 top_k 1 by <dot> over <decoder|encoder> fold <decoder_norm> for @flow : !flow.map<6 -> 3>
// NEEDED-NEXT: %[[F:.*]] = flow.select [#flow.feature<@sae:2/res/4>]
// The op that follows them has the maps now.
// NEEDED-NEXT: flow.follow <predecessors> of %[[F]] by @flow most 1 through %[[R]], %[[M]] : !flow.map<6 -> 6>, !flow.map<6 -> 3>
// ALL-LABEL: flow.matching @flow
// ALL-NEXT: flow.match @sae.res.1 -> @sae.mlp.1 {{.*}} : !flow.map<6 -> 1>
// ALL-NEXT: flow.match @sae.res.2 -> @sae.res.1 {{.*}} : !flow.map<6 -> 6>
// ALL-NEXT: flow.match @sae.res.2 -> @sae.mlp.2 {{.*}} : !flow.map<6 -> 3>
// ALL-NEXT: {{.*}} = flow.select
// A product of dot products says nothing.
// COMPOSE-LABEL: flow.matching @flow
// COMPOSE-COUNT-3: flow.match
// COMPOSE-NOT: flow.compose
// COMPOSE: {{.*}} = flow.select
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, dot> over <decoder|encoder> fold <decoder_norm>
%f.1 = flow.select [#flow.feature<@sae:2/res/4>]
%f = flow.follow <predecessors> of %f.1 by @flow most 1

// -----

// Successors are looked up in the maps that lead to their feature; a pair that two
// selectors need is matched once.
// NEEDED-LABEL: flow.matching @pearson
// NEEDED-NEXT: flow.match @sae.res.1 -> @sae.res.0 top_k 2 by <pearson> over <decoder> text "a.jsonl" for @pearson : !flow.map<6 -> 6>
// NEEDED-NEXT: {{.*}} = flow.select
// ALL-LABEL: flow.matching @pearson
// ALL-COUNT-2: flow.match
// ALL-NEXT: {{.*}} = flow.select
// From far to near, in the direction in which the maps lead.
// COMPOSE-LABEL: flow.matching @pearson
// COMPOSE-NEXT: %[[A:.*]] = flow.match @sae.res.1 -> @sae.res.0
// COMPOSE-NEXT: %[[B:.*]] = flow.match @sae.res.2 -> @sae.res.1
// COMPOSE-NEXT: flow.compose %[[B]], %[[A]] keep 2 : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
// COMPOSE-NEXT: {{.*}} = flow.select
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @pearson of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, pearson> over <decoder> text "a.jsonl"
%f.1 = flow.select [#flow.feature<@sae:0/res/4>]
%f.2 = flow.follow <successors> of %f.1 by @pearson most 1
%f.3 = flow.select [#flow.feature<@sae:0/res/1>]
%f = flow.list %f.2, %f.3
%g.1 = flow.select [#flow.feature<@sae:1/res/4>]
%g = flow.follow <predecessors> of %g.1 by @pearson most 1

// -----

// Assignments lead forward, and compose to one for every two layers.
// NEEDED-LABEL: flow.matching @permutation
// NEEDED-NEXT: flow.permutation @sae.res.1 -> @sae.res.2 by <mse> over <decoder> fold <threshold> for @permutation : !flow.map<6 -> 6>
// NEEDED-NEXT: flow.permutation @sae.res.0 -> @sae.res.1
// NEEDED-NEXT: {{.*}} = flow.select
// ALL-LABEL: flow.matching @permutation
// ALL-NEXT: flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <threshold> for @permutation
// ALL-NEXT: flow.permutation @sae.res.1 -> @sae.res.2
// ALL-NEXT: {{.*}} = flow.select
// COMPOSE-LABEL: flow.matching @permutation
// COMPOSE-NEXT: %[[A:.*]] = flow.permutation @sae.res.0 -> @sae.res.1
// COMPOSE-NEXT: %[[B:.*]] = flow.permutation @sae.res.1 -> @sae.res.2
// COMPOSE-NEXT: flow.compose %[[A]], %[[B]] : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
// COMPOSE-NEXT: {{.*}} = flow.select
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <threshold>
%f.1 = flow.select [#flow.feature<@sae:1/res/4>]
%f.2 = flow.follow <successors> of %f.1 by @permutation most 1
%f.3 = flow.select [#flow.feature<@sae:1/res/4>]
%f.4 = flow.follow <predecessors> of %f.3 by @permutation most 1
%f = flow.list %f.2, %f.4

// -----

// Where the residual stream is not matched, the site before one is that of the
// same kind in the layer before it. Without a selector nothing is needed.
// NEEDED-LABEL: flow.matching @mlp
// NEEDED-NOT: flow.match
// ALL-LABEL: flow.matching @mlp
// ALL-NEXT: flow.match @sae.mlp.2 -> @sae.mlp.1 {{.*}} for @mlp : !flow.map<3 -> 1>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
flow.matching @mlp of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>

// -----

// What a chain of links needs: the sites that the first leads to are those that
// the second starts from.
// NEEDED-LABEL: flow.matching @chain
// NEEDED-NEXT: %[[A:.*]] = flow.match @sae.res.2 -> @sae.res.1
// NEEDED-NEXT: %[[B:.*]] = flow.match @sae.res.1 -> @sae.res.0
// NEEDED: %[[ONE:.*]] = flow.follow <predecessors> of %{{.*}} by @chain most 1 through %[[A]] :
// NEEDED: %[[BOTH:.*]] = flow.list %[[ONE]], %{{.*}}
// NEEDED: flow.follow <predecessors> of %[[BOTH]] by @chain most 2 through %[[B]], %[[A]] :
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @chain of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%0 = flow.select [#flow.feature<@sae:2/res/4>]
%1 = flow.follow <predecessors> of %0 by @chain most 1
%2 = flow.list %1, %0
%3 = flow.follow <predecessors> of %2 by @chain most 2
