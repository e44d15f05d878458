// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-follow=cache=%t/cache --verify-diagnostics

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
// expected-note @below {{the match}}
flow.matching @flow of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{feature 2/mlp/1 has no predecessors by @flow}}
// expected-error @below {{feature 2/mlp/3 is out of range: the dictionary has features 0 to 2}}
flow.features @f [#flow.linked<predecessors of <@sae, mlp, 2, 1> by @flow, 1>, #flow.linked<predecessors of <@sae, mlp, 2, 3> by @flow, 1>]
// expected-error @below {{feature 1/mlp/0 has no successors by @flow}}
// expected-error @below {{feature 1/mlp/1 is out of range: the dictionary has features 0 to 0}}
flow.features @g [#flow.linked<successors of <@sae, mlp, 1, 0> by @flow, 1>, #flow.linked<successors of <@sae, mlp, 1, 1> by @flow, 1>]

// -----

// An assignment leaves a feature free where there are too few for it.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
// expected-note @below {{the match}}
flow.matching @p of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.assignment<mse> over <decoder>
// expected-error @below {{feature 2/mlp/0 has no predecessors by @p}}
flow.features @f [#flow.linked<predecessors of <@sae, mlp, 2, 0> by @p, 1>]
