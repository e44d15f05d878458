// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --canonicalize --allow-unregistered-dialect | FileCheck %s
// Composing permutations is associative; compositions of the best pairs are not.

flow.dictionary @a of @sae at <0/res> reads <0/res> features 6 width 4 activation <relu>
flow.dictionary @b of @sae at <1/res> reads <1/res> features 7 width 4 activation <relu>
flow.dictionary @c of @sae at <2/res> reads <2/res> features 8 width 4 activation <relu>
flow.dictionary @d of @sae at <3/res> reads <3/res> features 9 width 4 activation <relu>
// CHECK-DAG: %[[AB:.*]] = flow.permutation @a -> @b
// CHECK-DAG: %[[BC:.*]] = flow.permutation @b -> @c
// CHECK-DAG: %[[CD:.*]] = flow.permutation @c -> @d
%ab = flow.permutation @a -> @b by <mse> over <decoder> : !flow.map<6 -> 7>
%bc = flow.permutation @b -> @c by <mse> over <decoder> : !flow.map<7 -> 8>
%cd = flow.permutation @c -> @d by <mse> over <decoder> : !flow.map<8 -> 9>

// One map composed is that map, unless it keeps fewer pairs.
// CHECK: "test.one"(%[[AB]])
%one = flow.compose %ab : (!flow.map<6 -> 7>) -> !flow.map<6 -> 7>
"test.one"(%one) : (!flow.map<6 -> 7>) -> ()
// CHECK: %[[KEPT:.*]] = flow.compose %[[AB]] keep 1
// CHECK: "test.keep"(%[[KEPT]])
%keep = flow.compose %ab keep 1 : (!flow.map<6 -> 7>) -> !flow.map<6 -> 7>
"test.keep"(%keep) : (!flow.map<6 -> 7>) -> ()

// From the left, from the right, and with a composition of one in it.
// CHECK: %[[AC:.*]] = flow.compose %[[AB]], %[[BC]] :
// CHECK: %[[LEFT:.*]] = flow.compose %[[AB]], %[[BC]], %[[CD]] : (!flow.map<6 -> 7>, !flow.map<7 -> 8>, !flow.map<8 -> 9>) -> !flow.map<6 -> 9>
// CHECK: "test.left"(%[[LEFT]])
%ac = flow.compose %ab, %bc : (!flow.map<6 -> 7>, !flow.map<7 -> 8>) -> !flow.map<6 -> 8>
%left = flow.compose %ac, %cd : (!flow.map<6 -> 8>, !flow.map<8 -> 9>) -> !flow.map<6 -> 9>
"test.left"(%left) : (!flow.map<6 -> 9>) -> ()
// CHECK: %[[RIGHT:.*]] = flow.compose %[[AB]], %[[BC]], %[[CD]] :
// CHECK: "test.right"(%[[RIGHT]])
%bd = flow.compose %bc, %cd : (!flow.map<7 -> 8>, !flow.map<8 -> 9>) -> !flow.map<7 -> 9>
%right = flow.compose %one, %bd : (!flow.map<6 -> 7>, !flow.map<7 -> 9>) -> !flow.map<6 -> 9>
"test.right"(%right) : (!flow.map<6 -> 9>) -> ()

// A composition that keeps some pairs is no part of another, and has none.
// CHECK: %[[INNER:.*]] = flow.compose %[[AB]], %[[BC]] keep 2
// CHECK: %[[OUTER:.*]] = flow.compose %[[INNER]], %[[CD]] :
// CHECK: "test.inner"(%[[OUTER]])
%inner = flow.compose %ab, %bc keep 2 : (!flow.map<6 -> 7>, !flow.map<7 -> 8>) -> !flow.map<6 -> 8>
%outer = flow.compose %inner, %cd : (!flow.map<6 -> 8>, !flow.map<8 -> 9>) -> !flow.map<6 -> 9>
"test.inner"(%outer) : (!flow.map<6 -> 9>) -> ()
// CHECK: %[[BEST:.*]] = flow.compose %[[AC]], %[[CD]] keep 2 :
// CHECK: "test.best"(%[[BEST]])
%best = flow.compose %ac, %cd keep 2 : (!flow.map<6 -> 8>, !flow.map<8 -> 9>) -> !flow.map<6 -> 9>
"test.best"(%best) : (!flow.map<6 -> 9>) -> ()

// One whose result is known keeps the name it is found under.
// CHECK: flow.compose %{{.*}}, %[[CD]] result <"sha256:
%known = flow.compose %ac, %cd result <"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"> : (!flow.map<6 -> 8>, !flow.map<8 -> 9>) -> !flow.map<6 -> 9>
"test.known"(%known) : (!flow.map<6 -> 9>) -> ()

// What nobody asks for goes.
// CHECK-NOT: flow.compose
%unused = flow.compose %bc, %cd : (!flow.map<7 -> 8>, !flow.map<8 -> 9>) -> !flow.map<7 -> 9>
