// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-follow=cache=%t/cache --verify-diagnostics
// What flow-follow finds where the passes before it did not run, or their results
// went away.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f.1 = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{there is no match of @sae.res.1 and @sae.res.0 to follow: run flow-expand-matchings before}}
%f = flow.follow <predecessors> of %f.1 by @m most 1

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu>
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%0 = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> for @m : !flow.map<6 -> 6>
%f.1 = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{the match of @sae.res.1 and @sae.res.0 was not computed: run flow-match before}}
%f = flow.follow <predecessors> of %f.1 by @m most 1 through %0 : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu>
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%0 = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> for @m result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> : !flow.map<6 -> 6>
%f.1 = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{the result sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef is not in the cache}}
%f = flow.follow <predecessors> of %f.1 by @m most 1 through %0 : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @other <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f.3 = flow.select [#flow.feature<@other:1/res/1>]
// expected-error @below {{@m matches features of @sae, not of @other}}
%f.4 = flow.follow <predecessors> of %f.3 by @m most 1

// -----

// What is not a single feature yet cannot be followed.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f.1 = flow.select [#flow.antagonists<<@sae:1/res/1>, 2>]
// expected-error @below {{follows features that are not known yet: only single features can be followed}}
%f = flow.follow <predecessors> of %f.1 by @m most 1
