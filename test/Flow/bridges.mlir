// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s | weir-opt | FileCheck %s --check-prefix=SAME
// RUN: weir-opt %s --flow-expand-matchings=base=%t/flow | FileCheck %s --check-prefix=EXPAND
// RUN: weir-opt %s --flow-expand-matchings=base=%t/flow --flow-expand-matchings=base=%t/flow | FileCheck %s --check-prefix=EXPAND
// RUN: weir-opt %s --flow-expand-matchings=base=%t/flow '--flow-match=base=%t/flow cache=%t/cache' --flow-resolve=base=%t/flow | FileCheck %s --check-prefix=RESOLVE
// Two dictionaries that stand for the blocks between them: a permutation for each
// step, composed where there are several.

// EXPAND: flow.matching @permutation
// EXPAND-NEXT: %[[A:.*]] = flow.permutation @sae.res.1 -> @sae.res.2
// EXPAND-NEXT: %[[B:.*]] = flow.permutation @sae.res.0 -> @sae.res.1
// EXPAND-NOT: flow.permutation
// SAME: flow.bridge @one of @sae from <1/res> to <2/res> by @permutation
// EXPAND: flow.bridge @one of @sae from <1/res> to <2/res> by @permutation through %[[A]] : !flow.map<6 -> 6>
// EXPAND: %[[C:.*]] = flow.compose %[[B]], %[[A]] : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
// SAME: flow.bridge @two of @sae from <0/res> to <2/res> by @permutation
// EXPAND-NEXT: flow.bridge @two of @sae from <0/res> to <2/res> by @permutation through %[[C]] : !flow.map<6 -> 6>
// SAME: flow.bridge @none of @other from <1/res> to <1/res>
// EXPAND: flow.bridge @none of @other from <1/res> to <1/res>{{$}}
// RESOLVE-DAG: flow.dictionary @other.res.1
// RESOLVE-DAG: flow.dictionary @sae.res.0
// RESOLVE: flow.compose {{.*}} result <"sha256:
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.collection @other <sae_lens> at "../res.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
flow.bridge @one of @sae from <1/res> to <2/res> by @permutation
flow.bridge @two of @sae from <0/res> to <2/res> by @permutation
flow.bridge @none of @other from <1/res> to <1/res>
