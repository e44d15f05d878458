// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow unused" --flow-match="base=%t/flow cache=%t/cache" -o %t/matched.mlir
// RUN: not weir-opt %t/matched.mlir --split-input-file --flow-build-graphs="base=%t/flow cache=%t/cache max-edges=2" 2>&1 | FileCheck %s --check-prefix=EDGES --implicit-check-not=error:
// RUN: not weir-opt %t/matched.mlir --split-input-file --flow-build-graphs="base=%t/flow cache=%t/cache max-nodes=3" 2>&1 | FileCheck %s --check-prefix=NODES --implicit-check-not=error:
// RUN: weir-opt %t/matched.mlir --split-input-file --flow-build-graphs="base=%t/flow cache=%t/cache" -o %t/built.mlir
// What was kept is held against the limits as well.
// RUN: not weir-opt %t/matched.mlir --split-input-file --flow-build-graphs="base=%t/flow cache=%t/cache max-edges=2" 2>&1 | FileCheck %s --check-prefix=KEPT --implicit-check-not=error:
// How large graphs may be, at limits that are small. EDGES, a union of 2 and 1 edges and a walk of 4:
// EDGES: error: the graph has more than 2 edges{{$}}
// EDGES: error: the graph has more than 2 edges; give it fewer targets or layers, a smaller width, or a higher 'keep'
// NODES: error: the graph has more than 3 nodes{{$}}
// NODES: error: the graph has more than 3 nodes; give it fewer targets or layers, a smaller width, or a higher 'keep'
// KEPT: error: the graph has more than 2 edges{{$}}
// KEPT: error: the graph has more than 2 edges{{$}}
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
%m = flow.select [#flow.feature<@sae:2/mlp/0>]
%g = flow.graph <backward> from %f by @flow width 1
%forward = flow.graph <forward> from %m by @flow width 1
%union = flow.graph_union %g, %forward
// An error of its own is enough.
%more = flow.graph_union %union, %g
%two = flow.select [#flow.feature<@sae:2/res/2>, #flow.feature<@sae:2/res/3>]
%walk = flow.graph <backward> from %two by @flow width 1

// -----

// All graphs are held at once: five times as many edges.
// EDGES: error: the graphs up to this one have more than 10 edges together
// KEPT: error: the graphs up to this one have more than 10 edges together
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.matching @flow of @sae sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%f = flow.select [#flow.feature<@sae:2/res/3>]
%1 = flow.graph <backward> from %f by @flow width 1
%2 = flow.graph <backward> from %f by @flow width 1
%3 = flow.graph <backward> from %f by @flow width 1
%4 = flow.graph <backward> from %f by @flow width 1
%5 = flow.graph <backward> from %f by @flow width 1
%6 = flow.graph <backward> from %f by @flow width 1
