// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow all=true" --verify-diagnostics
// RUN: not weir-opt %S/Inputs/one-match.mlir --flow-expand-matchings=model=%t/none.pt2 2>&1 | FileCheck %s
// CHECK: error: {{.*}}none.pt2

// One run says all that is wrong.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @other <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%f.3 = flow.select [#flow.feature<@other:2/res/4>]
// expected-error @below {{@m matches features of @sae, not of @other}}
%f.4 = flow.follow <predecessors> of %f.3 by @m most 1
%f.5 = flow.select [#flow.feature<@sae:1/res/4>]
// expected-error @below {{@m leads to no site before 1/res: it matches layers 1 to 2}}
%f.6 = flow.follow <predecessors> of %f.5 by @m most 1
%g.1 = flow.select [#flow.feature<@sae:2/res/4>]
// expected-error @below {{@m leads to no site after 2/res: it matches layers 1 to 2}}
%g.2 = flow.follow <successors> of %g.1 by @m most 1
%g.3 = flow.select [#flow.feature<@sae:2/mlp/4>]
// expected-error @below {{@m leads to no site before 2/mlp: nothing comes before features of 'mlp' in it, in any layer}}
%g.4 = flow.follow <predecessors> of %g.3 by @m most 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-error @below {{has nothing to match: a match needs two layers, or the residual stream and the MLP or attention of one}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 1 to 1 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{has nothing to match: a match needs two layers, or the residual stream and the MLP or attention of one}}
flow.matching @mlp of @sae sites [#fx.site_kind<mlp>] layers 1 to 1 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{has nothing to match: a permutation leads from one layer to the next and needs two}}
flow.matching @p of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 1 by #flow.assignment<mse> over <decoder>

// -----

// expected-note @below {{declared here}}
// expected-note @below {{of these dictionaries}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 2 to 3
// expected-error @below {{'sae' has no dictionary at 1/res: it covers layers 2 to 3}}
flow.matching @before of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{res.3}}
flow.matching @missing of @sae sites [#fx.site_kind<res>] layers 2 to 3 by #flow.top_k<1, cosine> over <decoder>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2
// expected-error @below {{asks for the 2 most similar features of sae.mlp.1, which has 1}}
flow.matching @many of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<2, cosine> over <decoder>

// -----

// Sites that have no place in the flow.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 1 to 2
// expected-warning @below {{leaves out the site mid: beside the residual stream, only mlp and att are matched}}
// expected-warning @below {{leaves out the site head: beside the residual stream, only mlp and att are matched}}
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mid>, #fx.site_kind<head>] layers 1 to 2 by #flow.top_k<2, cosine> over <decoder>
