// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings=base=%t/flow --flow-match="base=%t/flow cache=%t/cache" --flow-follow=cache=%t/cache | FileCheck %s
// Links become features, the most similar first. In these dictionaries 0/res/I,
// 1/res/I+1 and 2/res/I+3 (modulo 6) belong together.

// CHECK-LABEL: flow.matching @flow
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>]
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/mlp/0>]
// A similarity of 0 or less is none.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/2>]
// Equal ones by index, and no more than were asked for.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/res/0>]
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@sae:2/res/3>]
// Other selectors stay where they are.
// CHECK: %[[A:.*]] = flow.select [#flow.feature<@sae:2/res/5>]
// CHECK: %[[B:.*]] = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:2/mlp/0>]
// CHECK: %[[C:.*]] = flow.select [#flow.antagonists<<@sae:1/res/1>, 1>]
// CHECK: %[[D:.*]] = flow.select [#flow.feature<@sae:2/res/1>]
// CHECK: flow.list %[[A]], %[[B]], %[[C]], %[[D]]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%one.1 = flow.select [#flow.feature<@sae:2/res/3>]
%one = flow.follow <predecessors> of %one.1 by @flow most 1
%all.1 = flow.select [#flow.feature<@sae:2/res/3>]
%all = flow.follow <predecessors> of %all.1 by @flow most 9
%positive.1 = flow.select [#flow.feature<@sae:2/res/4>]
%positive = flow.follow <predecessors> of %positive.1 by @flow most 9
%after.1 = flow.select [#flow.feature<@sae:2/mlp/0>]
%after = flow.follow <successors> of %after.1 by @flow most 9
%two.1 = flow.select [#flow.feature<@sae:2/mlp/0>]
%two = flow.follow <successors> of %two.1 by @flow most 2
%mixed.1 = flow.select [#flow.feature<@sae:2/res/5>]
%mixed.2 = flow.select [#flow.feature<@sae:2/res/3>]
%mixed.3 = flow.follow <predecessors> of %mixed.2 by @flow most 2
%mixed.4 = flow.select [#flow.antagonists<<@sae:1/res/1>, 1>]
%mixed.5 = flow.select [#flow.feature<@sae:1/res/5>]
%mixed.6 = flow.follow <successors> of %mixed.5 by @flow most 1
%mixed = flow.list %mixed.1, %mixed.3, %mixed.4, %mixed.6

// -----

// Several matches of a feature: the most similar first.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/1>, #flow.feature<@sae:1/res/4>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.top_k<3, cosine> over <decoder>
%three.1 = flow.select [#flow.feature<@sae:2/res/3>]
%three = flow.follow <predecessors> of %three.1 by @flow most 9

// -----

// Assignments lead forward, and a squared error is never positive.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/2>]
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/res/4>]
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>]
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:1/res/2>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
%forward.1 = flow.select [#flow.feature<@sae:0/res/1>]
%forward.2 = flow.follow <successors> of %forward.1 by @permutation most 1
%forward.3 = flow.select [#flow.feature<@sae:1/res/2>]
%forward.4 = flow.follow <successors> of %forward.3 by @permutation most 1
%forward = flow.list %forward.2, %forward.4
%back.1 = flow.select [#flow.feature<@sae:1/res/2>]
%back.2 = flow.follow <predecessors> of %back.1 by @permutation most 1
%back.3 = flow.select [#flow.feature<@sae:2/res/4>]
%back.4 = flow.follow <predecessors> of %back.3 by @permutation most 1
%back = flow.list %back.2, %back.4

// -----

// Fewer features than are looked up: some are left free.
// CHECK: %{{.*}} = flow.select [#flow.feature<@sae:2/mlp/1>]
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<mlp>] layers 1 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.assignment<mse> over <decoder>
%mlp.1 = flow.select [#flow.feature<@sae:1/mlp/0>]
%mlp = flow.follow <successors> of %mlp.1 by @permutation most 1

// -----

// Of several features one after the other, each once; and from what another op
// found. 0/res/I, 1/res/I+1 and 2/res/I+3 belong together.
// CHECK-LABEL: flow.matching @chain
// CHECK: flow.select [#flow.feature<@sae:1/res/2>, #flow.feature<@sae:1/res/1>]{{$}}
// CHECK: flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/0>, #flow.feature<@sae:1/res/2>]{{$}}
// CHECK: flow.select [#flow.feature<@sae:1/res/1>] had_repeats
// CHECK-NOT: flow.follow
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @chain of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
%0 = flow.select [#flow.feature<@sae:2/res/4>, #flow.feature<@sae:2/res/3>]
%1 = flow.follow <predecessors> of %0 by @chain most 1
%2 = flow.select [#flow.feature<@sae:2/res/4>]
%3 = flow.list %1, %2
%4 = flow.follow <predecessors> of %3 by @chain most 1
%5 = flow.select [#flow.feature<@sae:2/res/3>, #flow.feature<@sae:2/res/3>]
%6 = flow.follow <predecessors> of %5 by @chain most 1
