// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/../Flow/Inputs/dictionaries.py %t
// RUN: weir-opt %s '--weir-steer=base=%t sites=res=b.{layer},mlp=b.{layer}.ff' | FileCheck %s --check-prefix=STEER
// RUN: weir-opt %s '--weir-steer=base=%t sites=res=b.{layer},mlp=b.{layer}.ff' --weir-lower-to-aten | FileCheck %s --check-prefix=ATEN --implicit-check-not='= fx.site' --implicit-check-not='= steer.'
// RUN: weir-opt %s '--weir-steer=base=%t sites=res=b.{layer},mlp=b.{layer}.ff' --weir-lower-to-aten | weir-opt | FileCheck %s --check-prefix=ATEN
// RUN: not weir-opt %s '--weir-steer=base=%t/elsewhere sites=res=b.{layer},mlp=b.{layer}.ff' 2>&1 | FileCheck %s --check-prefix=MISSING
// From selectors and a model without marks to patches, and on to aten calls that
// can be read back.

// MISSING: error: {{.*}}elsewhere{{.*}}res.0
// MISSING-NOT: fx.program

// STEER: flow.dictionary @sae.res.0 of @sae at <0/res> {{.*}} features 6 width 4 activation <relu>
// STEER: %{{.*}} = flow.select [#flow.feature<@sae:0/res/1>, #flow.feature<@sae:0/res/2>]
// ATEN: flow.select
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
%two = flow.select [#flow.antagonists<<@sae:0/res/0>, 2>]
%one = flow.select [#flow.feature<@sae:0/res/2>]
steer.knob @k default 1.0
steer.policy @quiet #steer.scale<0.5> on %two times @k
steer.policy @watch #steer.record on %one
steer.policy @first #steer.add<#steer.constant<2.0>> on %one
steer.policy @second #steer.add<#steer.constant<3.0>> on %two
steer.plan @default [@quiet, @watch, @first, @second]

#d = #fx.dims<s0 = 2, s1 = 3>
!i = tensor<?x?xi64, #d>
!t = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
#emb = #fx.stack<"k." "" : "Model", "k.net.emb" "net.emb" : "emb">
#block = #fx.stack<"k." "" : "Model", "k.net.b.0" "net.b.0" : "0">
#mixer = #fx.stack<"k." "" : "Model", "k.net.b.0.mixer" "net.b.0.mixer" : "mixer">
#ff = #fx.stack<"k." "" : "Model", "k.net.b.0.ff" "net.b.0.ff" : "ff">

// STEER-LABEL: fx.program @main
// STEER: %plan: tensor<?xi64
// STEER: %knobs: tensor<?x1xf32
// One read, one write, both additions along one direction.
// STEER: steer.patch %r at <0/res>
// STEER: %[[F:.*]] = steer.read %{{.*}} of @sae.res.0 [1, 2]
// STEER-NOT: steer.read
// STEER: %[[W:.*]] = steer.pick %[[F]] [1]
// STEER-NOT: steer.read
// STEER: steer.record %[[W]] as "watch.res.0"
// STEER: steer.write %{{.*}} along [#flow.rows<decoder of @sae.res.0[1, 2]>, #flow.sum<[2.000000e+00, 3.000000e+00, 3.000000e+00] * #flow.concat<[#flow.rows<decoder of @sae.res.0[2]>, #flow.rows<decoder of @sae.res.0[1, 2]>]>>]
// ATEN-LABEL: fx.program @main
// ATEN-DAG: fx.constant #flow.rows<encoder of @sae.res.0[1, 2]> -> tensor<2x4xf32>
// ATEN-DAG: fx.constant #flow.rows<decoder of @sae.res.0[1, 2]> -> tensor<2x4xf32>
// ATEN-DAG: fx.constant #flow.sum<{{.*}}> -> tensor<1x4xf32>
// ATEN: %r = fx.call @aten.add.Tensor
// ATEN: fx.call pure @aten.linear.default(input: %r,
// ATEN: %[[Y:.*]] = fx.call pure @aten.add.Tensor
// ATEN: fx.return %{{.*}}, %{{.*}} : {{.*}} as [#fx.output<user_output, role = #fx.logits>, #fx.output<user_output, role = #fx.record<"watch.res.0", [#flow.feature<@sae:0/res/2>]>>]
fx.program @main(%w: !w = #fx.input<parameter "model"::"w">,
                 %input_ids: !i = #fx.input<user_input>,
                 %positions: !i = #fx.input<user_input>) {
  %h = fx.call @aten.embedding.default(weight = %w, indices = %input_ids) {stack = #emb} : (!w, !i) -> !t
  %a = fx.call @aten.tanh.default(self = %h) {stack = #mixer} : (!t) -> !t
  %m = fx.call @aten.add.Tensor(self = %h, other = %a, alpha = 1) {stack = #block} : (!t, !t) -> !t
  %y = fx.call @aten.linear.default(input = %m, weight = %w) {stack = #ff} : (!t, !w) -> !t
  %r = fx.call @aten.add.Tensor(self = %m, other = %y) {stack = #block} : (!t, !t) -> !t
  fx.return %r : !t as [#fx.output<user_output>]
}
