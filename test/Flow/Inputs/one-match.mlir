// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
flow.dictionary @sae.res.0 of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
%0 = flow.match @sae.res.0 -> @sae.res.0 top_k 1 by <cosine> over <decoder> : !flow.map<6 -> 6>
