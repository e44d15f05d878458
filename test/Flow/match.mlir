// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// Every match gets the hash of its result.
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/cache" | FileCheck %s
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/one" --remark-format=emitRemark --remarks-filter='flow-match' 2>&1 | FileCheck %s --check-prefix=FIRST
// The second run computes nothing and says the same; so does one whose results are
// made in units of two features, on one thread.
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/one" --remark-format=emitRemark --remarks-filter='flow-match' 2>&1 | FileCheck %s --check-prefix=SECOND
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/cache" > %t/whole.mlir
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/units unit-rows=2 threads=1" > %t/units.mlir
// RUN: diff %t/whole.mlir %t/units.mlir
// RUN: weirc cache ls --cache %t/units | FileCheck %s --check-prefix=LIST
// Dictionaries and options are the key, not names and places.
// RUN: cp -r %t/flow %t/elsewhere
// RUN: weir-opt %s --weir-match="base=%t/elsewhere cache=%t/one" --remark-format=emitRemark --remarks-filter='flow-match' 2>&1 | FileCheck %s --check-prefix=SECOND
// The folder is that of the environment where none is given.
// RUN: env WEIR_CACHE=%t/one weir-opt %s --weir-match="base=%t/flow" --remark-format=emitRemark --remarks-filter='flow-match' 2>&1 | FileCheck %s --check-prefix=SECOND
// A damaged result is made anew, with a warning at the match it is of.
// RUN: %python -c "import pathlib; f = sorted(pathlib.Path(r'%t/one').rglob('*.safetensors'))[0]; b = bytearray(f.read_bytes()); b[-1] ^= 1; f.write_bytes(b)"
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/one" 2>&1 >/dev/null | FileCheck %s --check-prefix=DAMAGED --implicit-check-not=warning:
// RUN: weir-opt %s --weir-match="base=%t/flow cache=%t/one" --remark-format=emitRemark --remarks-filter='flow-match' 2>&1 | FileCheck %s --check-prefix=SECOND

// CHECK: flow.matching @flow
// CHECK-NEXT: %[[A:.*]] = flow.match @sae.res.1 -> @sae.res.0 top_k 1 by <cosine> over <decoder> for @flow result <"sha256:{{[0-9a-f]+}}"> : !flow.map<6 -> 6>
// CHECK-NEXT: %[[B:.*]] = flow.match @sae.res.2 -> @sae.res.1 {{.*}} result <"sha256:{{[0-9a-f]+}}"> : !flow.map<6 -> 6>
// CHECK-NEXT: flow.compose %[[B]], %[[A]] keep 1 result <"sha256:{{[0-9a-f]+}}">
// CHECK: flow.matching @mlp
// CHECK-NEXT: flow.match @sae.mlp.2 -> @sae.mlp.1 {{.*}} result <"sha256:{{[0-9a-f]+}}"> : !flow.map<3 -> 1>
// CHECK: flow.matching @permutation
// CHECK-NEXT: flow.permutation @sae.res.0 -> @sae.res.1 {{.*}} result <"sha256:
// CHECK-NEXT: flow.permutation @sae.res.1 -> @sae.res.2 {{.*}} result <"sha256:
// CHECK-NEXT: flow.compose {{.*}} result <"sha256:

// FIRST: match.mlir:[[#@LINE+26]]:1: remark: [Passed] MatchComputed | Category:flow-match | Remark="sae.res.1 -> sae.res.0: 6 features, {{[0-9]+}} pairs computed in float64"
// FIRST: remark: [Passed] MatchComputed {{.*}}"sae.res.2 -> sae.res.1: 6 features
// FIRST: remark: [Passed] MatchComputed {{.*}}"composing: 6 features
// FIRST: remark: [Passed] MatchComputed {{.*}}"sae.mlp.2 -> sae.mlp.1: 3 features
// A feature that cannot be brought to the scale of the others is named.
// FIRST: match.mlir:[[#@LINE+23]]:1: remark: [Missed] NotFolded {{.*}}sae.res.1: feature 4 has no positive scale and is left as it is
// FIRST: remark: [Passed] MatchComputed {{.*}}"sae.res.0 -> sae.res.1: 6 features
// FIRST: remark: [Missed] NotFolded {{.*}}sae.res.1: feature 4 has no positive scale
// FIRST: remark: [Passed] MatchComputed {{.*}}"sae.res.1 -> sae.res.2: 6 features
// FIRST: remark: [Passed] MatchComputed {{.*}}"composing: 6 features
// FIRST-NOT: remark:

// SECOND-NOT: MatchComputed
// SECOND-COUNT-7: remark: [Passed] MatchFound | Category:flow-match | Remark="{{.*}}, found in the cache"
// SECOND-NOT: MatchComputed

// Parts of a match go when the whole is there.
// LIST-DAG: sae.res.1 -> sae.res.0 top_k k=1 similarity=cosine weights=decoder fold=none{{$}}
// LIST-DAG: sae.mlp.2 -> sae.mlp.1 top_k k=1 similarity=cosine weights=decoder fold=none{{$}}
// LIST-DAG: sae.res.1 -> sae.res.2 permutation similarity=mse weights=decoder+encoder+encoder_bias fold=threshold{{$}}
// LIST-DAG: composition of 2 matches{{$}}
// LIST: 7 entries, {{[0-9]+}} bytes in

// DAMAGED: warning: a cached result is damaged and is made anew: {{.*}}.safetensors: the content is not what was written

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.matching @mlp of @sae sites [#fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
flow.matching @permutation of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder|encoder|encoder_bias> fold <threshold>
