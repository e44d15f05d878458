// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-resolve=base=%t | FileCheck %s


// Dictionaries are opened for what is named, not for all that a collection has.
// CHECK: flow.collection @sae
// CHECK-NEXT: flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <jumprelu>{{$}}
// CHECK-NEXT: %{{.*}} = flow.select [#flow.feature<@sae:1/res/5>]
// CHECK-NOT: flow.dictionary
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%one = flow.select [#flow.feature<@sae:1/res/5>]

// -----

// What a dictionary does to its input is written down with it.
// CHECK: flow.collection @sae
// CHECK-DAG: flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>{{$}}
// CHECK-DAG: flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 4 activation <topk, 2> normalization <layer_norm>{{$}}
// CHECK-DAG: flow.dictionary @sae.mlp.1 of @sae at <1/mlp> reads <1/mlp> features 6 width 4 activation <relu> normalization <constant_norm>{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%kinds = flow.select [#flow.feature<@sae:0/res/0>, #flow.feature<@sae:2/res/0>, #flow.feature<@sae:1/mlp/0>]

// -----

// A whole site, in the order of its indices.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/0>, #flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>, #flow.feature<@sae:0/res/3>, #flow.feature<@sae:0/res/4>, #flow.feature<@sae:0/res/5>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%all = flow.select [#flow.whole_site<@sae:0/res>]

// -----

// Antagonists, the most opposed first, and only as many as there are.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>]{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>, #flow.feature<@sae:0/res/4>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%two = flow.select [#flow.antagonists<<@sae:0/res/0>, 2>]
%many = flow.select [#flow.antagonists<<@sae:0/res/0>, 100>]

// -----

// A feature that several selectors name stands where it was named first, and the
// set says that it left something out.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/2>, #flow.feature<@sae:0/res/1>, #flow.feature<@sae:1/res/2>] had_repeats{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/2>, #flow.feature<@sae:1/res/2>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%repeats = flow.select [#flow.feature<@sae:0/res/2>, #flow.antagonists<<@sae:0/res/0>, 2>, #flow.feature<@sae:1/res/2>, #flow.feature<@sae:0/res/1>]
%alike = flow.select [#flow.feature<@sae:0/res/2>, #flow.feature<@sae:1/res/2>]

// -----

// The same files under two names are one dictionary: a feature has one name, in
// sets and in conditions.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/2>] had_repeats{{$}}
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/3>, #flow.feature<@again:1/mlp/3>]{{$}}
// CHECK: steer.policy @p {{.*}} when #steer.when<feature = <@sae:0/res/1>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @again <sae_lens> at "./{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%one = flow.select [#flow.feature<@sae:0/res/2>, #flow.feature<@again:0/res/2>]
%two = flow.select [#flow.feature<@again:0/res/3>, #flow.feature<@again:1/mlp/3>]
steer.policy @p #steer.ablate on %two when #steer.when<feature = <@again:0/res/1>, above = 0.5 : f64>

// -----

// Other files of the same form are others.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@flow:2/res/2>]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @flow <sae_lens> at "flow/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%other = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@flow:2/res/2>]

// -----

// What files say about their place is not looked at if the spec says so.
// CHECK: flow.collection @said <sae_lens> {{.*}} layers 0 to 2 ignore_hook
// CHECK-NEXT: flow.dictionary @said.res.1
flow.collection @said <sae_lens> at "said/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2 ignore_hook
%f = flow.select [#flow.feature<@said:1/res/0>]

// -----

// Features of a condition need their dictionary too.
// CHECK: flow.dictionary @sae.res.2
// CHECK: flow.dictionary @sae.res.0
// CHECK: steer.policy @p
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
%f = flow.select [#flow.feature<@sae:0/res/2>]
steer.policy @p #steer.ablate on %f when #steer.any_of<[#steer.when<feature = <@sae:2/res/1>, above = 0.5 : f64>]>

// -----

// Resolving again changes nothing.
// CHECK: flow.dictionary @sae.res.0
// CHECK-NOT: flow.dictionary
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/2>] had_repeats
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%f = flow.select [#flow.feature<@sae:0/res/2>] had_repeats

// -----

// The antagonists of each of some features, each once; a feature without one is passed
// over. Weights stay with their features.
// CHECK: %[[OF:.*]] = flow.select [#flow.feature<@sae:0/res/0>, #flow.feature<@sae:0/res/5>, #flow.feature<@sae:1/res/0>] weights [5.000000e-01, 1.000000e+00, 2.500000e-01]
// CHECK: flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>, #flow.feature<@sae:1/res/1>, #flow.feature<@sae:1/res/2>]{{$}}
// A list and a set with weights: of two, that which comes first, and the larger one.
// CHECK: flow.select [#flow.feature<@sae:0/res/5>, #flow.feature<@sae:0/res/0>, #flow.feature<@sae:1/res/0>] weights [1.000000e+00, 5.000000e-01, 2.500000e-01] had_repeats
// CHECK: flow.select [#flow.feature<@sae:0/res/0>, #flow.feature<@sae:0/res/5>, #flow.feature<@sae:1/res/0>] weights [7.500000e-01, 1.000000e+00, 2.500000e-01]{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%of = flow.select [#flow.feature<@sae:0/res/0>, #flow.feature<@sae:0/res/5>, #flow.feature<@sae:1/res/0>] weights [0.5, 1.0, 0.25]
%opposed = flow.opposed to %of most 2
%plain = flow.select [#flow.feature<@sae:0/res/5>]
%list = flow.list %plain, %of
%more = flow.select [#flow.feature<@sae:0/res/0>] weights [0.75]
%union = flow.union %of, %more
