// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --allow-unregistered-dialect --flow-resolve=base=%t --verify-diagnostics

// One run says all that is wrong, in sets and in conditions.
// expected-note @below {{declared here}}
// expected-note @below {{of these dictionaries}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
// expected-error @below {{feature 0/res/6 is out of range: the dictionary has features 0 to 5}}
// expected-error @below {{'sae' has no dictionary at 4/res: it covers layers 0 to 3}}
%f = flow.select [#flow.feature<@sae:0/res/6>, #flow.feature<@sae:4/res/0>, #flow.feature<@sae:0/res/5>]
// expected-error @below {{'sae' has no dictionary at 1/mlp: it covers layers 0 to 3}}
// expected-error @below {{there are no dictionaries @other}}
// expected-error @below {{res.3}}
%g = flow.select [#flow.feature<@sae:1/mlp/0>, #flow.feature<@other:1/res/0>, #flow.whole_site<@sae:3/res>]
// expected-error @below {{feature 1/res/99 is out of range: the dictionary has features 0 to 5}}
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@sae:1/res/99>, above = 0.5 : f64>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
// expected-error @below {{feature 0/res/5 has no antagonist: no feature of the dictionary has a negative cosine with it}}
// expected-error @below {{feature 0/res/9 is out of range: the dictionary has features 0 to 5}}
%f = flow.select [#flow.antagonists<<@sae:0/res/5>, 1>, #flow.antagonists<<@sae:0/res/9>, 1>]

// -----

// Files that say where they belong are believed, once each.
// expected-warning @below {{res.3: says that it belongs to 'gpt.3', a name that is not understood: nothing tells whether 3/res is that place (add `hook: ignore` if it is)}}
// expected-note @below {{declared here; add `hook: ignore` if its files are wrong}}
flow.collection @said <sae_lens> at "said/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
%right = flow.select [#flow.feature<@said:0/res/5>, #flow.feature<@said:3/res/5>]
// expected-error @below {{res.1: says that it belongs to 'blocks.1.hook_mlp_out', which is 1/mlp, not 1/res}}
// expected-error @below {{res.2: says that it belongs to 'blocks.2.ln2.hook_normalized', which is no site, not 2/res}}
%wrong = flow.select [#flow.feature<@said:1/res/5>, #flow.feature<@said:1/res/4>, #flow.feature<@said:2/res/5>]

// -----

// expected-note @below {{of these dictionaries}}
flow.collection @n <neurons> sites [#fx.site_kind<mlp>] layers 0 to 3
// expected-error @below {{dictionaries of format neurons are made from the model's weights, and there is no model}}
%f = flow.select [#flow.feature<@n:0/mlp/5>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 1 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-error @below {{was not followed: run flow-follow before}}
%p = flow.follow <predecessors> of %f by @m most 1

// -----

%f = "somebody.else"() : () -> !flow.features
// expected-error @below {{combines features that nothing selects}}
%g = flow.union %f

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%none = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{none of these features has an antagonist: no feature of their dictionaries has a negative cosine with one}}
%opposed = flow.opposed to %none most 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:0/res/5>]
%g = flow.graph <backward> from %f by @flow width 1
// expected-error @below {{was not selected: run flow-build-graphs before}}
%part = flow.part %g
