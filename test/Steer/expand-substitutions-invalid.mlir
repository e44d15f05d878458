// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies

// An edit inside of a block that is not computed.
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
%f = flow.select [#flow.feature<@sae:1/mlp/5>]
// expected-note @below {{it is replaced here}}
steer.policy @dropped #steer.substitute<1 to 1> on %none tokens <set = generated>
// expected-error @below {{'quiet' edits 1/mlp, which is inside of layer 1: 'dropped' replaces it in plan 'a', whatever their tokens and conditions; put the two into different plans}}
steer.policy @quiet #steer.ablate on %f tokens <set = prompt>
// expected-note @below {{the plan is here}}
steer.plan @a [@dropped, @quiet]
steer.plan @b [@dropped]
// FIXTURE cached-model

// -----

// Nor can anything be read there; behind the last block it can.
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
%f = flow.select [#flow.feature<@sae:1/res/5>]
// expected-note @below {{it is replaced here}}
steer.policy @dropped #steer.substitute<1 to 2> on %none
// expected-error @below {{'watch' reads 1/res, which is inside of layers 1 to 2: 'dropped' replaces them in plan 'a'}}
steer.policy @watch #steer.record on %f
// expected-note @below {{the plan is here}}
steer.plan @a [@dropped, @watch]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
%f = flow.select [#flow.feature<@sae:2/res/5>]
// expected-note @below {{it is replaced here}}
steer.policy @dropped #steer.substitute<1 to 1> on %none
// expected-error @below {{'calm' reads 1/mlp, which is inside of layer 1}}
steer.policy @calm #steer.ablate on %f when #steer.when<feature = <@sae:1/mlp/1>, above = 0.5>
// expected-note @below {{the plan is here}}
steer.plan @a [@dropped, @calm]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
// expected-note @below {{it is replaced here}}
steer.policy @dropped #steer.substitute<1 to 1> on %none
// expected-error @below {{'raw' reads 1/mlp, which is inside of layer 1}}
steer.policy @raw #steer.record_value<[<1/mlp>]> on %none
// expected-note @below {{the plan is here}}
steer.plan @a [@dropped, @raw]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
// expected-note @below {{the other one is here}}
steer.policy @one #steer.substitute<1 to 2> on %none
// expected-error @below {{'two' and 'one' both replace layer 2 in plan 'a'}}
steer.policy @two #steer.substitute<2 to 2> on %none
// expected-note @below {{the plan is here}}
steer.plan @a [@one, @two]
steer.plan @b [@two]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
// expected-error @below {{the model has no site 3/res; its layers are 0 to 2}}
steer.policy @beyond #steer.substitute<3 to 3> on %none
steer.plan @a [@beyond]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
// expected-error @below {{feature 1/res/1 is not computed before layer 1: whether a layer is replaced can depend on what comes before it only}}
steer.policy @late #steer.substitute<1 to 1> on %none when #steer.when<feature = <@sae:1/res/1>, above = 0.5>
steer.plan @a [@late]
// FIXTURE cached-model

// -----

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p : !flow.map<6 -> 6>
flow.bridge @b of @sae from <0/res> to <1/res> by @p through %0 : !flow.map<6 -> 6>
%none = flow.select []
// expected-error @below {{@p was not computed: run flow-match before}}
steer.policy @pruned #steer.substitute<1 to 1 by @b> on %none
steer.plan @a [@pruned]
// FIXTURE cached-model

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu> normalization <layer_norm>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 6 width 4 activation <relu>
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
flow.bridge @b of @sae from <0/res> to <1/res> by @p through %0 : !flow.map<6 -> 6>
%none = flow.select []
// expected-error @below {{the dictionary at 1/res normalises what it reads, and how large the value of a layer would be that is not computed, nobody knows}}
steer.policy @pruned #steer.substitute<1 to 1 by @b> on %none
steer.plan @a [@pruned]
// FIXTURE cached-model

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-note @below {{the dictionary is declared here}}
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 9 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <relu>
flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 6 width 4 activation <relu>
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
flow.bridge @b of @sae from <1/res> to <1/res>
%none = flow.select []
// expected-error @below {{the dictionary's rows do not fit the model: they have 9 numbers, the value at 1/res has 4}}
steer.policy @coded #steer.substitute<1 to 1 by @b> on %none
steer.plan @a [@coded]
// FIXTURE cached-model
