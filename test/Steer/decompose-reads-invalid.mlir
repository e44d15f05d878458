// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --pass-pipeline='builtin.module(fx.program(steer-decompose-reads))' -verify-diagnostics
// Encoders are in f32.

flow.dictionary @d of @sae at <res, 0> reads <res, 0> features 16 width 8 activation <relu>

fx.program @main(%x: tensor<?x?x8xbf16> = #fx.input<user_input>) {
  // expected-error @below {{reads a value that is not in f32; steer-widen-patches comes first}}
  %0 = steer.read %x of @d [4] activation <relu> size 16 : tensor<?x?x8xbf16>
  fx.return %0 : tensor<?x?x1xf32> as [#fx.output<user_output>]
}
