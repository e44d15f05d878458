// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// What the verifiers of graphs reject.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{follows each node to 1 or more features, got 0}}
%g = flow.graph <backward> from %f by @flow width 0

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{expects layers in ascending order from 0 on, got 2 to 1}}
%g = flow.graph <backward> from %f by @flow width 1 layers 2 to 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{says twice what edges from res have to reach}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, similarity = 0.5>, #flow.keep<kind = res, null = 0.5>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{asks for effects, and has no text that they were measured on}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, effect = 0.5>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{there is no matching @flow}}
%g = flow.graph <backward> from %f by @flow width 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{follows each node to 3 features, of which flow has 2}}
%g = flow.graph <backward> from %f by @flow width 3

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{covers layers that flow does not match}}
%g = flow.graph <backward> from %f by @flow width 1 layers 1 to 3

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{says what edges from mlp have to reach, which flow does not match}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = mlp, similarity = 0.5>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{compares cosines of random directions with similarities that are no cosines}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, null = 0.5>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{asks for nothing that an edge has to reach}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{asks for a number that is not finite}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, similarity = 0x7FF8000000000000 : f64>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{a quantile of random directions is 0 to}}
%g = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, null = 1.0>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{leads from a feature to itself}}
%p = flow.path #flow.feature<@sae:1/res/1> to #flow.feature<@sae:1/res/1> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{leads from features of @sae to those of @other}}
%p = flow.path #flow.feature<@sae:1/res/1> to #flow.feature<@other:2/res/1> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{leads from 2/res/1 to 1/res/1, which is not behind it}}
%p = flow.path #flow.feature<@sae:2/res/1> to #flow.feature<@sae:1/res/1> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{multiplies similarities, which says something of cosines and correlations only}}
%p = flow.path #flow.feature<@sae:1/res/1> to #flow.feature<@sae:2/res/1> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{combines nothing}}
%u = "flow.graph_union"() : () -> !flow.graph

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{combines nothing}}
%u = "flow.graph_intersection"() : () -> !flow.graph

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{uses a value that is made after it}}
%d = flow.graph_difference %e, %e
// expected-note @below {{here}}
%e = flow.empty_graph

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{names no site}}
%p = flow.part %e sites []

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{expects site kinds, got "res"}}
%p = flow.part %e sites ["res"]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{names the site #fx.site_kind<res> twice}}
%p = flow.part %e sites [#fx.site_kind<res>, #fx.site_kind<res>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{expects layers in ascending order from 0 on, got 2 to 1}}
%p = flow.part %e layers 2 to 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{has one layer of a range without the other}}
%p = "flow.part"(%e) {first_layer = 1 : i64} : (!flow.graph) -> !flow.features

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%e = flow.empty_graph
// expected-error @below {{goes 0 or more steps, got -1}}
%p = flow.part %e steps -1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-note @below {{the matching}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
%a = flow.graph <backward> from %f by @flow width 1
%u = flow.graph_union %a, %a
// expected-error @below {{is weighted by products of similarities, which say something of cosines and correlations only}}
%p = flow.part %u weight <similarity>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-note @below {{the graph}}
%a = flow.graph <backward> from %f by @flow width 1
// expected-error @below {{is weighted by effects, and its graph has no text that they were measured on}}
%p = flow.part %a weight <effect>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<2, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{the number of antagonists is 1 or more, got 0}}
%o = flow.opposed to %f most 0

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{has an empty name for feature 2/res/3}}
flow.label #flow.feature<@sae:2/res/3> ""

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{has 1 weights for 2 selectors}}
%w = flow.select [#flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/res/4>] weights [1.0]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{has weights, and #flow.whole_site<@sae:2/res> is not a single feature that stands there once}}
%w = flow.select [#flow.whole_site<@sae:2/res>] weights [1.0]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{has weights, and #flow.feature<@sae:2/res/3> is not a single feature that stands there once}}
%w = flow.select [#flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/res/3>] weights [1.0, 2.0]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{has a weight that is not finite}}
%w = flow.select [#flow.feature<@sae:2/res/3>] weights [0x7FF0000000000000]
