// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --flow-build-graphs=cache=%t --verify-diagnostics
// What has to be done before graphs are built.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
%p = flow.follow <predecessors> of %f by @flow most 1
// expected-error @below {{begins at features that are not known yet: run flow-follow before}}
%g = flow.graph <backward> from %p by @flow width 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <relu>
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%map = flow.match @sae.res.2 -> @sae.res.1 top_k 1 by <cosine> over <decoder> for @flow : !flow.map<6 -> 6>
%f = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{the match of @sae.res.2 and @sae.res.1 was not computed: run flow-match before}}
%g = flow.graph <backward> from %f by @flow width 1 through %map : !flow.map<6 -> 6>
