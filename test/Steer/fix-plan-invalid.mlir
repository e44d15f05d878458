// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(steer-keep-plan{plan=calm},steer-fix-inputs{knobs=much=2,more=1})'
// What cannot be fixed.

// expected-error@below {{there is no plan 'calm'; the spec has one, two}}
module {
  steer.plan @one []
  steer.plan @two []
}

// -----

// expected-error@below {{expects one plan and one program, found 1 and 0; steer-keep-plan keeps one plan}}
module {
  steer.plan @calm []
}

// -----

%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error@below {{knob 'much' is fixed at 2, outside of its range, 0 to 1.5}}
steer.knob @much default 1.0 range 0.0 to 1.5
steer.policy @p #steer.add<#steer.constant<3.0>> on %f times @much
steer.plan @calm [@p]
fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@below {{knob 'much' is fixed, but no policy of plan 'calm' uses it}}
steer.knob @much default 1.0
steer.plan @calm []
fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
  fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
}

// -----

// expected-error@below {{there is no knob 'more'; the spec has much}}
module {
  %f = flow.select [#flow.feature<@sae:0/res/5>]
  steer.knob @much default 1.0
  steer.policy @p #steer.add<#steer.constant<3.0>> on %f times @much
  steer.plan @calm [@p]
  fx.program @main(%x: tensor<4xf32> = #fx.input<user_input>) {
    fx.return %x : tensor<4xf32> as [#fx.output<user_output>]
  }
}

// -----

// Tables look up what a plan does: there is nothing to fix in them.
%f = flow.select [#flow.feature<@sae:0/res/5>]
steer.knob @much default 1.0
steer.knob @more default 1.0
steer.policy @p #steer.add<#steer.constant<3.0>> on %f times @much
steer.policy @q #steer.add<#steer.constant<3.0>> on %f times @more
steer.plan @calm [@p, @q]
fx.program @main(%x: tensor<?x1x1xi64> = #fx.input<user_input>, %plan: tensor<?xi64> = #fx.input<user_input, role = plan>) {
  // expected-error@below {{uses the input 'plan', which a fixed program has not: steer-fix-inputs comes before steer-tabulate-plans}}
  %s = steer.slot %plan in [1] : tensor<?xi64>
  fx.return %s : tensor<?xi64> as [#fx.output<user_output>]
}
