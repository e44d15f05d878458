// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --steer-expand-policies=count=true | FileCheck %s
// RUN: %fixtures | weir-opt --steer-expand-policies | FileCheck %s --check-prefix=WITHOUT
// Which tokens are edited: the coefficients of each policy, and the gate of what
// has none. A record edits nothing.

// WITHOUT-NOT: steer.count

// CHECK: %[[T:.*]] = steer.tokens %positions, %prompt_length <> :
// CHECK: steer.patch {{.*}} at <1/mlp> {
// CHECK: %[[D:.*]] = steer.delta
// CHECK: steer.count %[[D]] as ["s"] at <1/mlp> in %[[T]] : tensor<?x?x1xi1> : tensor<?x?x1xf32>
// CHECK-NEXT: steer.yield
// CHECK: steer.patch {{.*}} at <1/res> {
// CHECK-DAG: %[[D:.*]] = steer.delta
// CHECK-DAG: %[[A:.*]] = steer.strength
// CHECK-DAG: steer.project {{.*}} where %[[G:.*]] : tensor<?x1x1xi1>
// CHECK: steer.count %[[D]], %[[A]], %[[G]] as ["s", "push", "clear"] at <1/res> in %[[T]] : tensor<?x?x1xi1> : tensor<?x?x1xf32>, tensor<?x1x1xf32>, tensor<?x1x1xi1>
// CHECK-NEXT: steer.yield
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>, #flow.feature<@sae:1/mlp/2>]
%one = flow.select [#flow.feature<@sae:1/res/7>]
steer.policy @s #steer.set<3.0> on %f
steer.policy @push #steer.add<#steer.constant<2.0>> on %one
steer.policy @clear #steer.project_out on %one
steer.policy @rec #steer.record on %one
steer.plan @a [@s, @push, @clear, @rec]
// FIXTURE model
