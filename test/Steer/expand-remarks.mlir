// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --steer-expand-policies --remark-format=emitRemark --remarks-filter='steer' 2>&1 | FileCheck %s
// A policy that no plan names is left out, and said to be.

// CHECK: remark: [Missed] UnusedPolicy | Category:steer | Remark="no plan names policy 'unused'"
// CHECK-NOT: remark
// CHECK-LABEL: fx.program @main
// CHECK: steer.strength 2.000000e+00
// CHECK-NOT: steer.strength
// CHECK: fx.return
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:1/res/5>]
steer.policy @used #steer.add<#steer.constant<2.0>> on %f
steer.policy @unused #steer.add<#steer.constant<3.0>> on %f
steer.plan @a [@used]
// FIXTURE model
