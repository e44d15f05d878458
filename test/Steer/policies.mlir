// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// Every action, schedule, scope and condition, printed and read again.

steer.knob @knob default 1.0

%f = flow.select [#flow.feature<@sae:1/res/1>]
%g = flow.select [#flow.feature<@sae:1/res/2>]
// CHECK: @constant #steer.add<#steer.constant<8.000000e+00 : f64>> on %{{.*}}{{$}}
steer.policy @constant #steer.add<#steer.constant<8.0>> on %f
// CHECK: @unit #steer.add<#steer.constant<8.000000e+00 : f64> normalize = true> on %{{.*}}
steer.policy @unit #steer.add<#steer.constant<8.0> normalize = true> on %f
// CHECK: @linear #steer.add<#steer.linear<8.000000e+00 : f64>> on %{{.*}} layers <own>
steer.policy @linear #steer.add<#steer.linear<8.0>> on %f layers <own>
// CHECK: @linear_to #steer.add<#steer.linear<8.000000e+00 : f64, 2.000000e+00 : f64>> on %{{.*}} layers <cumulative>
steer.policy @linear_to #steer.add<#steer.linear<8.0, 2.0>> on %f layers <cumulative>
// CHECK: @nowhere #steer.project_out on %{{.*}} layers <all>
steer.policy @nowhere #steer.project_out on %f layers <all>
// CHECK: @exponential #steer.add<#steer.exponential<8.000000e+00 : f64, -5.000000e-02 : f64>> on %{{.*}} layers <range, 8, 12>
steer.policy @exponential #steer.add<#steer.exponential<8.0, -0.05>> on %f layers <range, 8, 12>
// CHECK: @gaussian #steer.add<#steer.gaussian<8.000000e+00 : f64, 1.000000e+01 : f64, 2.500000e+00 : f64>> on %{{.*}}
steer.policy @gaussian #steer.add<#steer.gaussian<8.0, 10.0, 2.5>> on %f
// CHECK: @set #steer.set<3.000000e+00 : f64> on %{{.*}} times @knob only_active
steer.policy @set #steer.set<3.0> on %f times @knob only_active
// CHECK: @scale #steer.scale<-1.000000e+00 : f64> on %{{.*}} times @knob preserve_norm
steer.policy @scale #steer.scale<-1.0> on %f times @knob preserve_norm
// CHECK: @clamp #steer.clamp<min = 5.000000e-01 : f64, max = 2.000000e+00 : f64> on %{{.*}}
steer.policy @clamp #steer.clamp<min = 0.5 : f64, max = 2.0 : f64> on %f
// CHECK: @floor #steer.clamp<min = 5.000000e-01 : f64> on %{{.*}}
steer.policy @floor #steer.clamp<min = 0.5 : f64> on %f
// CHECK: @ceiling #steer.clamp<max = 2.000000e+00 : f64> on %{{.*}}
steer.policy @ceiling #steer.clamp<max = 2.0 : f64> on %f
// CHECK: @ablate #steer.ablate on %{{.*}} only_active preserve_norm
steer.policy @ablate #steer.ablate on %f only_active preserve_norm
// CHECK: @transfer #steer.transfer on %{{.*}} to %{{.*}} preserve_norm
steer.policy @transfer #steer.transfer on %f to %g preserve_norm
// CHECK: @project #steer.project_out on %{{.*}}
steer.policy @project #steer.project_out on %f
// CHECK: @record #steer.record on %{{.*}}
steer.policy @record #steer.record on %f
// CHECK: @behind #steer.record<after = true> on %{{.*}}
steer.policy @behind #steer.record<after = true> on %f
// CHECK: @gate #steer.record_gate<@record> on %{{.*}}
steer.policy @gate #steer.record_gate<@record> on %f
// CHECK: @value #steer.record_value<[<3/res>]> on %{{.*}}
steer.policy @value #steer.record_value<[<3/res>]> on %f
// CHECK: @left #steer.record_value<[<0/mlp>, <3/res>] after = true> on %{{.*}}
steer.policy @left #steer.record_value<[<0/mlp>, <3/res>] after = true> on %f

// CHECK: @all #steer.ablate on %{{.*}} tokens <>
steer.policy @all #steer.ablate on %f tokens <>
// CHECK: @prompt #steer.ablate on %{{.*}} tokens <set = prompt>
steer.policy @prompt #steer.ablate on %f tokens <set = prompt>
// CHECK: @generated #steer.ablate on %{{.*}} tokens <set = generated>
steer.policy @generated #steer.ablate on %f tokens <set = generated>
// CHECK: @last #steer.ablate on %{{.*}} tokens <set = last>
steer.policy @last #steer.ablate on %f tokens <set = last>
// CHECK: @some #steer.ablate on %{{.*}} tokens <positions = [3, 1], from = 1, to = 9, skip_first = 2>
steer.policy @some #steer.ablate on %f tokens <positions = [3, 1], from = 1, to = 9, skip_first = 2>

// CHECK: @above #steer.ablate on %{{.*}} when #steer.when<feature = <@sae:9/res/77>, above = 5.000000e-01 : f64>
steer.policy @above #steer.ablate on %f when #steer.when<feature = <@sae:9/res/77>, above = 0.5 : f64>
// CHECK: @nested #steer.ablate on %{{.*}} when #steer.any_of<[#steer.when<feature = <@sae:9/res/77>, below = 5.000000e-01 : f64>, #steer.all_of<[#steer.when<feature = <@sae:9/mlp/7>, above = 0.000000e+00 : f64, below = 1.000000e+00 : f64>]>]>
steer.policy @nested #steer.ablate on %f when #steer.any_of<[#steer.when<feature = <@sae:9/res/77>, below = 0.5 : f64>, #steer.all_of<[#steer.when<feature = <@sae:9/mlp/7>, above = 0.0 : f64, below = 1.0 : f64>]>]>

// CHECK: @watching #steer.ablate on %{{.*}} watching %{{.*}}, %{{.*}} when #steer.any_of<[#steer.watch<features = 0, all = true, above = 5.000000e-01 : f64>, #steer.watch<features = 1, above = 1.000000e+00 : f64, below = 2.000000e+00 : f64>]>
steer.policy @watching #steer.ablate on %f watching %f, %g when #steer.any_of<[#steer.watch<features = 0, all = true, above = 0.5 : f64>, #steer.watch<features = 1, above = 1.0 : f64, below = 2.0 : f64>]>
