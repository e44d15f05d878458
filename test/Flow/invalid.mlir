// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s -verify-diagnostics -split-input-file

// expected-error @below {{covers no site}}
flow.collection @sae <sae_lens> at "d" sites [] layers 0 to 0

// -----

// expected-error @below {{expects site kinds, got "res"}}
flow.collection @sae <sae_lens> at "d" sites ["res"] layers 0 to 0

// -----

// expected-error @below {{expects layers in ascending order from 0 on, got 3 to 2}}
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 3 to 2

// -----

// expected-error @below {{expects layers in ascending order from 0 on, got -1 to 2}}
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers -1 to 2

// -----

// expected-error @below {{takes no path: its weights are the model's own}}
flow.collection @sae <neurons> at "{layer}" sites [#fx.site_kind<mlp>] layers 0 to 2

// -----

// expected-error @below {{takes no path: its weights are the model's own}}
flow.collection @sae <unembedding> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 2

// -----

// expected-error @below {{expects a path}}
flow.collection @sae <gemma_scope> sites [#fx.site_kind<res>] layers 0 to 2

// -----

// expected-error @below {{covers several layers, but its path has no {layer}}}
flow.collection @sae <sae_lens> at "{site}" sites [#fx.site_kind<res>] layers 0 to 1

// -----

// expected-error @below {{covers several sites, but its path has no {site}}}
flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 1

// -----

// expected-error @below {{expects selectors, got 3 : i64}}
%f = flow.select [3]

// -----

// expected-error @below {{has no features or no width}}
flow.dictionary @d of @sae at <0/res> reads <0/res> features 0 width 8 activation <relu>

// -----

// expected-error @below {{has no features or no width}}
flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 0 activation <relu>

// -----

// expected-error @below {{keeps 17 features of 16}}
flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <topk, 17>

// -----

// expected-error @below {{topk, and only topk, has a number of features}}
flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <topk>

// -----

// expected-error @below {{topk, and only topk, has a number of features}}
flow.dictionary @d of @sae at <0/res> reads <0/res> features 16 width 8 activation <relu, 4>

// -----

// expected-error @below {{a layer is 0 or more, got -1}}
flow.dictionary @d of @sae at <-1/res> reads <0/res> features 16 width 8 activation <relu>

// -----

// expected-error @below {{a layer is 0 or more, got -2}}
%f = flow.select [#flow.feature<@sae:-2/res/3>]

// -----

// expected-error @below {{a feature's index is 0 or more, got -3}}
%f = flow.select [#flow.feature<@sae:2/res/-3>]

// -----

// expected-error @below {{a layer is 0 or more, got -1}}
%f = flow.select [#flow.whole_site<@sae:-1/res>]

// -----

// expected-error @below {{the number of antagonists is 1 or more, got 0}}
%f = flow.select [#flow.antagonists<<@sae:2/res/3>, 0>]

// -----

fx.program @main() {
  // expected-error @below {{a recipe makes an f32 tensor of static shape}}
  %0 = fx.constant #flow.rows<decoder of @d[1]> -> tensor<1x8xf64>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes a tensor of rank 2}}
  %0 = fx.constant #flow.rows<decoder of @d[1]> -> tensor<8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes a tensor of rank 1}}
  %0 = fx.constant #flow.rows<threshold of @d[1]> -> tensor<1x1xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes 2 rows, the type has 3}}
  %0 = fx.constant #flow.rows<decoder of @d[1, 2]> -> tensor<3x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes 1 rows, the type has 2}}
  %0 = fx.constant #flow.sum<[1.0, 1.0] * #flow.rows<decoder of @d[1, 2]>> -> tensor<2x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{expects a recipe to sum}}
  %0 = fx.constant #flow.sum<[1.0] * 3> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{has 1 weights for 2 rows}}
  %0 = fx.constant #flow.sum<[1.0] * #flow.rows<decoder of @d[1, 2]>> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{expects at least one recipe}}
  %0 = fx.constant #flow.concat<[]> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{expects recipes with a known number of rows, got #flow.rows<decoder of @d[]>}}
  %0 = fx.constant #flow.concat<[#flow.rows<decoder of @d[]>]> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{expects recipes with a known number of rows, got "rows"}}
  %0 = fx.constant #flow.concat<["rows"]> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{expects a recipe with a known number of rows, got #flow.rows<decoder of @d[]>}}
  %0 = fx.constant #flow.basis<#flow.rows<decoder of @d[]>> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes 2 rows, the type has 1}}
  %0 = fx.constant #flow.basis<#flow.rows<decoder of @d[1, 2]>> -> tensor<1x8xf32>
  fx.return []
}

// -----

fx.program @main() {
  // expected-error @below {{the recipe makes 2 rows, the type has 3}}
  %0 = fx.constant #flow.concat<[#flow.rows<decoder of @d[1]>, #flow.rows<decoder of @e[2]>]> -> tensor<3x8xf32>
  fx.return []
}

// -----

// expected-error @below {{combines nothing}}
%f = "flow.list"() : () -> !flow.features

// -----

// expected-error @below {{combines nothing}}
%f = "flow.union"() : () -> !flow.features

// -----

// expected-error @below {{combines nothing}}
%f = "flow.intersection"() : () -> !flow.features

// -----

// A module would allow it.
// expected-error @below {{uses a value that is made after it}}
// expected-note @below {{here}}
%f = flow.union %f

// -----

%a = flow.select []
// expected-error @below {{uses a value that is made after it}}
%f = flow.difference %a, %g
// expected-note @below {{here}}
%g = flow.list %f

// -----

flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 1
flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 1 by #flow.top_k<1, cosine> over <decoder>
// expected-error @below {{uses a value that is made after it}}
%f = flow.follow <predecessors> of %g by @m most 1
// expected-note @below {{here}}
%g = flow.select []

// -----

// expected-error @below {{unknown kind of site 'resid'}}
#s = #flow.site<12/resid>
