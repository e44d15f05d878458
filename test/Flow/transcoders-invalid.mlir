// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/transcoders.py %t
// RUN: weir-opt %s --split-input-file --flow-resolve=base=%t --verify-diagnostics

// expected-note @below {{declared here; add `hook: ignore` if its files are wrong}}
flow.collection @t <sae_lens> at "sae/{layer}" sites [#fx.site_kind<mlp>] layers 0 to 2 reads <mid>
// expected-error @below {{sae/0: reads at 0/mlp_in, as its files say, not at 0/mid}}
%f = flow.select [#flow.feature<@t:0/mlp/5>, #flow.feature<@t:1/mlp/5>, #flow.feature<@t:2/mlp/5>]

// -----

flow.collection @t <sae_lens> at "sae/{layer}" sites [#fx.site_kind<mlp>] layers 0 to 2 ignore_hook reads <mid>
%f = flow.select [#flow.feature<@t:0/mlp/5>]

// -----

// expected-note @below {{declared here; `reads` belongs to transcoders}}
flow.collection @a <sae_lens> at "auto/{layer}" sites [#fx.site_kind<mlp>] layers 0 to 2 reads <mid>
// expected-error @below {{auto/1: reads at 1/mlp, as it is no transcoder, not at 1/mid}}
%f = flow.select [#flow.feature<@a:1/mlp/5>]

// -----

// A transcoder belongs where it writes.
// expected-note @below {{declared here}}
flow.collection @t <sae_lens> at "sae/{layer}" sites [#fx.site_kind<att>] layers 0 to 2
// expected-error @below {{says that it belongs to 'blocks.0.hook_mlp_out', which is 0/mlp, not 0/att}}
%f = flow.select [#flow.feature<@t:0/att/5>]

// -----

// expected-note @below {{of these dictionaries}}
flow.collection @p <circuit_tracer> at "layer_0.safetensors" sites [#fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{layer_0.safetensors: is of one layer: write {layer} in the path of several}}
%f = flow.select [#flow.feature<@p:2/mlp/5>]

// -----

// expected-note @below {{of these dictionaries}}
flow.collection @c <circuit_tracer> at "clt" sites [#fx.site_kind<mlp>] layers 0 to 7
// expected-error @below {{W_enc_7.safetensors}}
%f = flow.select [#flow.feature<@c:7/mlp/5>]

// -----

// expected-note @below {{of these dictionaries}}
flow.collection @c <crosscoder> at "crosscoder" sites [#fx.site_kind<res>] layers 0 to 2
// expected-error @below {{a crosscoder of 2 values, and the dictionary covers 3 layers}}
%f = flow.select [#flow.feature<@c:1/res/5>]
