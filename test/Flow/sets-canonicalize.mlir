// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --canonicalize --cse | FileCheck %s
// What is known of lists and sets before any dictionary is opened.

// CHECK: %[[EMPTY:.*]] = flow.select []
// CHECK: %[[A:.*]] = flow.select [#flow.antagonists<<@sae:0/res/0>, 2>]
// CHECK: %[[B:.*]] = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:0/res/4>]
// CHECK: %[[SORTED:.*]] = flow.select [#flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>]
// A list of one is that one, and one in another a part of it.
// CHECK: %[[LIST:.*]] = flow.list %[[A]], %[[B]], %[[A]]{{$}}
// A union with itself or with nothing, and one in another; operands in another order
// make the same value.
// CHECK: %[[UNION:.*]] = flow.union %[[A]], %[[B]]{{$}}
// What is not in canonical order is brought into it by a union of one.
// CHECK: %[[ORDERED:.*]] = flow.union %[[B]]{{$}}
// CHECK: %[[INTERSECTION:.*]] = flow.intersection %[[A]], %[[B]]{{$}}
// CHECK: %[[DIFFERENCE:.*]] = flow.difference %[[A]], %[[B]]{{$}}
// CHECK-NOT: flow.
// CHECK: @list_of_one #steer.record on %[[B]]
// CHECK: @list #steer.record on %[[LIST]]
// CHECK: @list_of_nothing #steer.record on %[[EMPTY]]
// CHECK: @union #steer.record on %[[UNION]]
// CHECK: @other_union #steer.record on %[[UNION]]
// CHECK: @union_with_itself #steer.record on %[[ORDERED]]
// CHECK: @union_with_nothing #steer.record on %[[ORDERED]]
// CHECK: @union_of_a_union #steer.record on %[[UNION]]
// CHECK: @union_in_order #steer.record on %[[SORTED]]
// CHECK: @union_of_nothing #steer.record on %[[EMPTY]]
// CHECK: @intersection #steer.record on %[[INTERSECTION]]
// CHECK: @other_intersection #steer.record on %[[INTERSECTION]]
// CHECK: @intersection_with_itself #steer.record on %[[ORDERED]]
// CHECK: @intersection_with_nothing #steer.record on %[[EMPTY]]
// CHECK: @difference #steer.record on %[[DIFFERENCE]]
// CHECK: @difference_with_itself #steer.record on %[[EMPTY]]
// CHECK: @difference_with_nothing #steer.record on %[[ORDERED]]
// CHECK: @difference_of_nothing #steer.record on %[[EMPTY]]
module {
  %empty = flow.select []
  %a = flow.select [#flow.antagonists<<@sae:0/res/0>, 2>]
  %b = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:0/res/4>]
  %sorted = flow.select [#flow.feature<@sae:0/res/4>, #flow.feature<@sae:1/res/5>]
  %list_of_one = flow.list %b
  %inner_list = flow.list %b, %empty, %a
  %list = flow.list %a, %inner_list
  %list_of_nothing = flow.list %empty, %empty
  %union = flow.union %a, %b, %a
  %other_union = flow.union %b, %empty, %a
  %union_with_itself = flow.union %b, %b
  %union_with_nothing = flow.union %empty, %b
  %union_of_a_union = flow.union %b, %other_union
  %union_in_order = flow.union %sorted, %sorted
  %union_of_nothing = flow.union %empty
  %intersection = flow.intersection %a, %b, %a
  %inner_intersection = flow.intersection %b, %a
  %other_intersection = flow.intersection %b, %inner_intersection
  %intersection_with_itself = flow.intersection %b, %b
  %intersection_with_nothing = flow.intersection %b, %empty, %a
  %difference = flow.difference %a, %b
  %difference_with_itself = flow.difference %a, %a
  %difference_with_nothing = flow.difference %b, %empty
  %difference_of_nothing = flow.difference %empty, %b
  steer.policy @list_of_one #steer.record on %list_of_one
  steer.policy @list #steer.record on %list
  steer.policy @list_of_nothing #steer.record on %list_of_nothing
  steer.policy @union #steer.record on %union
  steer.policy @other_union #steer.record on %other_union
  steer.policy @union_with_itself #steer.record on %union_with_itself
  steer.policy @union_with_nothing #steer.record on %union_with_nothing
  steer.policy @union_of_a_union #steer.record on %union_of_a_union
  steer.policy @union_in_order #steer.record on %union_in_order
  steer.policy @union_of_nothing #steer.record on %union_of_nothing
  steer.policy @intersection #steer.record on %intersection
  steer.policy @other_intersection #steer.record on %other_intersection
  steer.policy @intersection_with_itself #steer.record on %intersection_with_itself
  steer.policy @intersection_with_nothing #steer.record on %intersection_with_nothing
  steer.policy @difference #steer.record on %difference
  steer.policy @difference_with_itself #steer.record on %difference_with_itself
  steer.policy @difference_with_nothing #steer.record on %difference_with_nothing
  steer.policy @difference_of_nothing #steer.record on %difference_of_nothing
}

// -----

// Whether features of two collections are the same is not known yet: their order
// may change.
// CHECK: %[[TWO:.*]] = flow.select [#flow.feature<@again:0/res/2>, #flow.feature<@sae:0/res/2>]
// CHECK: %[[UNION:.*]] = flow.union %[[TWO]]{{$}}
// CHECK: @two #steer.record on %[[UNION]]
%two = flow.select [#flow.feature<@again:0/res/2>, #flow.feature<@sae:0/res/2>]
%union = flow.union %two, %two
steer.policy @two #steer.record on %union
