// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file -allow-unregistered-dialect

// expected-error @below {{matches no site}}
flow.matching @m of @sae sites [] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{expects site kinds, got "res"}}
flow.matching @m of @sae sites ["res"] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{matches the site #fx.site_kind<res> twice}}
flow.matching @m of @sae sites [#fx.site_kind<res>, #fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{expects layers in ascending order from 0 on, got 3 to 2}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 3 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{expects layers in ascending order from 0 on, got -1 to 2}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers -1 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{there are no dictionaries @sea}}
flow.matching @m of @sea sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{Invalid attribute `method` in property conversion: 3 : i64}}
"flow.matching"() <{collection = @sae, first_layer = 0 : i64, last_layer = 3 : i64, method = 3 : i64, sites = [#fx.site_kind<res>], sym_name = "m", weights = #flow.weights<decoder>}> : () -> ()

// -----

// expected-error @below {{compares activations, and has no text}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, pearson> over <decoder>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{compares activations, and has no text}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.assignment<mse> over <decoder> fold <mean_activation>
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{has a text, and compares no activations}}
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder> text "a.jsonl"
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3

// -----

// expected-error @below {{k is 1 to 256, got 0}}
#k = #flow.top_k<0, cosine>

// -----

// expected-error @below {{k is 1 to 256, got 257}}
#k = #flow.top_k<257, cosine>

// -----

// expected-error @below {{an assignment compares weights, not activations}}
#p = #flow.assignment<pearson>

// -----

%f = flow.select []
// expected-error @below {{leads to 1 or more features, got 0}}
%l = flow.follow <successors> of %f by @m most 0

// -----

%f = flow.select []
// expected-error @below {{there is no matching @m}}
%l = flow.follow <successors> of %f by @m most 1

// -----

// expected-error @below {{expects "sha256:" and 64 hexadecimal digits, got "sha256:12"}}
#r = #flow.result<"sha256:12">

// -----

// expected-error @below {{expects "sha256:" and 64 hexadecimal digits, got}}
#r = #flow.result<"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef">

// -----

// expected-error @below {{expects "sha256:" and 64 hexadecimal digits, got}}
#r = #flow.result<"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef">

// -----

// expected-error @below {{a map leads from at least one feature to at least one, got 0 -> 3}}
%0 = "test.map"() : () -> !flow.map<0 -> 3>

// -----

// expected-error @below {{a map leads from at least one feature to at least one, got 3 -> -1}}
%0 = "test.map"() : () -> !flow.map<3 -> -1>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{there is no dictionary @b}}
%0 = flow.match @a -> @b top_k 1 by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

// expected-note @below {{the dictionary}}
flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @b of @sae at <1/res> reads <1/res> features 7 width 4 activation <relu>
// expected-error @below {{has a map of 7 features for @a, which has 6}}
%0 = flow.match @a -> @b top_k 1 by <cosine> over <decoder> : !flow.map<7 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-note @below {{the dictionary}}
flow.dictionary @b of @sae at <1/res> reads <1/res> features 7 width 4 activation <relu>
// expected-error @below {{has a map of 6 features for @b, which has 7}}
%0 = flow.permutation @a -> @b by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{there is no matching @m}}
%0 = flow.permutation @a -> @a by <cosine> over <decoder> for @m : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{k is 1 to 256, got 0}}
%0 = flow.match @a -> @a top_k 0 by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 600 width 4 activation <relu>
// expected-error @below {{k is 1 to 256, got 257}}
%0 = flow.match @a -> @a top_k 257 by <cosine> over <decoder> : !flow.map<600 -> 600>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{looks for 7 features of 6}}
%0 = flow.match @a -> @a top_k 7 by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{compares activations, and has no text}}
%0 = flow.match @a -> @a top_k 1 by <pearson> over <decoder> : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{has a text, and compares no activations}}
%0 = flow.match @a -> @a top_k 1 by <mse> over <decoder> text "a" : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{compares weights, not activations}}
%0 = flow.permutation @a -> @a by <pearson> over <decoder> text "a" : !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{compares activations, and has no text}}
%0 = flow.permutation @a -> @a by <mse> over <decoder> fold <mean_activation> : !flow.map<6 -> 6>

// -----

// expected-error @below {{composes no map}}
%0 = "flow.compose"() : () -> !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%0 = flow.permutation @a -> @a by <mse> over <decoder> : !flow.map<6 -> 6>
// expected-error @below {{keeps 1 or more pairs of a feature, got 0}}
%1 = flow.compose %0, %0 keep 0 : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @b of @sae at <1/res> reads <1/res> features 7 width 4 activation <relu>
%0 = flow.permutation @a -> @b by <mse> over <decoder> : !flow.map<6 -> 7>
// expected-error @below {{a map to 7 features is followed by one from 6}}
%1 = flow.compose %0, %0 : (!flow.map<6 -> 7>, !flow.map<6 -> 7>) -> !flow.map<6 -> 7>

// -----

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%0 = flow.permutation @a -> @a by <mse> over <decoder> : !flow.map<6 -> 6>
// expected-error @below {{leads from '!flow.map<6 -> 6>', not '!flow.map<6 -> 7>'}}
%1 = flow.compose %0, %0 : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 7>
