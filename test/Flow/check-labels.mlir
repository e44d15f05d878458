// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: weir-opt %s --flow-check-labels=base=%t --verify-diagnostics
// RUN: not weir-opt %s --flow-check-labels="base=%t quiet" 2>&1 | FileCheck %s --implicit-check-not=warning:

// Names are those of features that are there. What cannot be opened is not known.
flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
flow.label #flow.feature<@sae:0/res/5> "last"
// CHECK: error: feature 0/res/6 is out of range
// expected-error @below {{feature 0/res/6 is out of range: the dictionary has features 0 to 5}}
flow.label #flow.feature<@sae:0/res/6> "none"
// All of them are told.
// CHECK: error: feature 1/res/77 is out of range
// expected-error @below {{feature 1/res/77 is out of range: the dictionary has features 0 to 5}}
flow.label #flow.feature<@sae:1/res/77> "far"
// expected-warning @below {{cannot tell whether the dictionary has the feature 3/res/0, which has a name: }}
flow.label #flow.feature<@sae:3/res/0> "lost"
flow.label #flow.feature<@sae:3/res/1> "told once"
