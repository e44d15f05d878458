// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --canonicalize --cse --canonicalize --cse | FileCheck %s
// What is known of graphs before any is built: a graph does not depend on how it was
// written.

// CHECK-DAG: %[[NOTHING:.*]] = flow.select []
// CHECK-DAG: %[[F:.*]] = flow.select [#flow.feature<@sae:2/res/5>, #flow.feature<@sae:2/res/3>]
// CHECK-DAG: %[[SET:.*]] = flow.union %[[F]]{{$}}
// CHECK-DAG: %[[A:.*]] = flow.graph <backward> from %[[SET]] by @flow width 1 keep [#flow.keep<kind = res, similarity = 5.000000e-01 : f64>, #flow.keep<kind = mlp, similarity = 1.500000e-01 : f64>]
// CHECK-DAG: %[[B:.*]] = flow.graph <forward> from %[[SET]] by @flow width 1{{$}}
// CHECK-DAG: %[[C:.*]] = flow.graph <both> from %[[SET]] by @flow width 1{{$}}
// CHECK-DAG: %[[UNION:.*]] = flow.graph_union %[[A]], %[[B]]{{$}}
// CHECK-DAG: %[[THREE:.*]] = flow.graph_union %[[A]], %[[B]], %[[C]]{{$}}
// CHECK-DAG: %[[INTERSECTION:.*]] = flow.graph_intersection %[[A]], %[[B]]{{$}}
// CHECK-DAG: %[[DIFFERENCE:.*]] = flow.graph_difference %[[C]], %[[UNION]]{{$}}
// CHECK-DAG: %[[PA:.*]] = flow.part %[[A]]{{$}}
// CHECK-DAG: %[[PUNION:.*]] = flow.part %[[UNION]]{{$}}
// CHECK-DAG: %[[PTHREE:.*]] = flow.part %[[THREE]]{{$}}
// CHECK-DAG: %[[PINTERSECTION:.*]] = flow.part %[[INTERSECTION]]{{$}}
// CHECK-DAG: %[[PDIFFERENCE:.*]] = flow.part %[[DIFFERENCE]]{{$}}
// CHECK-DAG: %[[PSITES:.*]] = flow.part %[[A]] sites [#fx.site_kind<res>, #fx.site_kind<mlp>]
// CHECK-DAG: steer.policy @a #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @other_a #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @union_with_itself #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @union_with_nothing #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @union #steer.record on %[[PUNION]]
// CHECK-DAG: steer.policy @other_union #steer.record on %[[PUNION]]
// CHECK-DAG: steer.policy @union_of_a_union #steer.record on %[[PTHREE]]
// CHECK-DAG: steer.policy @intersection_with_itself #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @intersection #steer.record on %[[PINTERSECTION]]
// CHECK-DAG: steer.policy @other_intersection #steer.record on %[[PINTERSECTION]]
// CHECK-DAG: steer.policy @difference_with_nothing #steer.record on %[[PA]]
// CHECK-DAG: steer.policy @difference #steer.record on %[[PDIFFERENCE]]
// CHECK-DAG: steer.policy @other_difference #steer.record on %[[PDIFFERENCE]]
// CHECK-DAG: steer.policy @sites #steer.record on %[[PSITES]]
// CHECK-DAG: steer.policy @empty_difference #steer.record on %[[NOTHING]]
// CHECK-DAG: steer.policy @empty_intersection #steer.record on %[[NOTHING]]
// CHECK-DAG: steer.policy @empty_union #steer.record on %[[NOTHING]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/5>, #flow.feature<@sae:2/res/3>]
%twice = flow.union %f, %f
%a = flow.graph <backward> from %f by @flow width 1 keep [#flow.keep<kind = res, similarity = 0.5>, #flow.keep<kind = mlp, similarity = 0.15>]
%other_a = flow.graph <backward> from %twice by @flow width 1 keep [#flow.keep<kind = mlp, similarity = 0.15>, #flow.keep<kind = res, similarity = 0.5>]
%b = flow.graph <forward> from %f by @flow width 1 keep []
%c = flow.graph <both> from %f by @flow width 1
%union_with_itself = flow.graph_union %a, %a
%empty = flow.graph_difference %a, %a
%union_with_nothing = flow.graph_union %empty, %a
%union = flow.graph_union %a, %b
%other_union = flow.graph_union %b, %other_a, %b
%union_of_a_union = flow.graph_union %union, %c
%intersection_with_itself = flow.graph_intersection %a, %other_a
%intersection = flow.graph_intersection %a, %b
%other_intersection = flow.graph_intersection %b, %intersection
%difference_with_nothing = flow.graph_difference %a, %empty
%difference_a = flow.graph_difference %c, %a
%difference = flow.graph_difference %difference_a, %b
%other_difference = flow.graph_difference %c, %union
%empty_intersection = flow.graph_intersection %empty, %b
%empty_union = flow.graph_union %empty, %empty_intersection
%on.0 = flow.part %a
steer.policy @a #steer.record on %on.0
%on.1 = flow.part %other_a
steer.policy @other_a #steer.record on %on.1
%on.2 = flow.part %union_with_itself
steer.policy @union_with_itself #steer.record on %on.2
%on.3 = flow.part %union_with_nothing
steer.policy @union_with_nothing #steer.record on %on.3
%on.4 = flow.part %union
steer.policy @union #steer.record on %on.4
%on.5 = flow.part %other_union
steer.policy @other_union #steer.record on %on.5
%on.6 = flow.part %union_of_a_union
steer.policy @union_of_a_union #steer.record on %on.6
%on.7 = flow.part %intersection_with_itself
steer.policy @intersection_with_itself #steer.record on %on.7
%on.8 = flow.part %intersection
steer.policy @intersection #steer.record on %on.8
%on.9 = flow.part %other_intersection
steer.policy @other_intersection #steer.record on %on.9
%on.10 = flow.part %difference_with_nothing
steer.policy @difference_with_nothing #steer.record on %on.10
%on.11 = flow.part %difference
steer.policy @difference #steer.record on %on.11
%on.12 = flow.part %other_difference
steer.policy @other_difference #steer.record on %on.12
%on.13 = flow.part %a sites [#fx.site_kind<mlp>, #fx.site_kind<res>]
steer.policy @sites #steer.record on %on.13
%on.14 = flow.part %empty
steer.policy @empty_difference #steer.record on %on.14
%on.15 = flow.part %empty_intersection
steer.policy @empty_intersection #steer.record on %on.15
%on.16 = flow.part %empty_union
steer.policy @empty_union #steer.record on %on.16
