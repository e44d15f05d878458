// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: %python %S/Inputs/dictionaries.py %t
// RUN: not weir-opt %s --flow-resolve=base=%t 2>&1 | FileCheck %s
// An error stands at the selector, not at the list.

flow.collection @sae <sae_lens> at "{site}.{layer}" sites [#fx.site_kind<res>] layers 0 to 3
// CHECK: spec.yaml:3:9: error: feature 0/res/8 is out of range
%f = flow.select [#flow.feature<@sae:0/res/5>, #flow.feature<@sae:0/res/8>] loc(fused["spec.yaml":3:1, "spec.yaml":3:4, "spec.yaml":3:9])
// CHECK: spec.yaml:4:1: error: feature 0/res/7 is out of range
%g = flow.select [#flow.feature<@sae:0/res/7>] loc("spec.yaml":4:1)
// CHECK: there are no dictionaries @none
%h = flow.select [#flow.feature<@none:0/res/7>]
// CHECK-NOT: error
