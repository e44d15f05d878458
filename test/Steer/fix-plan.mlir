// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --steer-keep-plan=plan=calm --split-input-file | FileCheck %s --check-prefix=KEEP
// RUN: weir-opt %s '--steer-keep-plan=plan=calm' '--steer-expand-policies' '--steer-fix-inputs=knobs=much=2' --split-input-file | FileCheck %s --check-prefix=FIX
// RUN: weir-opt %s '--steer-keep-plan=plan=calm' '--steer-expand-policies' '--steer-fix-inputs=knobs=much=2' --canonicalize --split-input-file | FileCheck %s --check-prefix=FOLD
// RUN: weir-opt %s '--steer-keep-plan=plan=calm' '--steer-expand-policies' '--steer-fix-inputs' --split-input-file | FileCheck %s --check-prefix=DEFAULT
// One plan for every row: what only other plans need goes, and gates and knobs
// are known when the program is compiled.

// What the other plan does is gone with its features, whose dictionary nobody
// has to open.
// KEEP: steer.knob @much
// KEEP: flow.select [#flow.feature<@sae:0/res/5>]
// KEEP-NOT: @sae:1/res
// KEEP: steer.policy @quiet
// KEEP-NOT: steer.policy @loud
// KEEP: steer.policy @more
// KEEP: steer.plan @calm [@quiet, @more]
// KEEP-NOT: steer.plan

// FIX: steer.plan @calm [@quiet, @more] fixed {much = 2.000000e+00 : f32}
// FIX: fx.program @main
// FIX: %prompt_length: tensor<?xi64> = #fx.input<user_input, role = prompt_length>)
// FIX-NOT: %plan
// FIX-NOT: %knobs
// FIX: steer.constant true -> tensor<?x1x1xi1>
// FIX: steer.constant 2.000000e+00 : f32 -> tensor<?x1x1xf32>
// DEFAULT: steer.plan @calm [@quiet, @more] fixed {much = 1.500000e+00 : f32}

// The gate of the plan is no gate any more, the scope of tokens stays; the knob is
// a part of the strength.
// FOLD: fx.program @main
// FOLD-NOT: steer.constant
// FOLD: %[[T:.*]] = steer.tokens %positions, %prompt_length <set = last>
// FOLD-NOT: steer.all
// FOLD: steer.patch
// FOLD: steer.set_to
// FOLD: %[[D:.*]] = steer.delta %{{.*}} to %{{.*}} where %[[T]] : tensor<?x?x1xi1>
// FOLD: %[[S:.*]] = steer.strength 6.000000e+00{{$}}
// FOLD: steer.write %{{.*}}, %[[D]], %[[S]] along {{.*}}, tensor<1xf32>
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
steer.knob @much default 1.5 range 0.0 to 4.0
steer.knob @other default 1.0
%f = flow.select [#flow.feature<@sae:0/res/5>]
%g = flow.select [#flow.feature<@sae:1/res/6>]
steer.policy @quiet #steer.ablate on %f tokens <set = last>
steer.policy @loud #steer.scale<3.0> on %g times @other
steer.policy @more #steer.add<#steer.constant<3.0>> on %f times @much
steer.plan @noise [@loud]
steer.plan @calm [@quiet, @more]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %r0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}

// -----

// A policy whose gate is recorded stays, although the plan does not have it: its
// gate never holds.
// KEEP: steer.policy @elsewhere
// KEEP: steer.policy @watch
// KEEP: steer.plan @calm [@watch, @more]
// FOLD: %[[N:.*]] = steer.constant false -> tensor<?x?x1xi1>
// FOLD: steer.record_gate %[[N]] of @elsewhere as "watch" where %{{.*}} : tensor<?x?x1xi1>
// FIX: steer.constant false
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu>
steer.knob @much default 1.5
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @elsewhere #steer.ablate on %f
steer.policy @more #steer.add<#steer.constant<3.0>> on %f times @much
steer.policy @watch #steer.record_gate<@elsewhere> on %f
steer.plan @noise [@elsewhere]
steer.plan @calm [@watch, @more]
fx.program @main(%w: tensor<8x8xf32> = #fx.input<parameter "model"::"w">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  %e = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) : (tensor<8x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %r0 = fx.site 0/res of %e : tensor<?x?x8xf32>
  fx.return %r0 : tensor<?x?x8xf32> as [#fx.output<user_output>]
}
