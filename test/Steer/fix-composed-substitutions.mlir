// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt '--steer-keep-plan=plan=short' --steer-expand-policies --steer-fix-inputs --canonicalize '--weir-lower-to-aten=fixed' | FileCheck %s --implicit-check-not='= steer.' --implicit-check-not='= fx.site' --implicit-check-not=w1 --implicit-check-not=k1 --implicit-check-not=w2 --implicit-check-not=k2
// Two layers that are replaced together by permutations one after the other: in
// a fixed program nothing of either is left, and features go on by the composed map.

// CHECK-LABEL: fx.program @main(
// CHECK-NEXT: %emb: tensor<4x4xf32> = #fx.input<parameter "model"::"emb">,
// CHECK-NEXT: %w0: tensor<4x4xf32> = #fx.input<parameter "model"::"w0">,
// CHECK-NEXT: %k0: tensor<4x4xf32> = #fx.input<buffer "model"::"k0">,
// CHECK-NEXT: %input_ids: tensor<?x?xi64> = #fx.input<user_input, role = input_ids>,
// CHECK-NEXT: %positions: tensor<?x?xi64> = #fx.input<user_input, role = positions>)
// CHECK-SAME: edited = [#fx.edited<res, 2>]
// CHECK-DAG: %[[BIAS:.*]] = fx.constant #flow.rows<decoder_bias of @sae.res.2[]> -> tensor<4xf32>
// CHECK-DAG: %[[ROWS:.*]] = fx.constant #flow.carried<@sae.res.0 -> @sae.res.2 by <"sha256:33{{3*}}"> fold = decoder_norm> -> tensor<6x4xf32>
// CHECK-DAG: fx.constant #flow.rows<encoder of @sae.res.0[]> -> tensor<6x4xf32>
// CHECK: fx.call @aten.copy_.default(self = %k0
// CHECK: %y0 = fx.call @aten.add.Tensor
// CHECK-NEXT: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %y0
// CHECK-NEXT: %[[F:.*]] = fx.call pure @aten.relu.default(self: %[[Z]])
// CHECK-NEXT: %[[M:.*]] = fx.call pure @aten.matmul.default(self: %[[F]], other: %[[ROWS]])
// CHECK-NEXT: %[[X:.*]] = fx.call pure @aten.add.Tensor(self: %[[M]], other: %[[BIAS]])
// CHECK-NEXT: fx.return %[[X]]

// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%1 = flow.permutation @sae.res.1 -> @sae.res.2 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:2222222222222222222222222222222222222222222222222222222222222222"> : !flow.map<6 -> 6>
%2 = flow.compose %0, %1 result <"sha256:3333333333333333333333333333333333333333333333333333333333333333"> : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
flow.bridge @pruned.bridge of @sae from <0/res> to <2/res> by @p through %2 : !flow.map<6 -> 6>
%none = flow.select []
steer.policy @pruned #steer.substitute<1 to 2 by @pruned.bridge> on %none
steer.plan @short [@pruned]
// FIXTURE cached-model
