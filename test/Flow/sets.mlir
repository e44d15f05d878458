// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-resolve=base=%t --cse | FileCheck %s
// What lists and sets come to, once their features are known.

// Lists keep the order in which they were written, and say that they left a
// feature out.
// CHECK: %[[LIST:.*]] = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:0/res/4>, #flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>]{{$}}
// CHECK: %[[TWICE:.*]] = flow.select [#flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>] had_repeats
// Sets have an order of their own: two that are written differently are one value.
// CHECK: %[[UNION:.*]] = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>, #flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>]{{$}}
// CHECK: %[[SAME:.*]] = flow.select [#flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>]{{$}}
// CHECK: %[[REST:.*]] = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>]{{$}}
// CHECK-NOT: flow.{{list|union|intersection|difference}}
// CHECK: steer.policy @list #steer.record on %[[LIST]]
// CHECK: steer.policy @twice #steer.record on %[[TWICE]]
// CHECK: steer.policy @union #steer.record on %[[UNION]]
// CHECK: steer.policy @other_union #steer.record on %[[UNION]]
// CHECK: steer.policy @intersection #steer.record on %[[SAME]]
// CHECK: steer.policy @other_intersection #steer.record on %[[SAME]]
// CHECK: steer.policy @difference #steer.record on %[[REST]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%a = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:0/res/4>]
%against = flow.select [#flow.antagonists<<@sae:0/res/0>, 2>]
%b = flow.select [#flow.feature<@sae:0/res/4>]
%list = flow.list %a, %against
%twice = flow.list %b, %a
%union = flow.union %a, %against
%other_union = flow.union %against, %b, %list
%intersection = flow.intersection %list, %twice
%other_intersection = flow.intersection %twice, %a, %list
%difference = flow.difference %list, %a
steer.policy @list #steer.record on %list
steer.policy @twice #steer.record on %twice
steer.policy @union #steer.record on %union
steer.policy @other_union #steer.record on %other_union
steer.policy @intersection #steer.record on %intersection
steer.policy @other_intersection #steer.record on %other_intersection
steer.policy @difference #steer.record on %difference

// -----

// Sets compare features, not what their dictionaries are called.
// CHECK: %[[SHARED:.*]] = flow.select [#flow.feature<@sae:0/res/2>]{{$}}
// CHECK: %[[NONE:.*]] = flow.select []
// CHECK: steer.policy @shared #steer.record on %[[SHARED]]
// CHECK: steer.policy @none #steer.record on %[[NONE]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @again <sae_lens> at "./{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%a = flow.select [#flow.feature<@sae:0/res/2>, #flow.feature<@sae:0/res/3>]
%b = flow.select [#flow.feature<@again:0/res/2>]
%shared = flow.intersection %a, %b
%none = flow.difference %b, %a
steer.policy @shared #steer.record on %shared
steer.policy @none #steer.record on %none
