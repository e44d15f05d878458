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
// NEEDED-DAG: flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 6 width 4 activation <jumprelu>
// NEEDED-DAG: flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 6 width 4 activation <jumprelu>
// NEEDED-DAG: flow.dictionary @sae.mlp.2 of @sae at <mlp, 2> reads <mlp, 2> features 3 width 4 activation <relu>
// NEEDED-NOT: flow.dictionary
// NEEDED: flow.matching @flow
// NEEDED-NEXT: flow.match @sae.res.2 -> @sae.res.1 top_k 1 by <dot> over <decoder|encoder> fold <decoder_norm> for @flow : !flow.map<6 -> 6>
// NEEDED-NEXT: flow.match @sae.res.2 -> @sae.mlp.2 top_k 1 by <dot> over <decoder|encoder> fold <decoder_norm> for @flow : !flow.map<6 -> 3>
// NEEDED-NEXT: flow.features @f [#flow.linked<predecessors of <@sae, res, 2, 4> by @flow, 1>]
// ALL-LABEL: flow.matching @flow
// ALL-NEXT: flow.match @sae.res.1 -> @sae.mlp.1 {{.*}} : !flow.map<6 -> 1>
// ALL-NEXT: flow.match @sae.res.2 -> @sae.res.1 {{.*}} : !flow.map<6 -> 6>
// ALL-NEXT: flow.match @sae.res.2 -> @sae.mlp.2 {{.*}} : !flow.map<6 -> 3>
// ALL-NEXT: flow.features @f
// A product of dot products says nothing.
// COMPOSE-LABEL: flow.matching @flow
// COMPOSE-COUNT-3: flow.match
// COMPOSE-NOT: flow.compose
// COMPOSE: flow.features @f
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, dot> over <decoder|encoder> fold <decoder_norm>
flow.features @f [#flow.linked<predecessors of <@sae, res, 2, 4> by @flow, 1>]

// -----

// Successors are looked up in the maps that lead to their feature; a pair that two
// selectors need is matched once.
// NEEDED-LABEL: flow.matching @pearson
// NEEDED-NEXT: flow.match @sae.res.1 -> @sae.res.0 top_k 2 by <pearson> over <decoder> text "a.jsonl" for @pearson : !flow.map<6 -> 6>
// NEEDED-NEXT: flow.features @f
// ALL-LABEL: flow.matching @pearson
// ALL-COUNT-2: flow.match
// ALL-NEXT: flow.features @f
// From far to near, in the direction in which the maps lead.
// COMPOSE-LABEL: flow.matching @pearson
// COMPOSE-NEXT: %[[A:.*]] = flow.match @sae.res.1 -> @sae.res.0
// COMPOSE-NEXT: %[[B:.*]] = flow.match @sae.res.2 -> @sae.res.1
// COMPOSE-NEXT: flow.compose %[[B]], %[[A]] keep 2 : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
// COMPOSE-NEXT: flow.features @f
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @pearson of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, pearson> over <decoder> text "a.jsonl"
flow.features @f [#flow.linked<successors of <@sae, res, 0, 4> by @pearson, 1>, #flow.feature<@sae, res, 0, 1>]
flow.features @g [#flow.linked<predecessors of <@sae, res, 1, 4> by @pearson, 1>]

// -----

// Assignments lead forward, and compose to one for every two layers.
// NEEDED-LABEL: flow.matching @permutation
// NEEDED-NEXT: flow.permutation @sae.res.1 -> @sae.res.2 by <mse> over <decoder> fold <threshold> for @permutation : !flow.map<6 -> 6>
// NEEDED-NEXT: flow.permutation @sae.res.0 -> @sae.res.1
// NEEDED-NEXT: flow.features @f
// ALL-LABEL: flow.matching @permutation
// ALL-NEXT: flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <threshold> for @permutation
// ALL-NEXT: flow.permutation @sae.res.1 -> @sae.res.2
// ALL-NEXT: flow.features @f
// COMPOSE-LABEL: flow.matching @permutation
// COMPOSE-NEXT: %[[A:.*]] = flow.permutation @sae.res.0 -> @sae.res.1
// COMPOSE-NEXT: %[[B:.*]] = flow.permutation @sae.res.1 -> @sae.res.2
// COMPOSE-NEXT: flow.compose %[[A]], %[[B]] : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
// COMPOSE-NEXT: flow.features @f
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <threshold>
flow.features @f [#flow.linked<successors of <@sae, res, 1, 4> by @permutation, 1>, #flow.linked<predecessors of <@sae, res, 1, 4> by @permutation, 1>]

// -----

// Where the residual stream is not matched, the site before one is that of the
// same kind in the layer before it. Without a selector nothing is needed.
// NEEDED-LABEL: flow.matching @mlp
// NEEDED-NOT: flow.match
// ALL-LABEL: flow.matching @mlp
// ALL-NEXT: flow.match @sae.mlp.2 -> @sae.mlp.1 {{.*}} for @mlp : !flow.map<3 -> 1>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
flow.matching @mlp of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
