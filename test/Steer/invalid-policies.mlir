// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file
// What policies, plans and knobs may not say.

// expected-error @below {{has an unknown site 'resid'}}
steer.model "m.pt2" sites {resid = "h.{layer}"}

// -----

// expected-error @below {{expects a module path for site 'res'}}
steer.model "m.pt2" sites {res = 3}

// -----

// expected-error @below {{has an empty range}}
steer.knob @k default 1.0 range 2.0 to 0.0

// -----

// expected-error @below {{has a default outside its range}}
steer.knob @k default 3.0 range 0.0 to 2.0

// -----

// expected-error @below {{has a default outside its range}}
steer.knob @k default -1.0 range 0.0 to 2.0

// -----

// expected-error @below {{has one end of a range only}}
"steer.knob"() <{sym_name = "k", default_value = 1.0 : f64, min = 0.0 : f64}> : () -> ()

// -----

// expected-error @below {{has one end of a range only}}
"steer.knob"() <{sym_name = "k", default_value = 1.0 : f64, max = 0.0 : f64}> : () -> ()

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{cannot write 'set' at other layers: it needs the features' activations, which live at their own}}
steer.policy @p #steer.set<1.0> on %f layers <cumulative>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{cannot write 'project_out' at other layers}}
steer.policy @p #steer.project_out on %f layers <range, 1, 2>

// -----

%f = flow.select [#flow.feature<@sae:0/res/5>]
// expected-error @below {{cannot write 'add' at every value of the residual stream}}
steer.policy @p #steer.add<#steer.constant<1.0>> on %f layers <all>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{takes only_active with an action that edits features one by one, not with 'add'}}
steer.policy @p #steer.add<#steer.constant<1.0>> on %f only_active

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
%g = flow.select [#flow.feature<@sae:1/res/2>]
// expected-error @below {{takes only_active with an action that edits features one by one, not with 'transfer'}}
steer.policy @p #steer.transfer on %f to %g only_active

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no number that a knob could multiply: its action is 'clamp'}}
steer.policy @p #steer.clamp<min = 1.0 : f64> on %f times @k

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no number that a knob could multiply: its action is 'ablate'}}
steer.policy @p #steer.ablate on %f times @k

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
%g = flow.select [#flow.feature<@sae:1/res/2>]
// expected-error @below {{has no number that a knob could multiply: its action is 'transfer'}}
steer.policy @p #steer.transfer on %f to %g times @k

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no number that a knob could multiply: its action is 'project_out'}}
steer.policy @p #steer.project_out on %f times @k

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no number that a knob could multiply: its action is 'record'}}
steer.policy @p #steer.record on %f times @k

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{takes preserve_norm with an action that changes the value, not with 'record'}}
steer.policy @p #steer.record on %f preserve_norm

// -----

// expected-error @below {{names @p twice}}
steer.plan @plan [@p, @q, @p]

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{the width of a gaussian schedule is above 0}}
// expected-error @below {{failed to parse Steer_AddAttr parameter}}
steer.policy @p #steer.add<#steer.gaussian<1.0, 3.0, 0.0>> on %f

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{clamp takes a min, a max or both}}
steer.policy @p #steer.clamp<> on %f

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{the min of a clamp is above its max}}
steer.policy @p #steer.clamp<min = 2.0 : f64, max = 1.0 : f64> on %f

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects layers in ascending order from 0 on, got 3 to 2}}
steer.policy @p #steer.add<#steer.constant<1.0>> on %f layers <range, 3, 2>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects layers in ascending order from 0 on, got -1 to -1}}
steer.policy @p #steer.add<#steer.constant<1.0>> on %f layers <range>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{only a range says which layers}}
steer.policy @p #steer.add<#steer.constant<1.0>> on %f layers <own, 1, 2>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects at least one position}}
steer.policy @p #steer.ablate on %f tokens <positions = []>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{positions are 0 or more}}
steer.policy @p #steer.ablate on %f tokens <positions = [1, -1]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{positions are 0 or more}}
steer.policy @p #steer.ablate on %f tokens <from = -2>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{positions are 0 or more}}
steer.policy @p #steer.ablate on %f tokens <skip_first = -1>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects positions in ascending order, got 5 to 4}}
steer.policy @p #steer.ablate on %f tokens <from = 5, to = 4>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{skipping the first 5 leaves no position up to 4}}
steer.policy @p #steer.ablate on %f tokens <to = 4, skip_first = 5>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a condition says above, below or both}}
steer.policy @p #steer.ablate on %f when #steer.when<feature = <@sae:1/res/2>>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects at least one condition}}
steer.policy @p #steer.ablate on %f when #steer.any_of<[]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects at least one condition}}
steer.policy @p #steer.ablate on %f when #steer.all_of<[]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects conditions, got 3 : i64}}
steer.policy @p #steer.ablate on %f when #steer.all_of<[3]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has no features to give to, which a 'transfer' takes}}
steer.policy @p #steer.transfer on %f

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has features to give to, which no 'ablate' takes}}
steer.policy @p #steer.ablate on %f to %f

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{has a condition on list 1 of 1 that it watches}}
steer.policy @p #steer.ablate on %f watching %f when #steer.any_of<[#steer.watch<features = 0, above = 0.5>, #steer.watch<features = 1, above = 0.5>]>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{watches list 1, on which it has no condition}}
steer.policy @p #steer.ablate on %f watching %f, %f when #steer.watch<features = 0, above = 0.5>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{expects a number to be above or below}}
steer.policy @p #steer.ablate on %f watching %f when #steer.watch<features = 0>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{a list is 0 or more, got -1}}
steer.policy @p #steer.ablate on %f watching %f when #steer.watch<features = -1, above = 0.5>
