// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-follow=cache=%t/cache --verify-diagnostics
// What flow-follow finds where the passes before it did not run, or their results
// went away.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{there is no match of @sae.res.1 and @sae.res.0: run flow-expand-matchings before}}
flow.features @f [#flow.linked<predecessors of <@sae, res, 1, 1> by @m, 1>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 6 width 4 activation <relu>
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%0 = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> for @m : !flow.map<6 -> 6>
// expected-error @below {{the match of @sae.res.1 and @sae.res.0 was not computed: run flow-match before}}
flow.features @f [#flow.linked<predecessors of <@sae, res, 1, 1> by @m, 1>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 6 width 4 activation <relu>
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%0 = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> for @m result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> : !flow.map<6 -> 6>
// expected-error @below {{the result sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef is not in the cache}}
flow.features @f [#flow.linked<predecessors of <@sae, res, 1, 1> by @m, 1>]

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @other <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{there is no matching @n}}
// expected-error @below {{@m matches features of @sae, not of @other}}
flow.features @f [#flow.linked<predecessors of <@sae, res, 1, 1> by @n, 1>, #flow.linked<predecessors of <@other, res, 1, 1> by @m, 1>]
