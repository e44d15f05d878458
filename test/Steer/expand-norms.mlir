// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// The norm of a token comes last, against the value before any edit.

// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[O:.*]] = steer.in_plans %plan [0, 1]
// CHECK: steer.patch %a at <1/res> {
// CHECK-NEXT: ^bb0(%[[H:.*]]: tensor
// CHECK: %[[W:.*]] = steer.write %[[H]]
// CHECK: %[[P:.*]] = steer.project %[[W]] {{.*}} where %[[O]]
// CHECK: %[[R:.*]] = steer.rescale %[[P]] like %[[H]] where %[[G]] : tensor<?x1x1xi1>
// CHECK: steer.yield %[[R]]
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f preserve_norm
steer.policy @q #steer.project_out on %f
steer.plan @a [@p, @q]
steer.plan @b [@q]
// FIXTURE model

// -----

// Several policies that keep the norm: where any of them holds, once.
// CHECK-LABEL: fx.program @main
// CHECK-DAG: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK-DAG: %[[T:.*]] = steer.all %[[G]], %{{.*}} : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.patch
// CHECK: %[[ANY:.*]] = steer.any %[[G]], %[[T]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK: steer.rescale %{{.*}} where %[[ANY]] : tensor<?x?x1xi1>
// CHECK-NOT: steer.rescale
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/6>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f preserve_norm
steer.policy @q #steer.ablate on %g tokens <set = last> preserve_norm
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// Without the word nothing is rescaled.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: steer.rescale
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
steer.plan @a [@p]
// FIXTURE model
