// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-follow=cache=%t/cache | FileCheck %s
// Links become features, the most similar first. In these dictionaries 0/res/I,
// 1/res/I+1 and 2/res/I+3 (modulo 6) belong together.

// CHECK-LABEL: flow.matching @flow
// CHECK: flow.features @one [#flow.feature<@sae, res, 1, 1>]
// CHECK: flow.features @all [#flow.feature<@sae, res, 1, 1>, #flow.feature<@sae, mlp, 2, 0>]
// A similarity of 0 or less is none.
// CHECK: flow.features @positive [#flow.feature<@sae, res, 1, 2>]
// Equal ones by index, and no more than were asked for.
// CHECK: flow.features @after [#flow.feature<@sae, res, 2, 2>, #flow.feature<@sae, res, 2, 3>, #flow.feature<@sae, res, 2, 0>]
// CHECK: flow.features @two [#flow.feature<@sae, res, 2, 2>, #flow.feature<@sae, res, 2, 3>]
// Other selectors stay where they are.
// CHECK: flow.features @mixed [#flow.feature<@sae, res, 2, 5>, #flow.feature<@sae, res, 1, 1>, #flow.feature<@sae, mlp, 2, 0>, #flow.antagonists<<@sae, res, 1, 1>, 1>, #flow.feature<@sae, res, 2, 1>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.features @one [#flow.linked<predecessors of <@sae, res, 2, 3> by @flow, 1>]
flow.features @all [#flow.linked<predecessors of <@sae, res, 2, 3> by @flow, 9>]
flow.features @positive [#flow.linked<predecessors of <@sae, res, 2, 4> by @flow, 9>]
flow.features @after [#flow.linked<successors of <@sae, mlp, 2, 0> by @flow, 9>]
flow.features @two [#flow.linked<successors of <@sae, mlp, 2, 0> by @flow, 2>]
flow.features @mixed [#flow.feature<@sae, res, 2, 5>, #flow.linked<predecessors of <@sae, res, 2, 3> by @flow, 2>, #flow.antagonists<<@sae, res, 1, 1>, 1>, #flow.linked<successors of <@sae, res, 1, 5> by @flow, 1>]

// -----

// Several matches of a feature: the most similar first.
// CHECK: flow.features @three [#flow.feature<@sae, res, 1, 1>, #flow.feature<@sae, res, 1, 4>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.top_k<3, cosine> over <decoder>
flow.features @three [#flow.linked<predecessors of <@sae, res, 2, 3> by @flow, 9>]

// -----

// Assignments lead forward, and a squared error is never positive.
// CHECK: flow.features @forward [#flow.feature<@sae, res, 1, 2>, #flow.feature<@sae, res, 2, 4>]
// CHECK: flow.features @back [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 1, 2>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
flow.features @forward [#flow.linked<successors of <@sae, res, 0, 1> by @permutation, 1>, #flow.linked<successors of <@sae, res, 1, 2> by @permutation, 1>]
flow.features @back [#flow.linked<predecessors of <@sae, res, 1, 2> by @permutation, 1>, #flow.linked<predecessors of <@sae, res, 2, 4> by @permutation, 1>]

// -----

// Fewer features than are looked up: some are left free.
// CHECK: flow.features @mlp [#flow.feature<@sae, mlp, 2, 1>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.assignment<mse> over <decoder>
flow.features @mlp [#flow.linked<successors of <@sae, mlp, 1, 0> by @permutation, 1>]
