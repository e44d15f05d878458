// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --verify-diagnostics --steer-resolve-markers | FileCheck %s
// Without a model, ids stay what they are, and nobody knows what a text is. With one:
// test_scopes_of_markers.py.

// CHECK: steer.policy @ids {{.*}} tokens <set = generated, markers = <after = [5, 7]>, half = 8.000000e+00 : f64>
// CHECK: steer.policy @none {{.*}} tokens <set = prompt>
%f = flow.select [#flow.feature<@sae:1/res/1>]
steer.policy @ids #steer.ablate on %f tokens <set = generated, markers = <after = [5, 7]>, half = 8.0>
steer.policy @none #steer.ablate on %f tokens <set = prompt>

// -----

%f = flow.select [#flow.feature<@sae:1/res/1>]
// expected-error @below {{cannot tell which token this is: there is no model to ask; give its id}}
steer.policy @text #steer.ablate on %f tokens <markers = <opens = [5], closes = ["</think>"]>>
