// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-match="base=%t cache=%t/cache" --verify-diagnostics --allow-unregistered-dialect
// Nothing is kept of a match that failed.
// RUN: weirc cache ls --cache %t/cache | FileCheck %s --check-prefix=EMPTY
// EMPTY: 0 entries, 0 bytes
// RUN: echo > %t/file
// RUN: not weir-opt %S/Inputs/one-match.mlir --flow-match="base=%t cache=%t/file" 2>&1 | FileCheck %s --check-prefix=FILE
// FILE: error: cannot make the cache '{{.*}}file': Not a directory
// Without a match there is no need for a cache, or for the model.
// RUN: env -u HOME -u WEIR_CACHE -u XDG_CACHE_HOME weir-opt %S/recipes.mlir --flow-match -o %t/none
// RUN: env -u HOME -u WEIR_CACHE -u XDG_CACHE_HOME not weir-opt %S/Inputs/one-match.mlir --flow-match=base=%t 2>&1 | FileCheck %s --check-prefix=NOWHERE
// NOWHERE: error: there is no folder for cached results: set WEIR_CACHE, or HOME
// RUN: not weir-opt %S/Inputs/one-match.mlir --flow-match="base=%t cache=%t/cache model=%t/none.pt2" 2>&1 | FileCheck %s --check-prefix=MODEL
// MODEL: error: {{.*}}none.pt2

flow.collection @sae <sae_lens> at "nan/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <relu>
// expected-error @below {{nan/res.1: W_dec[2, 1] is NaN}}
%0 = flow.match @sae.res.0 -> @sae.res.1 top_k 1 by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "nan/{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.2 of @sae at <2/res> reads <2/res> features 6 width 5 activation <relu>
// expected-error @below {{matrix 'sae.res.0' has rows of 4 numbers, matrix 'sae.res.2' of 5}}
%0 = flow.permutation @sae.res.0 -> @sae.res.2 by <mse> over <decoder> : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.3 of @sae at <3/res> reads <3/res> features 6 width 4 activation <relu>
// expected-error @below {{res.3}}
%0 = flow.match @sae.res.0 -> @sae.res.3 top_k 1 by <cosine> over <decoder> : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @sae.res.1 of @sae at <1/res> reads <1/res> features 6 width 4 activation <jumprelu>
// expected-error @below {{sae.res.0: has no thresholds to fold: only JumpReLU dictionaries have; use fold: none or decoder_norm}}
%0 = flow.permutation @sae.res.1 -> @sae.res.0 by <mse> over <decoder> fold <threshold> : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{compares activations, which needs a model}}
%0 = flow.match @sae.res.0 -> @sae.res.0 top_k 1 by <pearson> over <decoder> text "a.jsonl" : !flow.map<6 -> 6>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
// expected-error @below {{folds mean activations, which needs a model}}
%0 = flow.permutation @sae.res.0 -> @sae.res.0 by <mse> over <decoder> fold <mean_activation> text "a.jsonl" : !flow.map<6 -> 6>

// -----

%0 = "test.map"() : () -> !flow.map<6 -> 6>
// expected-error @below {{composes a map that was not computed before}}
%1 = flow.compose %0, %0 : (!flow.map<6 -> 6>, !flow.map<6 -> 6>) -> !flow.map<6 -> 6>
