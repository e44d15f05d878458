// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-resolve=base=%t | FileCheck %s


// Dictionaries are opened for what is named, not for all that a collection has.
// CHECK: flow.collection @sae
// CHECK-NEXT: flow.dictionary @sae.res.1 of @sae at <res, 1> reads <res, 1> features 6 width 4 activation <jumprelu>{{$}}
// CHECK-NEXT: flow.features @one [#flow.feature<@sae, res, 1, 5>]
// CHECK-NOT: flow.dictionary
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @one [#flow.feature<@sae, res, 1, 5>]

// -----

// What a dictionary does to its input is written down with it.
// CHECK: flow.collection @sae
// CHECK-DAG: flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 6 width 4 activation <relu>{{$}}
// CHECK-DAG: flow.dictionary @sae.res.2 of @sae at <res, 2> reads <res, 2> features 6 width 4 activation <topk, 2> normalization <layer_norm>{{$}}
// CHECK-DAG: flow.dictionary @sae.mlp.1 of @sae at <mlp, 1> reads <mlp, 1> features 6 width 4 activation <relu> normalization <constant_norm>{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @kinds [#flow.feature<@sae, res, 0, 0>, #flow.feature<@sae, res, 2, 0>, #flow.feature<@sae, mlp, 1, 0>]

// -----

// A whole site, in the order of its indices.
// CHECK: flow.features @all [#flow.feature<@sae, res, 0, 0>, #flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>, #flow.feature<@sae, res, 0, 3>, #flow.feature<@sae, res, 0, 4>, #flow.feature<@sae, res, 0, 5>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @all [#flow.whole_site<@sae, res, 0>]

// -----

// Antagonists, the most opposed first, and only as many as there are.
// CHECK: flow.features @two [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>]{{$}}
// CHECK: flow.features @many [#flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 0, 2>, #flow.feature<@sae, res, 0, 4>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @two [#flow.antagonists<<@sae, res, 0, 0>, 2>]
flow.features @many [#flow.antagonists<<@sae, res, 0, 0>, 100>]

// -----

// A feature that several selectors name stands where it was named first, and the
// set says that it left something out.
// CHECK: flow.features @repeats [#flow.feature<@sae, res, 0, 2>, #flow.feature<@sae, res, 0, 1>, #flow.feature<@sae, res, 1, 2>] had_repeats{{$}}
// CHECK: flow.features @alike [#flow.feature<@sae, res, 0, 2>, #flow.feature<@sae, res, 1, 2>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @repeats [#flow.feature<@sae, res, 0, 2>, #flow.antagonists<<@sae, res, 0, 0>, 2>, #flow.feature<@sae, res, 1, 2>, #flow.feature<@sae, res, 0, 1>]
flow.features @alike [#flow.feature<@sae, res, 0, 2>, #flow.feature<@sae, res, 1, 2>]

// -----

// The same files under two names are one dictionary: a feature has one name, in
// sets and in conditions.
// CHECK: flow.features @one [#flow.feature<@sae, res, 0, 2>] had_repeats{{$}}
// CHECK: flow.features @two [#flow.feature<@sae, res, 0, 3>, #flow.feature<@again, mlp, 1, 3>]{{$}}
// CHECK: steer.policy @p {{.*}} when #steer.when<feature = <@sae, res, 0, 1>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @again <sae_lens> at "./{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @one [#flow.feature<@sae, res, 0, 2>, #flow.feature<@again, res, 0, 2>]
flow.features @two [#flow.feature<@again, res, 0, 3>, #flow.feature<@again, mlp, 1, 3>]
steer.policy @p #steer.ablate on @two when #steer.when<feature = <@again, res, 0, 1>, above = 0.5 : f64>

// -----

// Other files of the same form are others.
// CHECK: flow.features @other [#flow.feature<@sae, res, 2, 2>, #flow.feature<@flow, res, 2, 2>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @flow <sae_lens> at "flow/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.features @other [#flow.feature<@sae, res, 2, 2>, #flow.feature<@flow, res, 2, 2>]

// -----

// What files say about their place is not looked at if the spec says so.
// CHECK: flow.collection @said <sae_lens> {{.*}} layers 0 to 2 ignore_hook
// CHECK-NEXT: flow.dictionary @said.res.1
flow.collection @said <sae_lens> at "said/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2 ignore_hook
flow.features @f [#flow.feature<@said, res, 1, 0>]

// -----

// Features of a condition need their dictionary too.
// CHECK: flow.dictionary @sae.res.2
// CHECK: flow.dictionary @sae.res.0
// CHECK: steer.policy @p
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.features @f [#flow.feature<@sae, res, 0, 2>]
steer.policy @p #steer.ablate on @f when #steer.any_of<[#steer.when<feature = <@sae, res, 2, 1>, above = 0.5 : f64>]>

// -----

// Resolving again changes nothing.
// CHECK: flow.dictionary @sae.res.0
// CHECK-NOT: flow.dictionary
// CHECK: flow.features @f [#flow.feature<@sae, res, 0, 2>] had_repeats
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <res, 0> reads <res, 0> features 6 width 4 activation <relu>
flow.features @f [#flow.feature<@sae, res, 0, 2>] had_repeats
