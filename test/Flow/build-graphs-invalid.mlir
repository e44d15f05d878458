// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow unused" --flow-match="base=%t/flow cache=%t/cache" --flow-build-graphs="base=%t/flow cache=%t/cache" --verify-diagnostics
// What cannot be built.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.label #flow.feature<@sae:2/res/3> "faith"
%f = flow.select [#flow.feature<@sae:2/res/3>]
%m = flow.select [#flow.feature<@sae:2/mlp/0>]
// expected-error @below {{the graph is empty: nothing leads to its target 2/res/3 (faith); the most similar edge that 'keep' leaves out is 1/res/1 to 2/res/3 (faith) with 1}}
%empty = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, similarity = 2.0>, #flow.keep<kind = mlp, similarity = 2.0>]
%g = flow.graph <backward> from %f by @flow width 1
%forward = flow.graph <forward> from %m by @flow width 1
%common = flow.graph_intersection %g, %forward
%less = flow.graph_difference %forward, %g
// expected-error @below {{the graph is empty: nothing is left when what it takes away is taken away}}
%nothing = flow.graph_difference %common, %forward
// expected-error @below {{the graph is empty: there is no node that all of its graphs have}}
%apart = flow.graph_intersection %g, %less
// expected-error @below {{selects no node of the graph, which has 3 in layers 1 to 2}}
%part = flow.part %g layers 7 to 9
// expected-error @below {{feature 2/res/2 of the graph has no weight: no path joins it with a target}}
%weight = flow.part %less weight <similarity>
%far = flow.select [#flow.feature<@sae:2/res/77>]
// expected-error @below {{feature 2/res/77 is out of range: the dictionary has features 0 to 5}}
%range = flow.graph <backward> from %far by @flow width 1
// expected-error @below {{no path leads from 1/res/0 to 2/res/3 (faith) by @flow}}
%path = flow.path #flow.feature<@sae:1/res/0> to #flow.feature<@sae:2/res/3> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{effects are those of a model, and there is none: give `model: {program: …}`}}
%effects = flow.graph <backward> from %f by @flow width 1 text "held-out.jsonl"
