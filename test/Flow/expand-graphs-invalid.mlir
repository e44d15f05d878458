// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: rm -rf %t && %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --split-input-file --flow-expand-matchings="base=%t/flow unused" --verify-diagnostics
// Matches that do not reach what a graph begins at.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>, #fx.site_kind<mlp>] layers 0 to 2
flow.collection @other <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 2
// expected-note @below {{the match}}
flow.matching @flow of @sae sites [#fx.site_kind<res>] layers 1 to 2 by #flow.top_k<1, cosine> over <decoder>
%first = flow.select [#flow.feature<@sae:1/res/3>]
// expected-error @below {{@flow leads to no site before 1/res: it matches layers 1 to 2}}
%a = flow.graph <backward> from %first by @flow width 1
%last = flow.select [#flow.feature<@sae:2/res/3>]
// expected-error @below {{@flow leads to no site after 2/res: it matches layers 1 to 2}}
%b = flow.graph <forward> from %last by @flow width 1
// expected-error @below {{@flow leads to no site before or after 2/res: the graph covers layers 2 to 2}}
%c = flow.graph <both> from %last by @flow width 1 layers 2 to 2
// expected-error @below {{a feature of 1/res is no part of a graph of layers 2 to 2}}
%d = flow.graph <both> from %first by @flow width 1 layers 2 to 2
%others = flow.select [#flow.feature<@other:2/res/3>]
// expected-error @below {{@flow matches features of @sae, not of @other}}
%e = flow.graph <both> from %others by @flow width 1
// expected-error @below {{no path of @flow leads from 0/res to 2/res: it matches layers 1 to 2}}
%f = flow.path #flow.feature<@sae:0/res/1> to #flow.feature<@sae:2/res/3> by @flow
