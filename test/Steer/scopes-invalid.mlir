// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// What scopes and the operations made of them may not say.

// expected-error @below {{what opens and what closes belong together}}
#m = #steer.markers<opens = [5]>

// -----

// expected-error @below {{expects markers, which are texts or ids of 64 bits from 0 on, got []}}
#m = #steer.markers<after = []>

// -----

// expected-error @below {{expects markers, which are texts or ids of 64 bits from 0 on, got [5 : i32]}}
#m = #steer.markers<until = [5 : i32]>

// -----

// expected-error @below {{expects markers, which are texts or ids of 64 bits from 0 on, got ["a", ""]}}
#m = #steer.markers<until = ["a", ""]>

// -----

// expected-error @below {{expects markers, which are texts or ids of 64 bits from 0 on, got [-1]}}
#m = #steer.markers<until = [-1]>

// -----

// expected-error @below {{a marker cannot open and close}}
#m = #steer.markers<opens = [5, 6], closes = [6]>

// -----

// expected-error @below {{no token is behind a marker and in front of it}}
#m = #steer.markers<after = [5], until = [5]>

// -----

// expected-error @below {{no token is behind a marker that opens and in front of all of them}}
#m = #steer.markers<until = [7, 5, 6], opens = [5, 6], closes = [8]>

// -----

// One that opens is enough.
#m = #steer.markers<until = [7, 5], opens = [5, 6], closes = [8]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a ramp goes over at least one token, got -1}}
steer.policy @p #steer.ablate on %f tokens <over = -1>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a decay halves after more than no token}}
steer.policy @p #steer.ablate on %f tokens <half = 0.0>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no edit that a token could get a share of: its action is 'project_out'}}
steer.policy @p #steer.project_out on %f tokens <half = 8.0>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no edit that a token could get a share of: its action is 'record'}}
steer.policy @p #steer.record on %f tokens <over = 8>

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{goes by positions: markers are those of 'steer.marked', shares those of 'steer.ramp'}}
  %g = steer.tokens %positions, %length <half = 8.0> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  // expected-error @below {{has a marker that is text; 'steer-resolve-markers' makes ids of them}}
  %g = steer.marked %positions in %kept <after = ["a"]> : tensor<?x?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %ids: tensor<?x4xi64> = #fx.input<user_input>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  // expected-error @below {{expects a position for each id, got ids of type 'tensor<?x4xi64>' and positions of type 'tensor<?x?xi64>'}}
  %h = steer.history %ids at %positions in %kept : tensor<?x4xi64>, tensor<?x?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x1xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  // expected-error @below {{has no room for a token in 'tensor<3x1xi64>'}}
  %h = steer.history %positions at %positions in %kept : tensor<?x?xi64>, tensor<?x?xi64>, tensor<3x1xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<4x?xi64> = #fx.input<user_input>) {
  // expected-error @below {{has 4 rows, and room for 3}}
  %h = steer.history %positions at %positions in %kept : tensor<4x?xi64>, tensor<4x?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{has a scope that gives every token the whole edit}}
  %r = steer.ramp %positions, %length <set = generated> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{begins at a marker and has no history to look for it}}
  %r = steer.ramp %positions, %length <markers = <after = [5]>, over = 8> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %length: tensor<?xi64> = #fx.input<user_input>) {
  // expected-error @below {{has the history of rows for tokens that are flattened}}
  %r = steer.ramp %length, %length in %kept <markers = <after = [5]>, over = 8> : tensor<?xi64>, tensor<?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%a: tensor<2x1x1xf32> = #fx.input<user_input>, %b: tensor<3x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{joins 'tensor<2x1x1xf32>' and 'tensor<3x1x1xf32>', which cannot be broadcast together}}
  %p = steer.product %a, %b : tensor<2x1x1xf32>, tensor<3x1x1xf32>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<?x?xi64> = #fx.input<user_input>) {
  // expected-error @below {{looks for no marker}}
  %g = steer.row_marked %positions in %kept : tensor<?x?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<?x?xi64> = #fx.input<user_input>, %ids: tensor<?x1x2xi64> = #fx.input<user_input>) {
  // expected-error @below {{has what opens or what closes without the other}}
  %g = steer.row_marked %positions in %kept closes %ids : tensor<?x1x2xi64> : tensor<?x?xi64>, tensor<3x65xi64>
  fx.return []
}

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %at: tensor<?x1x1xi64> = #fx.input<user_input>) {
  // expected-error @below {{gives every token the whole edit}}
  %r = steer.row_ramp %positions, %length from %at : tensor<?x1x1xi64> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %at: tensor<?x1x1xi64> = #fx.input<user_input>, %n: tensor<?x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{begins at a marker and has no history to look for it}}
  %r = steer.row_ramp %positions, %length from %at : tensor<?x1x1xi64> after %at : tensor<?x1x1xi64> half %n : tensor<?x1x1xf32> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%kept: tensor<3x65xi64> = #fx.input<buffer "zeros"::"t", transient>, %positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %at: tensor<?x1x1xi64> = #fx.input<user_input>, %n: tensor<?x1x1xf32> = #fx.input<user_input>) {
  // expected-error @below {{has a history and no marker to look for}}
  %r = steer.row_ramp %positions, %length in %kept : tensor<3x65xi64> from %at : tensor<?x1x1xi64> half %n : tensor<?x1x1xf32> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}

// -----

fx.program @main(%positions: tensor<?x?xi64> = #fx.input<user_input>, %length: tensor<?xi64> = #fx.input<user_input>, %at: tensor<?x1x1xi64> = #fx.input<user_input>, %n: tensor<?x1x2xf32> = #fx.input<user_input>) {
  // expected-error @below {{has 2 numbers a row}}
  %r = steer.row_ramp %positions, %length from %at : tensor<?x1x1xi64> over %n : tensor<?x1x2xf32> : tensor<?x?xi64>, tensor<?xi64>
  fx.return []
}
