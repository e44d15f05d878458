// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-follow=cache=%t/cache --verify-diagnostics

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
// expected-note @below {{the match}}
flow.matching @flow of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%f.1 = flow.select [#flow.feature<@sae:2/mlp/1>]
// expected-error @below {{feature 2/mlp/1 has no predecessors by @flow}}
%f.2 = flow.follow <predecessors> of %f.1 by @flow most 1
%f.3 = flow.select [#flow.feature<@sae:2/mlp/3>]
// expected-error @below {{feature 2/mlp/3 is out of range: the dictionary has features 0 to 2}}
%f.4 = flow.follow <predecessors> of %f.3 by @flow most 1
%g.1 = flow.select [#flow.feature<@sae:1/mlp/0>]
// expected-error @below {{feature 1/mlp/0 has no successors by @flow}}
%g.2 = flow.follow <successors> of %g.1 by @flow most 1
%g.3 = flow.select [#flow.feature<@sae:1/mlp/1>]
// expected-error @below {{feature 1/mlp/1 is out of range: the dictionary has features 0 to 0}}
%g.4 = flow.follow <successors> of %g.3 by @flow most 1

// -----

// An assignment leaves a feature free where there are too few for it.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
// expected-note @below {{the match}}
flow.matching @p of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.assignment<mse> over <decoder>
%f.1 = flow.select [#flow.feature<@sae:2/mlp/0>]
// expected-error @below {{feature 2/mlp/0 has no predecessors by @p}}
%f = flow.follow <predecessors> of %f.1 by @p most 1
