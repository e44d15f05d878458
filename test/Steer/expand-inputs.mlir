// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --verify-diagnostics --steer-expand-policies | FileCheck %s
// The run-time inputs of a steered program, and what all sites share.

// Gates and knobs are made once, at the top, whoever uses them.
// CHECK-LABEL: fx.program @main
// CHECK: %prompt_length: tensor<?xi64> = #fx.input<user_input, role = prompt_length>,
// CHECK-NEXT: %plan: tensor<?xi64> = #fx.input<user_input, role = plan>,
// CHECK-NEXT: %knobs: tensor<?x2xf32> = #fx.input<user_input, role = knobs>) {
// CHECK-NEXT: %[[A:.*]] = steer.in_plans %plan [0, 1] : tensor<?xi64>
// CHECK-NEXT: %[[T:.*]] = steer.tokens %positions, %prompt_length <set = last>
// CHECK-NEXT: %[[G:.*]] = steer.all %[[A]], %[[T]] : tensor<?x1x1xi1>, tensor<?x?x1xi1>
// CHECK-NEXT: %[[K:.*]] = steer.knob_value %knobs 1 : tensor<?x2xf32>
// CHECK-NEXT: %[[B:.*]] = steer.in_plans %plan [1]
// CHECK-NEXT: %[[C:.*]] = steer.all %[[B]], %[[T]]
// CHECK-NEXT: %e = fx.call
// CHECK: steer.patch %e at <0/res>
// CHECK: steer.strength 2.000000e+00 times %[[K]] : tensor<?x1x1xf32> where %[[G]] : tensor<?x?x1xi1>
// CHECK: steer.set_to %{{.*}} [3.000000e+00] times %[[K]]
// CHECK: steer.delta %{{.*}} where %[[C]]
// CHECK: steer.patch %a at <1/res>
// CHECK: steer.strength 2.000000e+00 times %[[K]] : tensor<?x1x1xf32> where %[[G]]
// CHECK-NOT: steer.in_plans
// CHECK-NOT: steer.tokens
// CHECK-NOT: steer.knob_value
// CHECK: fx.return
// FIXTURE dictionaries
steer.knob @k default 1.0
steer.knob @l default 1.0
%f = flow.select [#flow.feature<@sae:0/res/5>, #flow.feature<@sae:1/res/5>]
%g = flow.select [#flow.feature<@sae:0/res/6>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f tokens <set = last> times @l
steer.policy @q #steer.set<3.0> on %g tokens <set = last> times @l
steer.plan @a [@p]
steer.plan @b [@p, @q]
// FIXTURE model

// -----

// A scope that means every token costs nothing: gate and addition are made a
// row, not a token.
// CHECK-LABEL: fx.program @main
// CHECK-NOT: %knobs
// CHECK: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK-NOT: steer.tokens
// CHECK: steer.strength 2.000000e+00 where %[[G]] : tensor<?x1x1xi1>
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f tokens <from = 0>
steer.plan @a [@p]
// FIXTURE model

// -----

// Static sizes broadcast as well.
// CHECK-LABEL: fx.program @main
// CHECK: %[[A:.*]] = steer.in_plans %plan [0] : tensor<2xi64>
// CHECK: %[[T:.*]] = steer.tokens {{.*}}
// CHECK: %[[G:.*]] = steer.all %[[A]], %[[T]] : tensor<2x1x1xi1>, tensor<2x6x1xi1>
// CHECK: %[[W:.*]] = steer.compare {{.*}}
// CHECK: steer.all %[[G]], %[[W]] : tensor<2x6x1xi1>, tensor<2x6x1xi1>
// CHECK: %[[V:.*]] = steer.all %[[A]], %{{.*}} : tensor<2x1x1xi1>, tensor<2x6x1xi1>
// CHECK: steer.strength 2.000000e+00 times %{{.*}} : tensor<2x1x1xf32> where %[[V]] : tensor<2x6x1xi1>
// FIXTURE dictionaries
steer.knob @k default 1.0
steer.knob @l default 1.0
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @p #steer.ablate on %f tokens <set = last> when #steer.when<feature = <@sae:0/res/3>, above = 0.5 : f64>
steer.policy @q #steer.add<#steer.constant<2.0>> on %f when #steer.when<feature = <@sae:0/res/3>, above = 0.5 : f64> times @k
steer.plan @a [@p, @q]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<2x6xi64> = #fx.input<user_input>, %positions: tensor<2x6xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<2x6xi64>) -> tensor<2x6x8xf32>
  %r0 = fx.site 0/res of %e : tensor<2x6x8xf32>
  %u = fx.call @aten.linear.default(input = %r0, weight = %w) : (tensor<2x6x8xf32>, tensor<8x8xf32>) -> tensor<2x6x8xf32>
  %n1 = fx.site 1/neuron of %u : tensor<2x6x8xf32>
  %d = fx.call @aten.linear.default(input = %n1, weight = %w) : (tensor<2x6x8xf32>, tensor<8x8xf32>) -> tensor<2x6x8xf32>
  %m1 = fx.site 1/mlp of %d : tensor<2x6x8xf32>
  %a = fx.call @aten.add.Tensor(self = %r0, other = %m1) : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %r1 = fx.site 1/res of %a : tensor<2x6x8xf32>
  %l = fx.call @aten.linear.default(input = %r1, weight = %w) : (tensor<2x6x8xf32>, tensor<8x8xf32>) -> tensor<2x6x8xf32>
  %r2 = fx.site 2/res of %l : tensor<2x6x8xf32>
  fx.return %r2 : tensor<2x6x8xf32> as [#fx.output<user_output>]
}

// -----

// Without plans nothing is steered, but the inputs are there.
// CHECK-LABEL: fx.program @main
// CHECK: %plan: tensor<?xi64>
// CHECK-NOT: steer.
// CHECK: fx.return
// FIXTURE dictionaries
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @p #steer.add<#steer.constant<2.0>> on %f
// expected-error @below {{there is no policy @q}}
steer.plan @a [@p, @q]
// FIXTURE model

// -----

// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{there is no knob @k}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f times @k
steer.plan @a [@p]
// FIXTURE model

// -----

// Also where no plan names it.
// FIXTURE dictionaries
%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{there is no knob @k}}
steer.policy @p #steer.add<#steer.constant<2.0>> on %f times @k
steer.plan @a []
// FIXTURE model

// -----

// Programs that cannot be steered.
// expected-error @below {{expected one program to steer, found 0}}
module {
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program cannot be steered: it needs the inputs `input_ids` and `positions`, both [batch, sequence] of int64, as `python -m weir export` makes them}}
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program cannot be steered}}
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program cannot be steered}}
fx.program @main(%input_ids: tensor<?x?xi32> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program has an input 'plan' already: it was steered before; start from the exported model}}
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program has an input 'prompt_length' already: it was steered before; start from the exported model}}
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>, %prompt_length: tensor<?xi64> = #fx.input<user_input>) {
  fx.return []
}

// -----

// FIXTURE dictionaries
// expected-error @below {{the program has an input 'knobs' already: it was steered before; start from the exported model}}
fx.program @main(%input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>, %knobs: tensor<?xi64> = #fx.input<user_input>) {
  fx.return []
}
