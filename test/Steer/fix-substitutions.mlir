// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt '--steer-keep-plan=plan=short' --steer-expand-policies --steer-fix-inputs --canonicalize '--weir-lower-to-aten=fixed' | FileCheck %s --implicit-check-not='= steer.' --implicit-check-not='= fx.site'
// RUN: %fixtures | weir-opt '--steer-keep-plan=plan=some' --steer-expand-policies --steer-fix-inputs --canonicalize '--weir-lower-to-aten=fixed' | FileCheck %s --check-prefix=SOME
// RUN: %fixtures | weir-opt --steer-expand-policies --canonicalize --weir-lower-to-aten | FileCheck %s --check-prefix=BOTH
// In a fixed program the block that a plan replaces is gone: no operation, no
// weight and no buffer of it is left.

// The plan is no input, and neither are the weights and the cache of layer 1.
// CHECK-LABEL: fx.program @main(
// CHECK-NEXT: %emb: tensor<4x4xf32> = #fx.input<parameter "model"::"emb">,
// CHECK-NEXT: %w0: tensor<4x4xf32> = #fx.input<parameter "model"::"w0">,
// CHECK-NEXT: %w2: tensor<4x4xf32> = #fx.input<parameter "model"::"w2">,
// CHECK-NEXT: %k0: tensor<4x4xf32> = #fx.input<buffer "model"::"k0">,
// CHECK-NEXT: %k2: tensor<4x4xf32> = #fx.input<buffer "model"::"k2">,
// CHECK-NEXT: %input_ids: tensor<?x?xi64> = #fx.input<user_input, role = input_ids>,
// CHECK-NEXT: %positions: tensor<?x?xi64> = #fx.input<user_input, role = positions>)
// CHECK-SAME: edited = [#fx.edited<res, 1>]
// CHECK-DAG: fx.constant #flow.rows<encoder of @sae.res.0[]> -> tensor<6x4xf32>
// CHECK-DAG: fx.constant #flow.carried<@sae.res.0 -> @sae.res.1 by <"sha256:11{{1*}}"> fold = decoder_norm> -> tensor<6x4xf32>
// CHECK-DAG: fx.constant #flow.rows<decoder_bias of @sae.res.1[]> -> tensor<4xf32>
// CHECK: fx.call @aten.copy_.default(self = %k0
// CHECK: %y0 = fx.call @aten.add.Tensor
// CHECK: %[[Z:.*]] = fx.call pure @aten.linear.default(input: %y0
// CHECK: %[[F:.*]] = fx.call pure @aten.relu.default(self: %[[Z]])
// CHECK: %[[M:.*]] = fx.call pure @aten.matmul.default(self: %[[F]]
// CHECK: %[[X:.*]] = fx.call pure @aten.add.Tensor(self: %[[M]]
// CHECK-NOT: %k1
// CHECK: fx.call @aten.copy_.default(self = %k2
// CHECK: fx.call @aten.linear.default(input = %[[X]], weight = %k2)

// At some tokens only: the others, and the keys and values of all, need the block.
// SOME-LABEL: fx.program @main(
// SOME: %w1: tensor<4x4xf32>
// SOME: %k1: tensor<4x4xf32>
// SOME: %prompt_length
// SOME: fx.call pure @aten.where.self

// By row and plan both are computed.
// BOTH-LABEL: fx.program @main(
// BOTH: %plan: tensor<?xi64>
// BOTH: fx.call @aten.linear.default(input = %y0, weight = %k1)
// BOTH: fx.call pure @aten.where.self(condition: %{{.*}}, self: %{{.*}}, other: %y1)
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
flow.bridge @pruned.bridge of @sae from <0/res> to <1/res> by @p through %0 : !flow.map<6 -> 6>
%none = flow.select []
steer.policy @pruned #steer.substitute<1 to 1 by @pruned.bridge> on %none
steer.policy @late #steer.substitute<1 to 1> on %none tokens <set = generated>
steer.plan @some [@late]
steer.plan @short [@pruned]
// FIXTURE cached-model
