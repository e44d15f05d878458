// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %fixtures | weir-opt --split-input-file --steer-expand-policies | FileCheck %s
// RUN: %fixtures | weir-opt --split-input-file --steer-expand-policies=count --canonicalize | FileCheck %s --check-prefix=COUNT
// What replaces a layer stands before the mark of the stream behind it, so that
// whoever reads or edits there has the new value; it is made of the stream before
// the layer, after the edits there.

// CHECK-LABEL: fx.program @main
// CHECK: edited = [#fx.edited<res, 1>]
// CHECK: %[[G:.*]] = steer.in_plans %plan [0]
// CHECK: %[[BEFORE:.*]] = steer.patch %y0 at <0/res>
// CHECK: %[[NEW:.*]] = steer.reconstruct %[[BEFORE]] of @sae.res.0 activation <relu> size 6 along [#flow.carried<@sae.res.0 -> @sae.res.1 by <"sha256:11{{1*}}"> fold = decoder_norm quantile = 9.000000e-01 : f64>] plus [#flow.rows<decoder_bias of @sae.res.1[]>]
// CHECK: %[[VALUE:.*]] = steer.choose %[[NEW]] where %[[G]] : tensor<?x1x1xi1> else %y1 at <1/res>
// CHECK: steer.patch %[[VALUE]] at <1/res>
// CHECK: steer.read
// COUNT: steer.count %{{.*}}, %{{.*}} as ["pruned", "quiet"] at <1/res>
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
flow.bridge @pruned.bridge of @sae from <0/res> to <1/res> by @p through %0 : !flow.map<6 -> 6>
%none = flow.select []
%f = flow.select [#flow.feature<@sae:1/res/5>]
%b = flow.select [#flow.feature<@sae:0/res/5>]
steer.policy @pruned #steer.substitute<1 to 1 by @pruned.bridge quantile = 0.9> on %none
steer.policy @quiet #steer.ablate on %f
steer.policy @before #steer.add<#steer.constant<2.0>> on %b
steer.plan @a [@pruned, @quiet, @before]
// FIXTURE cached-model

// -----

// Blocks that are dropped hand on what comes in; a scope and a condition on what
// comes before decide for each token, and nothing else has to be edited.
// CHECK-LABEL: fx.program @main
// CHECK: %[[R0:.*]] = fx.site 0/res
// CHECK: %[[ALL:.*]] = steer.all
// CHECK: %[[Y:.*]] = steer.choose %[[R0]] where %[[ALL]] : tensor<?x?x1xi1> else %y2 at <2/res>
// CHECK: fx.site 2/res of %[[Y]]
// COUNT: steer.count %{{.*}} as ["dropped"] at <2/res>
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
%none = flow.select []
steer.policy @dropped #steer.substitute<1 to 2> on %none tokens <set = generated> when #steer.when<feature = <@sae:0/res/1>, above = 0.5>
steer.plan @a [@dropped]
// FIXTURE cached-model

// -----

// One dictionary encodes and decodes; a plan each.
// CHECK-LABEL: fx.program @main
// CHECK: %[[X:.*]] = fx.site 0/res
// CHECK: steer.reconstruct %[[X]] of @sae.res.1 activation <relu> size 6 along [#flow.rows<decoder of @sae.res.1[]>] plus [#flow.rows<decoder_bias of @sae.res.1[]>]
// CHECK: %[[ONE:.*]] = steer.choose %{{.*}} where %{{.*}} else %y1 at <1/res>
// CHECK: steer.reconstruct %[[X]] of @sae.res.0 activation <relu> size 6 along [#flow.rows<decoder of @sae.res.0[]>]
// CHECK: steer.choose %{{.*}} where %{{.*}} else %[[ONE]] at <1/res>
// COUNT: steer.count %{{.*}}, %{{.*}} as ["current", "previous"] at <1/res>
// FIXTURE cached-dictionaries
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder> fold <decoder_norm>
%0 = flow.permutation @sae.res.0 -> @sae.res.1 by <mse> over <decoder> fold <decoder_norm> for @p result <"sha256:1111111111111111111111111111111111111111111111111111111111111111"> : !flow.map<6 -> 6>
flow.bridge @current.bridge of @sae from <1/res> to <1/res>
flow.bridge @previous.bridge of @sae from <0/res> to <0/res>
%none = flow.select []
steer.policy @current #steer.substitute<1 to 1 by @current.bridge> on %none
steer.policy @previous #steer.substitute<1 to 1 by @previous.bridge> on %none
steer.plan @a [@current]
steer.plan @b [@previous]
// FIXTURE cached-model
