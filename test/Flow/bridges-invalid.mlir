// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --verify-diagnostics --flow-expand-matchings=base=%t/flow

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
// expected-error @below {{leads from 1/mlp to 2/res, which are sites of two kinds}}
flow.bridge @b of @sae from <1/mlp> to <2/res>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.assignment<mse> over <decoder>
// expected-error @below {{leads from 2/res to 1/res, which is no later layer}}
flow.bridge @b of @sae from <2/res> to <1/res> by @p

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-error @below {{leads from 1/res to 2/res without a matching; one dictionary has one place}}
flow.bridge @b of @sae from <1/res> to <2/res>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-error @below {{there is no matching @p}}
flow.bridge @b of @sae from <1/res> to <2/res> by @p

// -----

// expected-error @below {{there is no collection @sae}}
flow.bridge @b of @sae from <1/res> to <1/res>

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 0 to 2 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{@flow gives a feature no single one of the next layer: a permutation does}}
flow.bridge @b of @sae from <1/res> to <2/res> by @flow

// -----

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @p of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.assignment<mse> over <decoder>
// expected-error @below {{@p leads to no site after 0/res: it matches layers 1 to 2}}
flow.bridge @b of @sae from <0/res> to <2/res> by @p

// -----

fx.program @main() {
  // expected-error @below {{mean activations are known on a text only, while matches are computed}}
  %0 = fx.constant #flow.carried<@a -> @b by <"sha256:0000000000000000000000000000000000000000000000000000000000000000"> fold = mean_activation> -> tensor<6x4xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{a quantile is 0 to 1, not 2}}
  %0 = fx.constant #flow.carried<@a -> @b by <"sha256:0000000000000000000000000000000000000000000000000000000000000000"> quantile = 2.0> -> tensor<6x4xf32>
  fx.return []
}
