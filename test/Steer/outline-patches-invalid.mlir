// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --steer-outline-patches --verify-diagnostics
// What somebody asks for and has no form is an error, not something else.

flow.dictionary @t of @sae at <4/res> reads <4/res> features 70000 width 8 activation <topk, 20000>
!x = tensor<?x?x8xf32>
!s = tensor<?x?x1xf32>
fx.program @main(%x: !x = #fx.input<user_input>) {
  // expected-error @+1 {{cannot become a kernel: its TopK dictionary keeps 20000 features of a token (up to 16384 have a kernel)}}
  %u = steer.patch %x at <4/res> lowering <kernel> {
  ^bb0(%h: !x):
    %f = steer.read %h of @t [4] activation <topk, 20000> size 70000 : !x
    %v = steer.set_to %f [0.0] : !s
    %c = steer.delta %f to %v : !s
    %w = steer.write %h, %c along [#flow.rows<decoder of @t[4]>] : !x, !s
    steer.yield %w : !x
  } : !x
  fx.return %u : !x as [#fx.output<user_output>]
}
